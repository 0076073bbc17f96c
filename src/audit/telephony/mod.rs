//! EXW3xx: calls and their media: announced, in their place, answered, heard both ways.

mod announced;
mod calls;
mod place;
mod quality;
mod relay;
mod signalling;

pub(super) use announced::ANNOUNCED;
pub(super) use calls::CALLS;
pub(super) use place::PLACE;
pub(super) use quality::QUALITY;
pub(super) use relay::RELAY;
pub(super) use signalling::SIGNALLING;
