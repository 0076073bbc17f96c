//! The matrix and the services that the program is built with.
#![allow(unreachable_pub, reason = "shared by test binaries")]

use exwire::protocol::PROTOCOLS;
use exwire::signature::{Overrides, Signatures, Vocabulary};

/// The signatures that the program is built with.
pub fn signatures() -> Signatures {
    let known: Vec<(&str, &[&str])> = PROTOCOLS
        .iter()
        .map(|protocol| (protocol.name, protocol.attributes))
        .collect();
    let vocabulary = Vocabulary { protocols: &known };
    Signatures::load(&Overrides::default(), &vocabulary).unwrap_or_else(|error| panic!("{error}"))
}
