//! EXW80x: calls and requests that fail or wait.

mod bind;
mod fault;
mod mapper;
mod slow;
mod web;

pub(super) use bind::BIND;
pub(super) use fault::FAULT;
pub(super) use mapper::MAPPER;
pub(super) use slow::SLOW;
pub(super) use web::WEB;
