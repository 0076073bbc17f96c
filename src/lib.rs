//! exwire: from packet captures to verdicts about Exchange and Lync traffic.
#![forbid(unsafe_code)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::print_stdout,
        clippy::print_stderr,
        clippy::cast_possible_truncation
    )
)]

pub mod attribution;
pub mod audit;
pub mod bytes;
pub mod capture;
pub mod cli;
pub mod evidence;
pub mod flow;
pub mod net;
pub mod protocol;
pub mod report;
pub mod scan;
pub mod signature;
pub mod stream;
pub mod topology;
pub mod wire;
