//! A sample under construction: its packets, and what is known of its flows because they were built that way.

use std::net::{IpAddr, SocketAddr};

use super::bytes::Prng;
use super::packet::{Identifications, Packet, TCP, UDP};

/// A frame with the time of its capture.
#[derive(Clone)]
pub(crate) struct Frame {
    /// Microseconds since 1970-01-01T00:00:00Z.
    pub(crate) time: u64,
    pub(crate) bytes: Vec<u8>,
}

/// What a flow of a sample is, in the words of the output contract.
#[derive(Clone)]
pub(crate) struct Flow {
    pub(crate) transport: &'static str,
    pub(crate) client: SocketAddr,
    pub(crate) server: SocketAddr,
    pub(crate) service: Option<&'static str>,
    pub(crate) protocols: &'static [&'static str],
    pub(crate) encryption: &'static str,
    pub(crate) mutual: bool,
    pub(crate) state: &'static str,
    pub(crate) verdict: &'static str,
    pub(crate) findings: &'static [&'static str],
    pub(crate) tunnel: &'static [&'static str],
    pub(crate) note: &'static str,
    /// Packets and IP bytes, client to server and back: counted when the sample is finished, fragments as what they are
    /// fragments of.
    pub(crate) packets: [u64; 2],
    pub(crate) bytes: [u64; 2],
}

impl Flow {
    /// A flow of the healthy kind; the rest is said with the methods below.
    pub(crate) fn tcp(client: SocketAddr, server: SocketAddr, service: &'static str) -> Self {
        Self {
            transport: "tcp",
            client,
            server,
            service: Some(service),
            protocols: &[],
            encryption: "none",
            mutual: false,
            state: "closed",
            verdict: "documented",
            findings: &[],
            tunnel: &[],
            note: "",
            packets: [0; 2],
            bytes: [0; 2],
        }
    }

    pub(crate) fn udp(client: SocketAddr, server: SocketAddr, service: &'static str) -> Self {
        Self {
            transport: "udp",
            state: "two_way",
            ..Self::tcp(client, server, service)
        }
    }

    pub(crate) fn unknown(self) -> Self {
        Self {
            service: None,
            ..self
        }
    }

    pub(crate) fn proves(self, protocols: &'static [&'static str]) -> Self {
        Self { protocols, ..self }
    }

    pub(crate) fn encrypted(self, encryption: &'static str) -> Self {
        Self { encryption, ..self }
    }

    /// Inside TLS, which shows nothing of the service.
    pub(crate) fn sealed(self) -> Self {
        self.proves(&["tls"]).encrypted("tls").verdict("unproven")
    }

    pub(crate) fn state(self, state: &'static str) -> Self {
        Self { state, ..self }
    }

    pub(crate) fn verdict(self, verdict: &'static str) -> Self {
        Self { verdict, ..self }
    }

    pub(crate) fn finds(self, findings: &'static [&'static str]) -> Self {
        Self { findings, ..self }
    }

    /// Both ends showed a certificate.
    pub(crate) fn mutual(self) -> Self {
        Self {
            mutual: true,
            ..self
        }
    }

    /// Its frames carry the tag of the office network.
    pub(crate) fn tagged(self) -> Self {
        Self {
            tunnel: &["vlan:101"],
            ..self
        }
    }

    pub(crate) fn note(self, note: &'static str) -> Self {
        Self { note, ..self }
    }

    /// Counts a packet that is one of the flow's.
    fn count(&mut self, packet: &Packet, bytes: u64) {
        let source = SocketAddr::new(packet.source, packet.ports.0);
        let destination = SocketAddr::new(packet.destination, packet.ports.1);
        let [forth, back] = &mut self.packets;
        let [bytes_forth, bytes_back] = &mut self.bytes;
        if (source, destination) == (self.client, self.server) {
            *forth += 1;
            *bytes_forth += bytes;
        } else if (source, destination) == (self.server, self.client) {
            *back += 1;
            *bytes_back += bytes;
        }
    }
}

/// An endpoint that a server announced: an RPC tower or an SDP media line.
#[derive(Clone)]
pub(crate) struct Announced {
    pub(crate) kind: &'static str,
    pub(crate) endpoint: SocketAddr,
    /// RPC: the interface as `uuid vMAJOR.MINOR`. Media: the call id.
    pub(crate) what: String,
    /// RPC: the interface's name. Media: its profile.
    pub(crate) name: &'static str,
    pub(crate) service: &'static str,
}

/// A SIP dialogue.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) id: Option<&'static str>,
    pub(crate) result: Option<u16>,
    pub(crate) streams: Vec<Stream>,
}

/// One direction of RTP.
#[derive(Clone)]
pub(crate) struct Stream {
    pub(crate) ssrc: u32,
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) payload_type: u8,
    pub(crate) packets: u32,
    pub(crate) lost: u32,
    pub(crate) last_sequence: u16,
    pub(crate) last_clock: u32,
}

/// Only IPv4 packets travel in fragments, and none has options.
const IPV4_HEADER: usize = 20;

/// 2024-05-02T08:00:00Z.
pub(crate) const START: u64 = 1_714_636_800;

pub(crate) struct Trace {
    /// Start, seconds since 1970.
    pub(crate) start: u64,
    pub(crate) packets: Vec<Packet>,
    pub(crate) flows: Vec<Flow>,
    pub(crate) announced: Vec<Announced>,
    pub(crate) calls: Vec<Call>,
    pub(crate) random: Prng,
}

impl Trace {
    pub(crate) fn new(start: u64, seed: u64) -> Self {
        Self {
            start,
            packets: Vec::new(),
            flows: Vec::new(),
            announced: Vec::new(),
            calls: Vec::new(),
            random: Prng::new(seed),
        }
    }

    pub(crate) fn flow(&mut self, flow: Flow) {
        self.flows.push(flow);
    }

    pub(crate) fn udp(&mut self, at: u64, from: SocketAddr, to: SocketAddr, payload: &[u8]) {
        self.packets.push(Packet::udp(at, from, to, payload));
    }

    /// A question and, `wait` microseconds later, its answer.
    pub(crate) fn exchange(
        &mut self,
        at: u64,
        client: SocketAddr,
        server: SocketAddr,
        (question, answer): (&[u8], &[u8]),
    ) {
        self.udp(at, client, server, question);
        self.udp(at + 730, server, client, answer);
    }

    /// The frames alone, in the order of time.
    pub(crate) fn frames(mut self) -> Vec<Frame> {
        self.packets.sort_by_key(|packet| packet.at);
        let mut ids = Identifications::default();
        let mut frames = Vec::new();
        for packet in &self.packets {
            for (number, (bytes, _)) in (0..).zip(packet.frames(&mut ids)) {
                let time = self.start * 1_000_000 + packet.at + number * 12;
                frames.push(Frame { time, bytes });
            }
        }
        frames
    }

    /// The frames in the order of time, and the flows with their volumes, in the order of their first packets.
    pub(crate) fn finish(mut self) -> Finished {
        self.packets.sort_by_key(|packet| packet.at);
        let mut ids = Identifications::default();
        let mut frames = Vec::new();
        let mut first = vec![None; self.flows.len()];
        let mut fragments = 0;
        for packet in &self.packets {
            let pieces = packet.frames(&mut ids);
            // A datagram in fragments counts once, with the length that it has when it is whole again.
            let repeated = pieces.len().saturating_sub(1);
            let bytes: usize = pieces.iter().map(|(_, bytes)| bytes).sum();
            let bytes = u64::try_from(bytes - repeated * IPV4_HEADER).expect("few");
            fragments += repeated;
            for (flow, first) in self.flows.iter_mut().zip(&mut first) {
                let before = flow.packets;
                if transport_of(flow) == packet.protocol {
                    flow.count(packet, bytes);
                }
                if flow.packets != before && first.is_none() {
                    *first = Some(frames.len());
                }
            }
            for (number, (bytes, _)) in (0..).zip(pieces) {
                let time = self.start * 1_000_000 + packet.at + number * 12;
                frames.push(Frame { time, bytes });
            }
        }
        let mut flows: Vec<_> = first.into_iter().zip(self.flows).collect();
        flows.sort_by_key(|(first, _)| *first);
        let flows: Vec<Flow> = flows.into_iter().map(|(_, flow)| flow).collect();
        for flow in &flows {
            assert_ne!(
                flow.packets,
                [0, 0],
                "flow without packets: {} {}",
                flow.client,
                flow.server
            );
        }
        let claimed: u64 = flows.iter().flat_map(|flow| flow.packets).sum();
        let icmp = self
            .packets
            .iter()
            .filter(|packet| packet.protocol == super::packet::ICMP)
            .count();
        assert_eq!(
            claimed,
            u64::try_from(frames.len() - fragments - icmp).expect("few"),
            "every packet has its flow"
        );
        Finished {
            frames,
            flows,
            announced: self.announced,
            calls: self.calls,
        }
    }
}

fn transport_of(flow: &Flow) -> u8 {
    if flow.transport == "tcp" { TCP } else { UDP }
}

/// A sample that is complete.
#[derive(Clone)]
pub(crate) struct Finished {
    pub(crate) frames: Vec<Frame>,
    pub(crate) flows: Vec<Flow>,
    pub(crate) announced: Vec<Announced>,
    pub(crate) calls: Vec<Call>,
}

/// The IPv4 address of a host as bytes; the samples never ask for another.
pub(crate) fn ipv4_octets(address: IpAddr) -> Vec<u8> {
    assert!(address.is_ipv4());
    super::packet::octets(address)
}
