//! EXW60x: mail that is refused, deferred, kept in clear or kept waiting.

mod delay;
mod login;
mod reply;
mod starttls;

pub(super) use delay::DELAY;
pub(super) use login::LOGIN;
pub(super) use reply::REPLY;
pub(super) use starttls::STARTTLS;
