//! EXW1xx: whether a flow belongs where it is.

mod dynamic_port;
mod mail_path;
mod perimeter;
mod place;
mod proxy_port;
mod version;

pub(super) use dynamic_port::DYNAMIC_PORT;
pub(super) use mail_path::MAIL_PATH;
pub(super) use perimeter::PERIMETER;
pub(super) use place::PLACE;
pub(super) use proxy_port::PROXY_PORT;
pub(super) use version::VERSION;
