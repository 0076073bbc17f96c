//! DCE/RPC (C706 "DCE 1.1: Remote Procedure Call", MS-RPCE), connection-oriented over a stream and connectionless in
//! datagrams, with the answers of its endpoint mapper.
//!
//! Proves which interfaces are bound (only contexts that the server accepted), which operations are called, and how the
//! calls are authenticated. Every tower that an endpoint mapper returns becomes an offer. Arguments and results of other
//! interfaces are passed over; nothing is decrypted; transfer syntaxes are never reported as interfaces. Reassembly is
//! done for mapper replies only, up to [`epm::MAX_REPLY_BYTES`].

mod bind;
mod calls;
mod datagram;
mod epm;
mod pdu;
mod probe;
mod stream;
mod tower;

use super::{About, DatagramEntry, Protocol, StreamEntry};

/// Interface of a presentation context that the server accepted.
const BOUND: &str = "bound";
/// Interface that a client asked to bind.
const REQUESTED: &str = "requested";
/// Interface that the server refused, with its reason.
const REJECTED: &str = "rejected";
/// Why a whole bind was refused.
const BIND_NAK: &str = "bind_nak";
/// Endpoint that the server names in its acknowledgement: a port in decimal, or a pipe.
const SECONDARY_ADDRESS: &str = "secondary_address";
/// Authentication service.
const AUTH_TYPE: &str = "auth_type";
/// Protection of the calls.
const AUTH_LEVEL: &str = "auth_level";
/// Protection that the bind announced.
const BIND_AUTH_LEVEL: &str = "bind_auth_level";
/// Mechanism that a token names (SPNEGO's choice).
const MECHANISM: &str = "mechanism";
/// Service that a Kerberos ticket is for, as `class/host`.
const SERVICE: &str = "service";
/// Operation number.
const OPNUM: &str = "opnum";
/// Status of a fault.
const FAULT: &str = "fault";
/// The server's greeting as an RPC-over-HTTP endpoint.
const GREETING: &str = "greeting";
/// Interface that a client asked the endpoint mapper for.
const EPT_WANTED: &str = "ept_wanted";
/// Status of a mapper's answer, where it is no success.
const EPT_STATUS: &str = "ept_status";
/// Bytes of a mapper's answer beyond the bound on reassembly.
const EPT_CUT: &str = "ept_cut";
/// Named pipe or local endpoint in a tower.
const PIPE: &str = "pipe";

/// DCE/RPC. The subject of its facts is the presentation context id (0 in the connectionless form).
pub(super) const DCERPC: Protocol = Protocol {
    name: "dcerpc",
    about: About {
        title: "DCE/RPC",
        sources: "C706 12, MS-RPCE 2.2, appendix L and O of C706 for the endpoint mapper",
        reads: "Binds, their answers, requests, faults, authentication type and level, and the towers that the endpoint mapper hands out.",
        proves: "A header whose version, type, flags, byte order and lengths agree; an interface by an accepted context.",
        limits: "Stub data is read for the endpoint mapper only; sealed calls show interface and operation number.",
    },
    attributes: &[
        BOUND,
        REQUESTED,
        REJECTED,
        BIND_NAK,
        SECONDARY_ADDRESS,
        AUTH_TYPE,
        AUTH_LEVEL,
        BIND_AUTH_LEVEL,
        MECHANISM,
        SERVICE,
        OPNUM,
        FAULT,
        GREETING,
        EPT_WANTED,
        EPT_STATUS,
        EPT_CUT,
        PIPE,
    ],
    stream: Some(StreamEntry {
        first_byte: |byte| byte == pdu::VERSION || byte == b'n',
        probe: probe::probe,
        start: || Box::new(stream::Stream::default()),
    }),
    datagram: Some(DatagramEntry {
        first_byte: |byte| byte == datagram::VERSION,
        start: || Box::new(datagram::Datagrams),
    }),
};

#[cfg(test)]
mod tests;
