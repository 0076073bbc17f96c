//! exwire: from packet captures to verdicts about Exchange and Lync traffic.
//!
//! The program is an hourglass. The **scan half** turns bytes into facts, in one pass; the **judge half** turns facts into
//! findings, by pure functions. Between them stands one type, [`evidence::Ledger`].
//!
//! ```text
//! capture -> wire -> flow, stream -> protocol -> evidence::Ledger -> attribution -> audit -> report
//!            \_________________ scan _______________/          \__ signature, topology __/
//! ```
//!
//! What holds everywhere:
//!
//! * The scan half knows no service and no port matrix; the judge half never sees a byte.
//! * A fact is positive and comes from bytes. Absence is never a fact. A port alone never raises
//!   [`evidence::Strength`] above `Assumed`.
//! * Ledgers merge associatively, commutatively and idempotently: the result depends neither on the number of threads nor
//!   on the order of files nor on a hash.
//! * Time is packet time: nothing in a scan reads a clock.
//! * Nothing on the wire stops a run: a broken packet is counted, a broken capture ends that capture and keeps what was
//!   read, a broken signature stops before the first packet.
//! * Every limit has a name and a reason, and what it leaves out is counted.
//! * A second pass over captures ([`extract`]) copies packets, and decides nothing.
//! * Only [`scan`] puts the pipeline together, only [`cli`] speaks to a person; there is no unsafe code.
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
pub mod extract;
pub mod flow;
pub mod net;
mod parallel;
pub mod protocol;
pub mod report;
pub mod scan;
pub mod signature;
pub mod stream;
pub mod topology;
pub mod wire;
