//! DCE/RPC (C706 "DCE 1.1: Remote Procedure Call", MS-RPCE), connection-oriented over a stream, in the channels of RPC over
//! HTTP (MS-RPCH) and connectionless in datagrams, with the answers of its endpoint mapper and of DCOM's resolver.
//!
//! Proves which interfaces are bound (only contexts that the server accepted), which operations are called and how soon
//! they are answered, and how the calls are authenticated. Every tower that an endpoint mapper returns and every binding of
//! an object exporter becomes an offer. Arguments and results of other interfaces are passed over; nothing is decrypted;
//! transfer syntaxes are never reported as interfaces. Reassembly is done for those answers only, up to
//! [`epm::MAX_REPLY_BYTES`].
//!
//! A channel of RPC over HTTP carries one direction: binds in one connection, their answers in another. Each notes its half,
//! with the cookie of the virtual connection that both belong to: what joins them is not here.

mod bind;
mod body;
mod calls;
mod datagram;
mod dcom;
mod epm;
mod latency;
mod ndr;
mod pdu;
mod probe;
mod rts;
mod status;
mod stream;
mod tower;

use super::gss::{GSS_DOMAIN, GSS_HOST, GSS_VERSION};
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
/// A power of ten that the number of answered calls reached.
const ANSWERED: &str = "answered";
/// Upper end of a step of the scale within which a call was answered, in microseconds.
const ANSWERED_WITHIN: &str = "answered_within";
/// Status of a fault or reject, with its meaning.
const FAULT: &str = "fault";
/// Connectionless messages that are neither requests nor responses.
const MESSAGE: &str = "message";
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
/// Operation of DCOM that answered with bindings of an object exporter.
const DCOM_CALL: &str = "dcom_call";
/// Binding of an object exporter that names no port, as `sequence:host`.
const BINDING: &str = "binding";
/// Control message of RPC over HTTP.
const RTS: &str = "rts";
/// Cookie of the virtual connection that a channel belongs to.
const VIRTUAL_CONNECTION: &str = "virtual_connection";
/// Client that an RPC proxy names to the server behind it.
const RTS_CLIENT: &str = "rts_client";
/// Interface that a channel's bind asked for; the subject is call id, place in the bind and presentation context.
const PROPOSED: &str = "proposed";
/// Transfer syntax with which the answer in another channel accepted a proposal; the subject is call id and place, context 0.
const ACCEPTED: &str = "accepted";
/// Operation that a request in a channel calls, and when; the subject is call id and presentation context.
const CHANNEL_CALL: &str = "channel_call";
/// The packet in which a call of another channel is answered: 1, or 0 by a fault; the subject is call id and presentation context.
const CHANNEL_ANSWER: &str = "channel_answer";

/// DCE/RPC. The subject of its facts is the presentation context id (0 in the connectionless form).
pub(super) const DCERPC: Protocol = Protocol {
    name: "dcerpc",
    about: About {
        title: "DCE/RPC",
        sources: "C706 12, MS-RPCE 2.2, appendix L and O of C706 for the endpoint mapper, MS-DCOM 2.2 and 3.1.2.5, MS-RPCH 2.2.3",
        reads: "Binds, their answers, requests with their time to the answer, faults, authentication type and level, the towers of the endpoint mapper, the bindings of DCOM's resolver and activators, and the control messages of RPC over HTTP.",
        proves: "A header whose version, type, flags, byte order and lengths agree; an interface by an accepted context.",
        limits: "Stub data is read for the endpoint mapper and DCOM only; sealed calls show interface and operation number; times of answers where one connection, flow of datagrams or virtual connection of RPC over HTTP shows both directions.",
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
        ANSWERED,
        ANSWERED_WITHIN,
        FAULT,
        MESSAGE,
        GREETING,
        EPT_WANTED,
        EPT_STATUS,
        EPT_CUT,
        PIPE,
        DCOM_CALL,
        BINDING,
        RTS,
        VIRTUAL_CONNECTION,
        RTS_CLIENT,
        PROPOSED,
        ACCEPTED,
        CHANNEL_CALL,
        CHANNEL_ANSWER,
        GSS_DOMAIN,
        GSS_HOST,
        GSS_VERSION,
    ],
    stream: Some(StreamEntry {
        first_byte: |byte| byte == pdu::VERSION || byte == b'n',
        probe: probe::probe,
        start: || Box::new(stream::Stream::default()),
    }),
    datagram: Some(DatagramEntry {
        first_byte: |byte| byte == datagram::VERSION,
        start: || Box::<datagram::Datagrams>::default(),
    }),
};

#[cfg(test)]
mod tests;
