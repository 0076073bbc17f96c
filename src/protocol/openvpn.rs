//! OpenVPN in datagrams and, behind a length, on a stream: how its control channel is protected, and the TLS handshake in
//! it (the protocol's description in `openvpn-protocol` of the project's documentation, and its wire-protocol draft).
//!
//! Proves: a reset, with which both sides begin, whose fields add up to the packet in one of the four forms (bare, signed by
//! `tls-auth`, encrypted by `tls-crypt` or its second version); or, where no reset was captured, a control packet whose
//! payload is a TLS hello. Packets of the data channel prove nothing, and an obfuscated tunnel is not recognised: it
//! is made to look like nothing.

use super::tls::{self, Carried};
use super::{
    About, Datagram, DatagramDecoder, DatagramEntry, Opening, Probe, Protocol, Reject, Step,
    StreamDecoder, StreamEntry,
};
use crate::bytes::Cursor;
use crate::evidence::Notes;
use crate::net::Side;
use crate::open_enum;

/// OpenVPN.
pub(super) const OPENVPN: Protocol = Protocol {
    name: "openvpn",
    about: About {
        title: "OpenVPN",
        sources: "OpenVPN wire protocol (draft-openvpn-wire-protocol)",
        reads: "Resets and control packets; the TLS handshake in them where they are not encrypted.",
        proves: "A reset whose fields add up to the packet, or a control packet that carries a TLS hello.",
        limits: "The data channel is not read; obfuscated tunnels are not recognised.",
    },
    attributes: &[PROTECTION, DIGEST_BYTES],
    stream: Some(StreamEntry {
        // The high byte of the length of a reset.
        first_byte: |byte| byte <= MAX_FIRST_BYTE,
        probe,
        start: || Box::<Session>::default(),
    }),
    datagram: Some(DatagramEntry {
        first_byte: |byte| Opcode::of(byte).name().is_some(),
        start: || Box::<Session>::default(),
    }),
};

/// How the control channel is protected below TLS: `none`, `tls_auth`, `tls_crypt` or `tls_crypt_v2`.
const PROTECTION: &str = "protection";
/// Bytes of the signature of `tls_auth`, by which its hash is known.
const DIGEST_BYTES: &str = "digest_bytes";

/// High byte of the length of a packet that fits a network packet.
const MAX_FIRST_BYTE: u8 = 6;
/// Least bytes of a packet: opcode, session and an empty list of acknowledgements.
const MIN_PACKET: usize = 10;
const MAX_PACKET: usize = (MAX_FIRST_BYTE as usize) << 8 | 0xff;
/// Lengths of the hashes in use: MD5, SHA-1 and the SHA-2 family.
const DIGESTS: [usize; 6] = [16, 20, 28, 32, 48, 64];
/// Packet number and time, against replay.
const REPLAY: usize = 8;
/// Signature of `tls-crypt`.
const CRYPT_TAG: usize = 32;
/// Acknowledgements in one packet.
const MAX_ACKS: u8 = 8;
/// Least bytes of the wrapped key of `tls-crypt-v2`: a tag, the key and a length.
const MIN_WRAPPED: usize = CRYPT_TAG + 256 + 2;
/// First packet numbers: that of the start, and the one by which newer ends tell that they can delay their state.
const FIRST_NUMBERS: [u32; 2] = [1, 0x0f00_0001];

open_enum! {
    /// What a packet is; the upper five bits of its first byte.
    struct Opcode(u8) {
        /// New keys.
        SOFT_RESET = 3 => "soft_reset",
        /// Control channel.
        CONTROL = 4 => "control",
        /// Acknowledgements alone.
        ACK = 5 => "ack",
        /// Data channel.
        DATA_V1 = 6 => "data_v1",
        /// The client begins.
        CLIENT_RESET = 7 => "client_reset",
        /// The server answers.
        SERVER_RESET = 8 => "server_reset",
        /// Data channel with a peer's number.
        DATA_V2 = 9 => "data_v2",
        /// The client begins, with its wrapped key.
        CLIENT_RESET_V3 = 10 => "client_reset_v3",
        /// Control channel, with the wrapped key.
        CONTROL_WRAPPED = 11 => "control_wrapped",
    }
}

impl Opcode {
    const fn of(first: u8) -> Self {
        Self(first >> 3)
    }

    const fn is_data(self) -> bool {
        matches!(self, Self::DATA_V1 | Self::DATA_V2)
    }
}

/// How the control channel is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protection {
    None,
    Auth { digest: usize },
    Crypt,
    CryptV2,
}

/// What a control packet carries in clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Control<'a> {
    acks: u8,
    /// Of acknowledgements alone there is none.
    number: u32,
    payload: &'a [u8],
}

impl<'a> Control<'a> {
    /// Reads a packet that is not encrypted.
    fn parse(bytes: &'a [u8], protection: Protection) -> Option<Self> {
        let mut cursor = Cursor::new(bytes);
        cursor.skip(9).ok()?;
        match protection {
            Protection::None => {}
            Protection::Auth { digest } => cursor.skip(digest.saturating_add(REPLAY)).ok()?,
            Protection::Crypt | Protection::CryptV2 => return None,
        }
        let acks = cursor.u8().ok().filter(|acks| *acks <= MAX_ACKS)?;
        cursor.skip(usize::from(acks).saturating_mul(4)).ok()?;
        if acks > 0 {
            cursor.skip(8).ok()?;
        }
        Some(Self {
            acks,
            number: cursor.u32().ok()?,
            payload: cursor.rest(),
        })
    }
}

/// How the control channel is protected, if a packet proves that it is one.
fn prove(bytes: &[u8]) -> Option<Protection> {
    let mut cursor = Cursor::new(bytes);
    let first = cursor.u8().ok()?;
    let opcode = Opcode::of(first);
    // The first key has number 0.
    (first & 7 == 0 && cursor.u64().ok()? != 0).then_some(())?;
    if opcode == Opcode::CONTROL {
        let is_hello = |protection: &Protection| {
            let control = Control::parse(bytes, *protection);
            control.is_some_and(|control| Carried::is_start(control.payload))
        };
        return in_clear().find(is_hello);
    }
    // Acknowledged by a server is the client's reset.
    let (acks, acked) = match opcode {
        Opcode::CLIENT_RESET => (0, 0),
        Opcode::SERVER_RESET => (1, 12),
        Opcode::CLIENT_RESET_V3 => return is_crypt_v2(bytes).then_some(Protection::CryptV2),
        _ => return None,
    };
    let is_reset = |protection: &Protection| {
        Control::parse(bytes, *protection).is_some_and(|control| {
            let is_exact = control.payload.is_empty() && control.acks == acks;
            is_exact && control.number == 0 && is_first(bytes, *protection)
        })
    };
    in_clear().find(is_reset).or_else(|| {
        let length = 9 + REPLAY + CRYPT_TAG + 5 + acked;
        let is_first = is_first(bytes, Protection::Crypt);
        (bytes.len() == length && is_first).then_some(Protection::Crypt)
    })
}

fn in_clear() -> impl Iterator<Item = Protection> {
    let signed = DIGESTS.map(|digest| Protection::Auth { digest });
    std::iter::once(Protection::None).chain(signed)
}

/// Whether the number against replay is that of a first packet.
fn is_first(bytes: &[u8], protection: Protection) -> bool {
    let at = match protection {
        Protection::None => return true,
        Protection::Auth { digest } => digest.saturating_add(9),
        Protection::Crypt | Protection::CryptV2 => 9,
    };
    let number = bytes
        .get(at..)
        .and_then(|rest| Cursor::new(rest).u32().ok());
    number.is_some_and(|number| FIRST_NUMBERS.contains(&number))
}

/// Whether a packet is a reset with a wrapped key, whose length stands at its end.
fn is_crypt_v2(bytes: &[u8]) -> bool {
    let reset = 9 + REPLAY + CRYPT_TAG + 5;
    let wrapped = bytes.len().checked_sub(reset);
    let said = bytes
        .last_chunk::<2>()
        .map(|length| usize::from(u16::from_be_bytes(*length)));
    let is_whole = wrapped == said && wrapped >= Some(MIN_WRAPPED);
    is_whole && is_first(bytes, Protection::CryptV2)
}

/// Both directions.
#[derive(Default)]
struct Session {
    protection: Option<Protection>,
    carried: Carried,
}

impl Session {
    /// Reads one packet.
    fn packet(&mut self, bytes: &[u8], notes: &mut Notes<'_>) -> Result<(), Reject> {
        let first = bytes.first().copied().unwrap_or(0);
        let opcode = Opcode::of(first);
        let protection = match (self.protection, opcode) {
            // A client may begin anew, in another form.
            (None, _) | (_, Opcode::CLIENT_RESET) => match (prove(bytes), self.protection) {
                (Some(protection), _) => self.begin(protection, opcode, notes),
                (None, Some(protection)) => protection,
                (None, None) => return Err(Reject::Other),
            },
            (Some(protection), _) if opcode.name().is_some() => protection,
            _ => return Err(Reject::Invalid("opcode")),
        };
        // Of the keys that follow later nothing new is learned.
        if opcode == Opcode::CONTROL
            && first & 7 == 0
            && let Some(control) = Control::parse(bytes, protection)
        {
            let side = notes.side();
            let mut notes = notes.inside(tls::TLS.name);
            self.carried
                .message(side, control.number, control.payload, &mut notes);
        }
        Ok(())
    }

    fn begin(
        &mut self,
        protection: Protection,
        opcode: Opcode,
        notes: &mut Notes<'_>,
    ) -> Protection {
        self.protection = Some(protection);
        notes.proved();
        let sender = notes.side();
        match opcode {
            Opcode::CLIENT_RESET | Opcode::CLIENT_RESET_V3 => notes.client(sender),
            Opcode::SERVER_RESET => notes.client(sender.other()),
            _ => {}
        }
        notes.text(
            PROTECTION,
            match protection {
                Protection::None => "none",
                Protection::Auth { .. } => "tls_auth",
                Protection::Crypt => "tls_crypt",
                Protection::CryptV2 => "tls_crypt_v2",
            },
        );
        if let Protection::Auth { digest } = protection {
            notes.number(DIGEST_BYTES, digest as u64);
        }
        protection
    }

    /// Whether nothing more can be seen.
    const fn is_done(&self) -> bool {
        let is_hidden = matches!(
            self.protection,
            Some(Protection::Crypt | Protection::CryptV2)
        );
        is_hidden || self.carried.is_done()
    }
}

impl DatagramDecoder for Session {
    fn datagram(&mut self, datagram: Datagram<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
        if datagram.is_cut() || self.is_done() {
            return if self.protection.is_some() {
                Ok(())
            } else {
                Err(Reject::Other)
            };
        }
        self.packet(datagram.bytes, notes)
    }
}

fn probe(opening: &Opening<'_>) -> Probe {
    opening.either(look)
}

/// Whether one side begins with a packet that proves the protocol.
fn look(bytes: &[u8]) -> Probe {
    let mut cursor = Cursor::new(bytes);
    let Ok(length) = cursor.u16().map(usize::from) else {
        return match bytes {
            [] => Probe::No,
            _ => Probe::More,
        };
    };
    let opcode = cursor.peek().map(Opcode::of);
    let can_begin = matches!(
        opcode,
        None | Some(
            Opcode::CLIENT_RESET | Opcode::SERVER_RESET | Opcode::CLIENT_RESET_V3 | Opcode::CONTROL
        )
    );
    if !can_begin || !(MIN_PACKET..=MAX_PACKET).contains(&length) {
        return Probe::No;
    }
    match cursor.take(length) {
        Ok(packet) if prove(packet).is_some() => Probe::Yes,
        Ok(_) => Probe::No,
        Err(_) => Probe::More,
    }
}

impl StreamDecoder for Session {
    fn data(&mut self, side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        let _ = side;
        let mut cursor = Cursor::new(bytes);
        loop {
            let consumed = cursor.offset();
            if cursor.is_empty() {
                return Step::Consumed;
            }
            let need = |at_least| Step::NeedMore { consumed, at_least };
            let Ok(length) = cursor.u16().map(usize::from) else {
                return need(2);
            };
            let Some(first) = cursor.peek() else {
                return need(3);
            };
            let is_data = Opcode::of(first).is_data();
            if length == 0 || (!is_data && length > MAX_PACKET) {
                return Step::Reject(Reject::Invalid("length"));
            }
            if is_data && self.protection.is_some() {
                return Step::Skip {
                    consumed: cursor.offset(),
                    bytes: length as u64,
                };
            }
            let Ok(packet) = cursor.take(length) else {
                return need(length.saturating_add(2));
            };
            if let Err(reject) = self.packet(packet, notes) {
                return Step::Reject(reject);
            }
            if self.is_done() {
                return Step::Done;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        CLIENT, SERVER, conversation, datagrams, only_registered_attributes, protocols,
        survives_every_cut, values,
    };
    use super::*;

    /// A packet with a signature of `digest` bytes, if any.
    fn packet(opcode: u8, digest: usize, acks: &[u32], number: u32, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![opcode << 3];
        bytes.extend([opcode; 8]);
        if digest > 0 {
            bytes.extend(vec![0xd1; digest]);
            bytes.extend([0, 0, 0, 1, 0x60, 0, 0, 0]);
        }
        bytes.push(acks.len() as u8);
        for ack in acks {
            bytes.extend(ack.to_be_bytes());
        }
        if !acks.is_empty() {
            bytes.extend([0x77; 8]);
        }
        bytes.extend(number.to_be_bytes());
        bytes.extend(payload);
        bytes
    }

    /// A TLS hello for `vpn.test`, as a record.
    fn hello() -> Vec<u8> {
        let mut body = vec![3, 3];
        body.extend([7; 32]);
        body.extend([0, 0, 2, 0xc0, 0x2f, 1, 0, 0, 17]);
        body.extend(b"\0\0\0\x0d\0\x0b\0\0\x08vpn.test");
        let length = body.len() as u8;
        let mut record = vec![22, 3, 1, 0, length + 4, 1, 0, 0, length];
        record.extend(body);
        record
    }

    fn session(digest: usize) -> Vec<(Side, Vec<u8>)> {
        let hello = hello();
        let (start, end) = hello.split_at(40);
        vec![
            (CLIENT, packet(7, digest, &[], 0, b"")),
            (SERVER, packet(8, digest, &[0], 0, b"")),
            (CLIENT, packet(4, digest, &[0], 1, start)),
            (CLIENT, packet(4, digest, &[], 2, end)),
        ]
    }

    fn borrowed(played: &[(Side, Vec<u8>)]) -> Vec<(Side, &[u8])> {
        played
            .iter()
            .map(|(side, bytes)| (*side, &bytes[..]))
            .collect()
    }

    #[test]
    fn the_handshake_in_a_bare_and_in_a_signed_channel_is_read() {
        for (digest, protection) in [(0, "none"), (20, "tls_auth"), (64, "tls_auth")] {
            let played = session(digest);
            let recorder = datagrams(&borrowed(&played));
            assert_eq!(protocols(&recorder), ["openvpn", "tls"]);
            assert_eq!(values(&recorder, "openvpn", "protection"), [protection]);
            assert_eq!(values(&recorder, "tls", "server_name"), ["vpn.test"]);
            assert_eq!(recorder.client, Some(CLIENT));
            only_registered_attributes(&recorder, &[&OPENVPN]);
        }
        let signed = session(20);
        let recorder = datagrams(&borrowed(&signed));
        assert_eq!(values(&recorder, "openvpn", "digest_bytes"), ["20"]);
    }

    #[test]
    fn packets_out_of_order_and_repeated_are_put_in_order() {
        let mut played = session(0);
        let hello = hello();
        let (first, rest) = hello.split_at(60);
        played.truncate(2);
        let third = packet(4, 0, &[], 3, &rest[2..]);
        let second = packet(4, 0, &[], 2, &rest[..2]);
        for number in [1, 1] {
            played.push((CLIENT, packet(4, 0, &[], number, first)));
        }
        played.push((CLIENT, third));
        played.push((CLIENT, second));
        let recorder = datagrams(&borrowed(&played));
        assert_eq!(values(&recorder, "tls", "server_name"), ["vpn.test"]);
    }

    #[test]
    fn an_encrypted_channel_is_told_from_a_signed_one() {
        let mut client = vec![7 << 3];
        client.extend([1; 8]);
        client.extend([0, 0, 0, 1, 0x60, 0, 0, 0]);
        client.extend([0xc5; CRYPT_TAG + 5]);
        let recorder = datagrams(&[(CLIENT, &client)]);
        assert_eq!(values(&recorder, "openvpn", "protection"), ["tls_crypt"]);
        client[0] = 10 << 3;
        client.extend([0x11; MIN_WRAPPED - 2]);
        client.extend((MIN_WRAPPED as u16).to_be_bytes());
        let recorder = datagrams(&[(CLIENT, &client)]);
        assert_eq!(values(&recorder, "openvpn", "protection"), ["tls_crypt_v2"]);
        client.push(0);
        assert!(protocols(&datagrams(&[(CLIENT, &client)])).is_empty());
    }

    #[test]
    fn a_stream_is_read_in_any_segments_and_from_the_hello_on() {
        let mut played = session(32);
        played.insert(2, (SERVER, vec![6 << 3; 40]));
        for (_, packet) in &mut played {
            let length = (packet.len() as u16).to_be_bytes();
            packet.splice(0..0, length);
        }
        let recorder = conversation(&borrowed(&played));
        assert_eq!(protocols(&recorder), ["openvpn", "tls"]);
        assert_eq!(values(&recorder, "tls", "server_name"), ["vpn.test"]);
        survives_every_cut(&borrowed(&played));

        let control = packet(4, 20, &[0], 1, &hello());
        assert_eq!(
            protocols(&datagrams(&[(CLIENT, &control)])),
            ["openvpn", "tls"]
        );
    }

    #[test]
    fn others_and_obfuscated_packets_are_refused() {
        let mut longer = packet(7, 20, &[], 0, b"");
        longer.push(0);
        let number = packet(7, 20, &[], 5, b"");
        let mut masked = packet(7, 20, &[], 0, b"");
        for byte in &mut masked {
            *byte ^= 0x6b;
        }
        let data = vec![6 << 3; 54];
        let dns = b"\x38\0\x01\0\0\x01\0\0\0\0\0\0\x01a\0\0\x01\0\x01";
        for other in [&longer[..], &number, &masked, &data, dns] {
            assert!(!protocols(&datagrams(&[(CLIENT, other)])).contains(&"openvpn"));
            let length = (other.len() as u16).to_be_bytes();
            let framed = [&length[..], other].concat();
            assert!(!protocols(&conversation(&[(CLIENT, &framed)])).contains(&"openvpn"));
        }
    }
}
