//! Control of H.323 calls (ITU-T H.245) in packets of TPKT, without X.224: kinds of messages, and where media will go.
//!
//! A stream is known by a terminal capability set (its protocol identifier), by a master-slave determination of exact
//! length, or by a logical channel that decodes as a whole; on any port, since the port is agreed in H.225.0. The same
//! messages arrive inside H.225.0, as fast start and by tunnelling. Offers an address only where every field before it was
//! understood: channels of data, with encryption, or with capabilities outside the usual, offer nothing.

mod channel;

use super::per::{Choice, Per};
use super::{About, Opening, Probe, Protocol, Reject, Step, StreamDecoder, StreamEntry, tpkt};
use crate::evidence::Notes;
use crate::net::Side;
use channel::{Channel, acknowledgement, open_channel};

/// Kind of message: `terminal_capability_set`, `open_logical_channel` ...
const MESSAGE: &str = "message";

/// H.245.
pub(super) const H245: Protocol = Protocol {
    name: "h245",
    about: About {
        title: "H.245 call control of H.323",
        sources: "ITU-T H.245, H.323, X.691",
        reads: "Kinds of messages; media addresses of logical channels, each of which becomes an offer.",
        proves: "A capability set with its protocol identifier, a master-slave determination of exact length, or a whole channel.",
        limits: "Capabilities are not listed; channels with unusual capabilities show no address.",
    },
    attributes: &[MESSAGE],
    stream: Some(StreamEntry {
        first_byte: |byte| byte == 3,
        probe,
        start: || Box::new(Control),
    }),
    datagram: None,
};

/// Requests, responses, commands and indications by their index (H.245 annex A).
const REQUESTS: [&str; 11] = [
    "non_standard",
    "master_slave_determination",
    "terminal_capability_set",
    "open_logical_channel",
    "close_logical_channel",
    "request_channel_close",
    "multiplex_entry_send",
    "request_multiplex_entry",
    "request_mode",
    "round_trip_delay_request",
    "maintenance_loop_request",
];
const RESPONSES: [&str; 19] = [
    "non_standard",
    "master_slave_determination_ack",
    "master_slave_determination_reject",
    "terminal_capability_set_ack",
    "terminal_capability_set_reject",
    "open_logical_channel_ack",
    "open_logical_channel_reject",
    "close_logical_channel_ack",
    "request_channel_close_ack",
    "request_channel_close_reject",
    "multiplex_entry_send_ack",
    "multiplex_entry_send_reject",
    "request_multiplex_entry_ack",
    "request_multiplex_entry_reject",
    "request_mode_ack",
    "request_mode_reject",
    "round_trip_delay_response",
    "maintenance_loop_ack",
    "maintenance_loop_reject",
];
const COMMANDS: [&str; 7] = [
    "non_standard",
    "maintenance_loop_off_command",
    "send_terminal_capability_set",
    "encryption_command",
    "flow_control_command",
    "end_session_command",
    "miscellaneous_command",
];
const INDICATIONS: [&str; 14] = [
    "non_standard",
    "function_not_understood",
    "master_slave_determination_release",
    "terminal_capability_set_release",
    "open_logical_channel_confirm",
    "request_channel_close_release",
    "multiplex_entry_send_release",
    "request_multiplex_entry_release",
    "request_mode_release",
    "miscellaneous_indication",
    "jitter_indication",
    "h223_skew_indication",
    "new_atm_vc_indication",
    "user_input",
];
/// Object identifier of H.245 but for its version: {itu-t recommendation h 245 version}.
const IDENTIFIER: [u8; 5] = [0, 8, 0x81, 0x75, 0];

fn probe(opening: &Opening<'_>) -> Probe {
    opening.either(probe_side)
}

/// Looks for a message that is proof behind those that are none.
fn probe_side(bytes: &[u8]) -> Probe {
    let mut rest = bytes;
    while !rest.is_empty() {
        match tpkt::packet(rest) {
            Ok((content, length)) => {
                match Message::parse(content) {
                    Some(message) if message.is_proof => return Probe::Yes,
                    Some(_) => {}
                    None if content.is_empty() => {}
                    None => return Probe::No,
                }
                rest = rest.get(length..).unwrap_or_default();
            }
            Err(Reject::Short(_)) => return Probe::More,
            Err(_) => return Probe::No,
        }
    }
    if bytes.is_empty() {
        Probe::No
    } else {
        Probe::More
    }
}

struct Control;

impl StreamDecoder for Control {
    fn data(&mut self, _side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        match tpkt::packet(bytes) {
            Ok((content, length)) => {
                message(content, "", notes);
                Step::Skip {
                    consumed: length,
                    bytes: 0,
                }
            }
            Err(reject) => reject.into_step(0, bytes.len()),
        }
    }

    fn resume(&mut self, _side: Side, bytes: &[u8]) -> Option<usize> {
        let (content, _) = tpkt::packet(bytes).ok()?;
        Message::parse(content).map(|_| 0)
    }
}

/// Notes one message of the call `call_id`; messages that are not understood say nothing.
pub(super) fn message(content: &[u8], call_id: &str, notes: &mut Notes<'_>) {
    let Some(message) = Message::parse(content) else {
        return;
    };
    if message.is_proof {
        notes.proved();
    }
    notes.text(MESSAGE, message.name);
    for channel in message.channels {
        channel.offer(call_id, notes);
    }
}

/// Offers the addresses of a logical channel that was proposed with the call itself (H.323 section 8.1.7).
pub(super) fn fast_start(channel: &[u8], call_id: &str, notes: &mut Notes<'_>) {
    let mut channels = Vec::new();
    if open_channel(&mut Per::new(channel), &mut channels).is_some() {
        for channel in channels {
            channel.offer(call_id, notes);
        }
    }
}

/// A message, as far as it is read.
#[derive(Debug)]
struct Message {
    name: &'static str,
    is_proof: bool,
    channels: Vec<Channel>,
}

impl Message {
    fn parse(content: &[u8]) -> Option<Self> {
        let mut per = Per::new(content);
        let mut channels = Vec::new();
        let names: &[&str] = match per.choice(4)? {
            Choice::Root(0) => &REQUESTS,
            Choice::Root(1) => &RESPONSES,
            Choice::Root(2) => &COMMANDS,
            Choice::Root(3) => &INDICATIONS,
            Choice::Root(_) | Choice::Extension(..) => return None,
        };
        let root = u32::try_from(names.len()).ok()?;
        let name = match per.choice(root)? {
            Choice::Root(index) => names.get(usize::try_from(index).ok()?)?,
            Choice::Extension(..) if per.offset() == content.len() => "extension",
            Choice::Extension(..) => return None,
        };
        let is_understood = match name {
            "master_slave_determination" => determination(&mut per).is_some(),
            "terminal_capability_set" => capability_set(&mut per).is_some(),
            "open_logical_channel" => open_channel(&mut per, &mut channels).is_some(),
            "open_logical_channel_ack" => acknowledgement(&mut per, &mut channels).is_some(),
            _ => false,
        };
        // A capability set is proven by its identifier; the rest is not read.
        let is_whole = name == "terminal_capability_set" || per.offset() == content.len();
        let is_channel = name.starts_with("open") && channels.is_empty();
        let is_proof = is_understood && is_whole && !is_channel;
        Some(Self {
            name,
            is_proof,
            channels: if is_proof { channels } else { Vec::new() },
        })
    }
}

fn determination(per: &mut Per<'_>) -> Option<()> {
    let is_extended = per.flag()?;
    let _terminal_type = per.number(256)?;
    let _number = per.number(1 << 24)?;
    per.skip_additions(is_extended)
}

fn capability_set(per: &mut Per<'_>) -> Option<()> {
    // Extension, and three optional tables.
    per.bits(4)?;
    let _sequence = per.number(256)?;
    is_identifier(per.string()?, &IDENTIFIER).then_some(())
}

/// Whether an object identifier is that one, with a version behind it.
pub(super) fn is_identifier(name: &[u8], identifier: &[u8; 5]) -> bool {
    matches!(name.strip_prefix(identifier), Some([_]))
}

#[cfg(test)]
mod tests;
