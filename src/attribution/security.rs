//! How a flow is protected, and who was authenticated by what: read from facts alone.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::flow::Flow;
use crate::evidence::Layer;

/// Kinds of encryption, in the contract's words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Encrypted {
    /// The payload was read in clear.
    None,
    /// TLS from the first byte.
    Tls,
    /// TLS after an upgrade of a clear connection.
    Starttls,
    /// RPC authentication level 6.
    RpcPrivacy,
    /// RPC authentication level 4 or 5: signed, readable.
    RpcIntegrity,
    /// GSS-wrapped and sealed.
    Gssapi,
    /// Sealed messages of SMB 3.
    Smb3,
    /// SRTP, by the keys in the signalling.
    Srtp,
    /// DTLS.
    Dtls,
    /// Nothing seen says.
    #[default]
    Unknown,
}

impl Encrypted {
    /// The contract's word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Tls => "tls",
            Self::Starttls => "starttls",
            Self::RpcPrivacy => "rpc_privacy",
            Self::RpcIntegrity => "rpc_integrity",
            Self::Gssapi => "gssapi",
            Self::Smb3 => "smb3",
            Self::Srtp => "srtp",
            Self::Dtls => "dtls",
            Self::Unknown => "unknown",
        }
    }

    /// Whether nobody on the path can read the payload.
    pub const fn hides(self) -> bool {
        matches!(
            self,
            Self::Tls
                | Self::Starttls
                | Self::RpcPrivacy
                | Self::Gssapi
                | Self::Smb3
                | Self::Srtp
                | Self::Dtls
        )
    }
}

/// A certificate that a handshake showed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Certificate {
    /// Subject.
    pub subject: Option<String>,
    /// Issuer.
    pub issuer: Option<String>,
    /// Names that it is for.
    pub names: Vec<String>,
    /// Begin of validity, RFC 3339.
    pub not_before: Option<String>,
    /// End of validity, RFC 3339.
    pub not_after: Option<String>,
    /// Issuer and subject are the same.
    pub self_signed: bool,
}

/// The protection of a flow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Encryption {
    /// By what.
    pub kind: Encrypted,
    /// Version of TLS or DTLS.
    pub version: Option<String>,
    /// Cipher suite.
    pub cipher: Option<String>,
    /// Server name that the client asked for.
    pub server_name: Option<String>,
    /// The server's certificate.
    pub certificate: Option<Box<Certificate>>,
    /// The client showed a certificate; `null` where the handshake does not let one see.
    pub mutual: Option<bool>,
}

impl Encryption {
    /// Whether nothing but its kind is known.
    pub(crate) const fn is_plain(&self) -> bool {
        let Self {
            kind: _,
            version,
            cipher,
            server_name,
            certificate,
            mutual,
        } = self;
        version.is_none()
            && cipher.is_none()
            && server_name.is_none()
            && certificate.is_none()
            && mutual.is_none()
    }
}

/// Protocols that seal what they carry, or say nothing of it. Every other one, spoken on the transport itself, was read in
/// clear: a decoder proves a protocol by reading it.
pub const UNTOLD: &[&str] = &[
    // These seal it, from the first byte or after a few messages in clear.
    "dtls",
    "ike",
    "kerberos",
    "kpasswd",
    "nx",
    "openvpn",
    "quic",
    "rdp",
    "rdp_udp",
    "ssh",
    "tacacs_plus",
    "tls",
    "whatsapp",
    "wireguard",
    // These frame or carry anything.
    "netbios_ssn",
    "proxy_protocol",
    "socks",
    "tpkt",
    // What protects these is said elsewhere: by signalling, by the level of the calls.
    "collectd",
    "dcerpc",
    "net_tcp",
    "nns",
    "opcua",
    "postgresql",
    "rmcp",
    "rtcp",
    "rtp",
    "stun",
    "tds",
];

/// Protocols that lie below a connection and say nothing of it: TLS upon them is TLS from the first byte.
const CARRIERS: &[&str] = &["openvpn", "proxy_protocol", "quic", "rdp_udp", "socks"];

/// How a flow is protected. `keyed` says whether signalling announced keys for its media, where it announced any.
pub(super) fn encryption(flow: &Flow, protocols: &[&str], keyed: Option<bool>) -> Encryption {
    let says = |protocol, name, word| flow.texts(protocol, name).any(|said| said == word);
    let mut encryption = Encryption::default();
    // The imitation of a handshake before TURN (MS-TURN 2.1.1) protects nothing.
    let is_imitated = flow.facts_of("tls", "pseudo").next().is_some();
    if !is_imitated && let Some((layer, _)) = flow.protocols.get("tls") {
        // A protocol that was read in clear came before; where a cut lies between them, time shows it instead of depth.
        let is_upgraded = |(name, (other, _)): (&&str, &(Layer, u32))| {
            let is_before = other.depth < layer.depth || other.seen.time < layer.seen.time;
            // What a proxy was asked for by CONNECT begins behind it.
            let is_carrier = CARRIERS.contains(name)
                || (*name == "http" && flow.texts("http", "method").any(|word| word == "CONNECT"));
            *name != "tls" && !is_carrier && is_before
        };
        encryption.kind = if says("tds", "protection", "login") {
            // TLS ends with the login: what follows is in clear.
            Encrypted::None
        } else if flow.protocols.iter().any(is_upgraded) {
            Encrypted::Starttls
        } else {
            Encrypted::Tls
        };
        encryption.handshake(flow, "tls");
        return encryption;
    }
    let level = level(flow);
    let is_media = protocols
        .iter()
        .any(|protocol| matches!(*protocol, "rtp" | "rtcp"));
    let profile = flow.texts("dtls", "srtp_profile").next();
    encryption.kind = if is_media && (profile.is_some() || !flow.proves("dtls")) {
        match (profile, keyed) {
            // RFC 5764: the handshake made keys for the media beside it, unless those only sign.
            (Some(profile), _) if profile.contains("NULL") => Encrypted::None,
            (Some(_), _) | (None, Some(true)) => Encrypted::Srtp,
            (None, Some(false)) => Encrypted::None,
            (None, None) => Encrypted::Unknown,
        }
    } else if flow.proves("dtls") {
        Encrypted::Dtls
    } else if flow.facts_of("smb", "sealed").next().is_some() {
        encryption.cipher = flow.texts("smb", "cipher").next().map(str::to_owned);
        Encrypted::Smb3
    } else if flow.proves("dcerpc") {
        match level {
            Some("privacy") => Encrypted::RpcPrivacy,
            Some("packet" | "integrity") => Encrypted::RpcIntegrity,
            Some(_) => Encrypted::None,
            None if flow.facts_of("dcerpc", "opnum").next().is_some() => Encrypted::None,
            None => Encrypted::Unknown,
        }
    } else if says("ldap", "sealed", "sealed") || says("nns", "protection", "sealed") {
        Encrypted::Gssapi
    } else if is_clear(flow)
        || says("tds", "protection", "none")
        || says("tds", "protection", "login")
        || says("net_tcp", "upgrade", "none")
        || flow.texts("postgresql", "version").next().is_some()
    {
        Encrypted::None
    } else {
        Encrypted::Unknown
    };
    if flow.proves("dtls") {
        encryption.handshake(flow, "dtls");
        if encryption.kind == Encrypted::Srtp {
            encryption.cipher = profile.map(str::to_owned);
        }
    }
    encryption
}

/// Whether something that is spoken on the transport was read in clear.
fn is_clear(flow: &Flow) -> bool {
    // The third version of SNMP seals its messages, and says so.
    let is_sealed = |name: &'static str| {
        UNTOLD.contains(&name)
            || (name == "snmp" && flow.texts(name, "security").any(|how| how == "private"))
    };
    flow.spoken().into_iter().any(|name| !is_sealed(name))
}

impl Encryption {
    /// What the handshake of `protocol`, TLS or DTLS, shows.
    fn handshake(&mut self, flow: &Flow, protocol: &'static str) {
        let text = |name: &'static str| flow.texts(protocol, name).next().map(str::to_owned);
        self.version = text("server_version").or_else(|| text("client_version"));
        self.cipher = text("cipher");
        self.server_name = text("server_name");
        self.certificate = certificate(flow, protocol).map(Box::new);
        self.mutual = mutual(flow, protocol, self.version.as_deref());
    }
}

/// The highest authentication level of the connection's RPC calls. Named pipes are connections of their own: there it is
/// that of the pipe that protects least.
fn level(flow: &Flow) -> Option<&str> {
    const ORDER: &[&str] = &["none", "connect", "call", "packet", "integrity", "privacy"];
    let rank = |level: &str| ORDER.iter().position(|known| *known == level);
    let mut pipes = BTreeMap::new();
    for (fact, _) in flow.facts_of("dcerpc", "auth_level") {
        if let Some(level) = fact.value.as_text() {
            // The number of a pipe stands above the contexts in it.
            let highest = pipes.entry(fact.subject >> 32).or_insert(level);
            if rank(level) > rank(highest) {
                *highest = level;
            }
        }
    }
    pipes.into_values().min_by_key(|level| rank(level))
}

fn certificate(flow: &Flow, protocol: &'static str) -> Option<Certificate> {
    let server = flow.client.other();
    let of_server = |name: &'static str| {
        flow.facts_of(protocol, name)
            .filter(move |(fact, _)| fact.side == server)
    };
    let subject = of_server("certificate_subject")
        .next()
        .map(|(fact, _)| fact.value.to_string());
    let time = |name: &'static str| {
        of_server(name)
            .next()
            .map(|(fact, _)| fact.value.to_string())
    };
    subject.as_ref()?;
    Some(Certificate {
        issuer: of_server("certificate_issuer")
            .next()
            .map(|(fact, _)| fact.value.to_string()),
        names: of_server("certificate_name")
            .map(|(fact, _)| fact.value.to_string())
            .collect(),
        not_before: time("certificate_not_before"),
        not_after: time("certificate_not_after"),
        self_signed: of_server("certificate_self_signed").next().is_some(),
        subject,
    })
}

/// Up to TLS 1.2 certificates are in clear: their absence in a completed handshake is visible, where the client is. In 1.3
/// nothing is.
fn mutual(flow: &Flow, protocol: &'static str, version: Option<&str>) -> Option<bool> {
    let sent = flow
        .facts_of(protocol, "client_certificate")
        .filter_map(|(fact, _)| fact.value.as_number())
        .max();
    let seen_handshake = flow.tracker.packets[flow.client] > 0
        && flow
            .facts_of(protocol, "certificate_subject")
            .next()
            .is_some();
    match (sent, version) {
        (Some(count), _) => Some(count > 0),
        (None, Some("1.3")) => None,
        (None, _) if seen_handshake && flow.facts_of(protocol, "established").next().is_some() => {
            Some(false)
        }
        (None, _) => None,
    }
}

/// Mechanisms of authentication that were seen, in the contract's words.
pub(super) fn authentication(flow: &Flow) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let sources = [
        ("smtp", "auth_mechanism"),
        ("smtp", "exps_mechanism"),
        ("http", "authorization"),
        ("ldap", "bind"),
        ("ldap", "mechanism"),
        ("dcerpc", "auth_type"),
        ("dcerpc", "mechanism"),
        ("pop3", "auth_mechanism"),
        ("imap", "auth_mechanism"),
        ("sip", "authorization"),
        ("smb", "gss_mechanism"),
        ("smb", "session"),
        ("nns", "gss_mechanism"),
        ("tds", "auth_mechanism"),
        ("tds", "gss_mechanism"),
        ("amqp", "auth_mechanism"),
        ("mqtt", "auth_mechanism"),
    ];
    for (protocol, name) in sources {
        seen.extend(flow.texts(protocol, name).filter_map(mechanism));
    }
    let has_sent = |protocol| {
        let mut counts = flow.facts_of(protocol, "client_certificate");
        counts.any(|(fact, _)| fact.value.as_number().is_some_and(|n| n > 0))
    };
    if has_sent("tls") || has_sent("dtls") {
        seen.insert("certificate");
    }
    // An offer of several gives way to what was chosen.
    if seen.contains("kerberos") || seen.contains("ntlm") {
        seen.remove("negotiate");
    }
    seen.into_iter().map(str::to_owned).collect()
}

/// The contract's word for a mechanism as a protocol spells it.
fn mechanism(text: &str) -> Option<&'static str> {
    let text = text.to_ascii_lowercase();
    let word = text.rsplit([' ', '/']).next().unwrap_or(&text);
    Some(match word {
        "kerberos" | "gssapi" => "kerberos",
        "ntlm" | "ntlmssp" | "sicily" => "ntlm",
        "negotiate" | "gss-spnego" | "spnego" => "negotiate",
        "basic" | "login" | "plain" | "simple" | "user" => "basic",
        "apop" | "digest" | "digest-md5" | "cram-md5" => "digest",
        "anonymous" => "anonymous",
        "guest" => "guest",
        "external" | "certificate" => "certificate",
        "bearer" | "xoauth2" => "bearer",
        "netlogon" => "netlogon",
        "schannel" => "schannel",
        "exchangeauth" => "exchangeauth",
        _ => return None,
    })
}
