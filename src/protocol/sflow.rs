//! sFlow version 5 (sflow.org): samples of traffic to a collector.
//!
//! Reads the header and walks the samples; sampled packets are never looked at. Proof is the version, an address of a known
//! family, and samples that fill the datagram.

use std::net::IpAddr;

use super::{About, Datagram, DatagramDecoder, DatagramEntry, Protocol, Reject};
use crate::bytes::Cursor;
use crate::evidence::{Notes, Value};

/// Address of the agent that samples.
const AGENT: &str = "agent";

/// Samples of traffic.
pub(super) const SFLOW: Protocol = Protocol {
    name: "sflow",
    about: About {
        title: "sFlow",
        sources: "sFlow version 5, section 5",
        reads: "The agent's address.",
        proves: "The version, an address of a known family, and samples that fill the datagram.",
        limits: "Sampled packets and counters are not looked at; versions 2 and 4 are not known.",
    },
    attributes: &[AGENT],
    stream: None,
    datagram: Some(DatagramEntry {
        first_byte: |byte| byte == 0,
        start: || Box::new(Samples),
    }),
};

const VERSION: u32 = 5;
/// More samples than these, of eight octets at least, fit in no datagram.
const MAX_SAMPLES: u32 = 8192;

struct Samples;

impl DatagramDecoder for Samples {
    fn datagram(&mut self, datagram: Datagram<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
        let mut cursor = Cursor::new(datagram.bytes);
        if cursor.u32()? != VERSION {
            return Err(Reject::Other);
        }
        let agent = match cursor.u32()? {
            1 => IpAddr::from(*cursor.array::<4>()?),
            2 => IpAddr::from(*cursor.array::<16>()?),
            _ => return Err(Reject::Invalid("family of the address")),
        };
        let (_agent, _sequence, _uptime) = (cursor.u32()?, cursor.u32()?, cursor.u32()?);
        let samples = cursor.u32()?;
        if !(1..=MAX_SAMPLES).contains(&samples) {
            return Err(Reject::Invalid("number of samples"));
        }
        for number in 0..samples {
            let (_format, length) = (cursor.u32()?, cursor.u32()?);
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            if !length.is_multiple_of(4) {
                return Err(Reject::Invalid("length of a sample"));
            }
            match cursor.skip(length) {
                Ok(()) => {}
                Err(_) if datagram.is_cut() && number > 0 => break,
                Err(short) => return Err(short.into()),
            }
        }
        if !cursor.is_empty() && !datagram.is_cut() {
            return Err(Reject::Invalid("length"));
        }
        notes.proved();
        notes.value(AGENT, Value::Address(agent));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{CLIENT, datagrams, only_registered_attributes, protocols, values};
    use super::*;

    fn report(samples: u32, data: &[u8]) -> Vec<u8> {
        let head = [VERSION, 1, 0xc000_0201, 0, 7, 99, samples];
        [&head.map(u32::to_be_bytes).concat()[..], data].concat()
    }

    const SAMPLE: &[u8] = &[0, 0, 0, 1, 0, 0, 0, 4, 1, 2, 3, 4];

    #[test]
    fn the_agent_is_read() {
        let whole = report(2, &[SAMPLE, SAMPLE].concat());
        let recorder = datagrams(&[(CLIENT, &whole)]);
        assert_eq!(protocols(&recorder), ["sflow"]);
        assert_eq!(values(&recorder, "sflow", "agent"), ["192.0.2.1"]);
        only_registered_attributes(&recorder, &[&SFLOW]);
        for length in 0..whole.len() {
            assert!(protocols(&datagrams(&[(CLIENT, &whole[..length])])).is_empty());
        }
    }

    #[test]
    fn samples_that_do_not_fill_the_datagram_are_refused() {
        let odd = [0, 0, 0, 1, 0, 0, 0, 3, 1, 2, 3];
        for bytes in [
            report(1, &[SAMPLE, SAMPLE].concat()),
            report(0, &[]),
            report(1, &odd),
        ] {
            assert!(protocols(&datagrams(&[(CLIENT, &bytes)])).is_empty());
        }
    }
}
