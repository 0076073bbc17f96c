//! RTP and RTCP (RFC 3550), SRTP by its look (RFC 3711), and STUN binding checks (RFC 8489).

use std::net::SocketAddr;

use super::bytes::{cat, hex, pad_to, u8_of, u16_of};
use super::packet::octets;
use super::trace::{Stream, Trace};

/// What a stream carries: payload type, clock ticks and bytes of a packet, and the time between packets.
#[derive(Clone, Copy)]
pub(crate) struct Codec {
    payload_type: u8,
    ticks: u32,
    bytes: usize,
    microseconds: u64,
}

/// G.711 in packets of 20 ms (RFC 3551 §4.5.14).
pub(crate) const PCMU: Codec = Codec {
    payload_type: 0,
    ticks: 160,
    bytes: 160,
    microseconds: 20_000,
};
/// G.723.1 at 6.3 kbit/s in packets of 30 ms (RFC 3551 §4.5.3), which Unified Messaging also speaks.
pub(crate) const G723: Codec = Codec {
    payload_type: 4,
    ticks: 240,
    bytes: 24,
    microseconds: 30_000,
};
/// Microsoft RTAudio, narrow band, in packets of 20 ms (MS-SDPEXT: x-msrta/8000).
pub(crate) const RTAUDIO: Codec = Codec {
    payload_type: 115,
    ticks: 160,
    bytes: 44,
    microseconds: 20_000,
};

impl Codec {
    /// Payload type and name for SDP.
    pub(crate) fn format(self) -> &'static str {
        match self.payload_type {
            0 => "0 PCMU/8000",
            4 => "4 G723/8000",
            _ => "115 x-msrta/8000",
        }
    }
}

/// Two directions of audio between two endpoints.
pub(crate) struct Talk {
    pub(crate) at: u64,
    pub(crate) caller: SocketAddr,
    pub(crate) called: SocketAddr,
    pub(crate) codec: Codec,
    pub(crate) packets: u32,
    /// Whether each packet carries SRTP's ten-byte tag.
    pub(crate) secure: bool,
    /// The packet, by number, that the caller's stream loses on its way.
    pub(crate) lost: Option<u32>,
}

impl Talk {
    /// Writes both streams and says what a receiver should measure.
    pub(crate) fn play(&self, trace: &mut Trace) -> Vec<Stream> {
        vec![
            self.direction(trace, self.at, (self.caller, self.called), self.lost),
            self.direction(trace, self.at + 7_300, (self.called, self.caller), None),
        ]
    }

    /// Only the caller's stream.
    pub(crate) fn play_one_way(&self, trace: &mut Trace) -> Vec<Stream> {
        vec![self.direction(trace, self.at, (self.caller, self.called), self.lost)]
    }

    fn direction(
        &self,
        trace: &mut Trace,
        start: u64,
        (from, to): (SocketAddr, SocketAddr),
        lost: Option<u32>,
    ) -> Stream {
        let ssrc = trace.random.word();
        let first = u16_of(usize::try_from(trace.random.word() % 60_000).expect("small"));
        let clock = trace.random.word();
        for number in 0..self.packets {
            let payload = trace
                .random
                .bytes(self.codec.bytes + if self.secure { 10 } else { 0 });
            if Some(number) == lost {
                continue;
            }
            let count = u16::try_from(number).expect("few");
            let marker = if number == 0 { 0x80 } else { 0 };
            let packet = cat(&[
                &[0x80, marker | self.codec.payload_type],
                &first.wrapping_add(count).to_be_bytes(),
                &clock.wrapping_add(number * self.codec.ticks).to_be_bytes(),
                &ssrc.to_be_bytes(),
                &payload,
            ]);
            // a little jitter, of at most 0.4 ms
            let late = u64::from(ssrc.rotate_left(number) % 400);
            trace.udp(
                start + u64::from(number) * self.codec.microseconds + late,
                from,
                to,
                &packet,
            );
        }
        let lost = u32::from(lost.is_some());
        let count = u16::try_from(self.packets).expect("few");
        let last_sequence = first.wrapping_add(count - 1);
        let last_clock = clock.wrapping_add((self.packets - 1) * self.codec.ticks);
        let payload_type = self.codec.payload_type;
        let packets = self.packets - lost;
        Stream {
            ssrc,
            from,
            to,
            payload_type,
            packets,
            lost,
            last_sequence,
            last_clock,
        }
    }
}

/// One report each way: a sender report of the caller, a receiver report of the called, both with their CNAME.
pub(crate) fn reports(
    trace: &mut Trace,
    at: u64,
    (caller, called): (SocketAddr, SocketAddr),
    codec: Codec,
    streams: &[Stream],
) {
    let [theirs, ours] = streams else {
        panic!("two directions")
    };
    // SSRC, fraction and count of loss, highest sequence number, jitter, last sender report and its age
    let about = |stream: &Stream| {
        let fraction = stream.lost * 256 / (stream.packets + stream.lost);
        let loss = (fraction << 24) | stream.lost;
        let highest = u32::from(stream.last_sequence);
        let words = [stream.ssrc, loss, highest, 6, 0, 0];
        words
            .iter()
            .flat_map(|word| word.to_be_bytes())
            .collect::<Vec<u8>>()
    };
    let sender = cat(&[
        &[0x81, 200, 0, 12],
        &theirs.ssrc.to_be_bytes(),
        // NTP time of 2024-05-02T08:00:00Z
        &(1_714_636_800_u32.wrapping_add(2_208_988_800)).to_be_bytes(),
        &[0x40, 0, 0, 0],
        &theirs.last_clock.to_be_bytes(),
        &theirs.packets.to_be_bytes(),
        &(theirs.packets * u32::try_from(codec.bytes).expect("small")).to_be_bytes(),
        &about(ours),
    ]);
    let receiver = cat(&[&[0x81, 201, 0, 7], &ours.ssrc.to_be_bytes(), &about(theirs)]);
    let one = cat(&[&sender, &description(theirs.ssrc, "gateway@example.com")]);
    let other = cat(&[&receiver, &description(ours.ssrc, "um@example.com")]);
    trace.udp(at, caller, called, &one);
    trace.udp(at + 11_000, called, caller, &other);
}

fn description(ssrc: u32, name: &str) -> Vec<u8> {
    let mut chunk = cat(&[
        &ssrc.to_be_bytes(),
        &[1, u8_of(name.len())],
        name.as_bytes(),
        &[0],
    ]);
    pad_to(&mut chunk, 4);
    cat(&[&[0x81, 202], &u16_of(chunk.len() / 4).to_be_bytes(), &chunk])
}

/// A STUN binding check of ICE and its answer.
pub(crate) fn check(trace: &mut Trace, at: u64, from: SocketAddr, to: SocketAddr) {
    let transaction = trace.random.bytes(12);
    let user = attribute(6, b"h6gT:4kQz");
    let request = cat(&[
        &user,
        &attribute(0x24, &hex("6e0001ff")),
        &attribute(0x802A, &trace.random.bytes(8)),
        &attribute(8, &trace.random.bytes(20)),
    ]);
    let mapped = mapped(from);
    let answer = cat(&[
        &attribute(0x20, &mapped),
        &attribute(8, &trace.random.bytes(20)),
    ]);
    trace.udp(at, from, to, &stun(0x0001, &transaction, &request));
    trace.udp(at + 1_900, to, from, &stun(0x0101, &transaction, &answer));
}

/// A client asks a relay for an address: it is challenged, signs, and gets one, or is refused as before (RFC 8656 §7).
pub(crate) fn allocate(trace: &mut Trace, at: u64, from: SocketAddr, to: SocketAddr, given: bool) {
    let wanted = attribute(0x19, &[17, 0, 0, 0]);
    let challenge = cat(&[
        &attribute(9, b"\0\0\x04\x01Unauthorized"),
        &attribute(0x14, b"example.com"),
        &attribute(0x15, b"f3a9c04d"),
    ]);
    let signed = cat(&[
        &wanted,
        &attribute(6, b"relayed-user"),
        &attribute(0x14, b"example.com"),
        &attribute(0x15, b"f3a9c04d"),
        &attribute(8, &trace.random.bytes(20)),
    ]);
    let relayed = SocketAddr::new(to.ip(), 50_210);
    let granted = cat(&[
        &attribute(0x16, &mapped(relayed)),
        &attribute(0x20, &mapped(from)),
        &attribute(0x0D, &600_u32.to_be_bytes()),
        &attribute(8, &trace.random.bytes(20)),
    ]);
    let (kind, answer) = if given {
        (0x0103, &granted)
    } else {
        (0x0113, &challenge)
    };
    let exchanges = [(&wanted, 0x0113, &challenge), (&signed, kind, answer)];
    for ((request, kind, answer), at) in exchanges.into_iter().zip([at, at + 5_000]) {
        let transaction = trace.random.bytes(12);
        trace.udp(at, from, to, &stun(0x0003, &transaction, request));
        trace.udp(at + 1_700, to, from, &stun(kind, &transaction, answer));
    }
}

fn stun(kind: u16, transaction: &[u8], attributes: &[u8]) -> Vec<u8> {
    cat(&[
        &kind.to_be_bytes(),
        &u16_of(attributes.len()).to_be_bytes(),
        &hex("2112a442"),
        transaction,
        attributes,
    ])
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut out = cat(&[
        &kind.to_be_bytes(),
        &u16_of(value.len()).to_be_bytes(),
        value,
    ]);
    pad_to(&mut out, 4);
    out
}

/// XOR-MAPPED-ADDRESS (RFC 8489 §14.2).
fn mapped(endpoint: SocketAddr) -> Vec<u8> {
    let plain = cat(&[&endpoint.port().to_be_bytes(), &octets(endpoint.ip())]);
    let mask = hex("21122112a442");
    let masked: Vec<u8> = plain
        .iter()
        .zip(mask)
        .map(|(byte, mask)| byte ^ mask)
        .collect();
    cat(&[&[0, 1], &masked])
}
