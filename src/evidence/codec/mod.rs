//! Episodes as bytes: a flow that carried no payload takes some forty of them, and no allocation of its own.
//!
//! A record holds numbers in groups of seven bits, times and packet numbers as differences to the first packet, and names
//! that decoders registered as their place in a table of the writer. It is no format for files: only the process that
//! wrote a record reads it, so a record that cannot be read is a mistake of this module, never of a capture.

mod read;
mod write;

pub(super) use read::{decode, glance};
pub(super) use write::encode;

use std::net::IpAddr;
use std::sync::Arc;

use hashbrown::HashMap;

use crate::net::{Endpoint, FlowKey, Timestamp, Transport};

/// Set in the first byte of a record: TCP headers were seen.
const TCP: u8 = 1;
/// The greater endpoint sent the first packet.
const FIRST_B: u8 = 1 << 1;
/// There is more than counters: decoders spoke, or a tunnel lies around it.
const SAID: u8 = 1 << 2;
/// The addresses are of IPv6.
const V6: u8 = 1 << 3;
/// Some packets came out of time.
const OUT_OF_TIME: u8 = 1 << 4;
/// Its packets lie in other captures than the first of the writer alone.
const CAPTURES: u8 = 1 << 5;

/// Names that records refer to.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    registered: Vec<&'static str>,
    captures: Vec<Arc<str>>,
    /// Places of registered names, by address and length: they are constants, few and never freed.
    places: HashMap<(usize, usize), u64, foldhash::fast::RandomState>,
}

impl Names {
    /// The place of a name that a decoder registered.
    fn place(&mut self, name: &'static str) -> u64 {
        let Self {
            registered, places, ..
        } = self;
        *places
            .entry((name.as_ptr().addr(), name.len()))
            .or_insert_with(|| {
                registered.push(name);
                (registered.len() as u64).saturating_sub(1)
            })
    }

    /// The place of a capture's name: a chain has few.
    fn capture(&mut self, name: &Arc<str>) -> u64 {
        let known = self.captures.iter().rposition(|known| known == name);
        let place = known.unwrap_or_else(|| {
            self.captures.push(Arc::clone(name));
            self.captures.len().saturating_sub(1)
        });
        place as u64
    }
}

/// The part of a record that orders it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) time: Timestamp,
    pub(super) key: FlowKey,
    pub(super) number: u64,
}

/// What of a record can be told without reading it whole.
#[derive(Clone, Copy, Debug)]
pub(super) struct Glance {
    pub(super) place: Place,
    /// There is more than counters.
    pub(super) says: bool,
}

impl Glance {
    /// Of no record.
    pub(super) const NONE: Self = {
        let nowhere = Endpoint::new(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 0);
        Self {
            place: Place {
                time: Timestamp::from_nanos(0),
                key: FlowKey {
                    transport: Transport(0),
                    a: nowhere,
                    b: nowhere,
                },
                number: 0,
            },
            says: false,
        }
    };
}
