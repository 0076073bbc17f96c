//! EXW41x: connections that work badly: loss, full receivers, slow networks against slow servers, packets too large.

mod loss;
mod path_mtu;
mod slow;

pub(super) use loss::LOSS;
pub(super) use path_mtu::PATH_MTU;
pub(super) use slow::SLOW;
