//! The codes of findings: stable, listed, explained.

/// A code, what it is called, what it means, and what to do.
#[derive(Debug)]
pub struct Code {
    /// Stable code.
    pub code: &'static str,
    /// Short name.
    pub name: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// What to do about it.
    pub advice: &'static str,
}

macro_rules! codes {
    ($($constant:ident = $code:literal, $name:literal, $meaning:literal, $advice:literal;)*) => {
        $(pub(super) const $constant: &Code =
            &Code { code: $code, name: $name, meaning: $meaning, advice: $advice };)*

        /// Every code, in order.
        pub const CODES: &[&Code] = &[$($constant),*];
    };
}

codes! {
    UNDOCUMENTED_SERVICE = "EXW101", "undocumented-service",
        "A service of the matrix was proven by its payload on a port, or between roles, that no row lists.",
        "Move the service to its documented port, or name the changed port with --port or a row of your own.";
    UNDOCUMENTED_PORT = "EXW102", "undocumented-port",
        "A server of the topology file took traffic on a port that no row of the matrix lists for it.",
        "Close the port, or add a row for it with --signatures.";
    CONTRADICTED_PORT = "EXW103", "contradicted-port",
        "A documented port carries another protocol than the documents say.",
        "Find the program behind the connection; something else uses the port, or a device in between answers.";
    WRONG_ROLES = "EXW104", "wrong-roles",
        "The right service between hosts whose roles no row of the matrix joins.",
        "Check the topology file, then the configuration that made these hosts speak to each other.";
    WRONG_DIRECTION = "EXW105", "wrong-direction",
        "A documented path that was opened by its listening end.",
        "Check connectors and firewall rules: the documents name one side that opens this path.";
    UNOFFERED_DYNAMIC_PORT = "EXW106", "unoffered-dynamic-port",
        "An RPC interface was bound on a dynamic port that no endpoint mapper answer in the capture names.",
        "A client may know the port from before the capture; otherwise ask the endpoint mapper what it registers.";
    PROXY_PORT = "EXW107", "proxy-port",
        "A Client Access server proxies POP3 or IMAP4 to another one over a port other than 995 or 993.",
        "Use SSL between Client Access servers: 995 for POP3, 993 for IMAP4.";
    MAIL_PATH = "EXW108", "mail-path",
        "Mail passes a Client Access server although an Edge Transport server is subscribed.",
        "Route mail between the Edge and the Mailbox servers of the subscribed site.";
    PERIMETER_PLACEMENT = "EXW109", "perimeter-placement",
        "A host stands in a zone where the documents forbid its role.",
        "Move the host into the private network.";
    CLEAR_TEXT = "EXW201", "clear-text",
        "The payload was read in clear although every row that fits says encrypted by default.",
        "Turn TLS or RPC encryption on again at both ends, and look for a device that strips it.";
    CLEAR_CREDENTIALS = "EXW202", "clear-credentials",
        "A password crossed the network in clear.",
        "Require TLS before authentication, and change the password.";
    AUTHENTICATION_MISMATCH = "EXW203", "authentication-mismatch",
        "The authentication seen is neither the default nor a supported one of any row that fits.",
        "Check the connector's or virtual directory's authentication settings.";
    RPC_NOT_ENCRYPTED = "EXW204", "rpc-not-encrypted",
        "RPC calls below authentication level privacy although every row that fits says encrypted by default.",
        "Require encryption for RPC connections on the server.";
    AD_LDS_CLEAR = "EXW205", "ad-lds-clear",
        "AD LDS of an Edge Transport server was reached without SSL across the network.",
        "Use 50636; keep 50389 for utilities on the Edge server itself.";
    MUTUAL_TLS_MISSING = "EXW206", "mutual-tls-missing",
        "The path requires mutual TLS, and a handshake that was seen whole had no client certificate.",
        "Check the certificates of both servers and the Edge subscription or trusted application.";
    UNANNOUNCED_MEDIA = "EXW301", "unannounced-media",
        "RTP that no signalling in the capture announced.",
        "Signalling may be encrypted or taken elsewhere; otherwise find out who sends it.";
    MEDIA_ON_ODD_PORT = "EXW302", "media-on-odd-port",
        "RTP on an odd port; the documents put it on an even one, with its companion on the next.",
        "Check the port range of the device, and whether a NAT moved the port.";
    MEDIA_OUT_OF_RANGE = "EXW303", "media-out-of-range",
        "Media of a host outside the range that the documents give its product.",
        "Set the media port range of the pool, and the firewall with it.";
    MEDIA_AT_CALL_ROUTER = "EXW304", "media-at-call-router",
        "Media at a Client Access server, whose call router handles signalling only.",
        "The call router must redirect calls; check that the redirect reaches the Mailbox server.";
    NO_ANSWER = "EXW401", "no-answer",
        "A documented path got no answer.",
        "Look for a firewall that drops the packets, a host that is down, or a return path elsewhere.";
    REFUSED = "EXW402", "refused",
        "A documented path was refused.",
        "The host is up and nothing listens, or a firewall rejects: check the service.";
    ICMP_ERROR = "EXW403", "icmp-error",
        "A router or host reports that a documented path cannot be used.",
        "The reporter of the ICMP error is the device to look at.";
    OFFERED_PORT_BLOCKED = "EXW404", "offered-port-blocked",
        "The endpoint mapper gave out a port that then could not be reached.",
        "Open the dynamic RPC range between these hosts, or fix the service's port and open that one.";
    INTERNAL_PATH_BLOCKED = "EXW405", "internal-path-blocked",
        "Traffic between internal servers is blocked; the documents do not support any restriction there.",
        "Remove the restriction between these servers.";
}
