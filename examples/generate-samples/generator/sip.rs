//! SIP messages and SDP bodies (RFC 3261, RFC 8866) as VoIP gateways and Exchange UM write them.

use std::net::{IpAddr, SocketAddr};

/// One side's media as its SDP says it.
#[derive(Clone, Copy)]
pub(crate) struct Media<'a> {
    pub(crate) endpoint: SocketAddr,
    pub(crate) profile: &'a str,
    /// The payload type, and its codec as rtpmap names it.
    pub(crate) format: &'a str,
    /// Further attribute lines, each with its end of line.
    pub(crate) attributes: &'a str,
}

impl Media<'_> {
    pub(crate) fn sdp(&self) -> String {
        let (address, port) = (self.endpoint.ip(), self.endpoint.port());
        let payload_type = self.format.split(' ').next().unwrap_or_default();
        format!(
            "v=0\r\no=- 3923625600 1 IN IP4 {address}\r\ns=session\r\nc=IN IP4 {address}\r\nt=0 0\r\n\
             m=audio {port} {} {payload_type} 101\r\na=rtpmap:{}\r\na=rtpmap:101 telephone-event/8000\r\n\
             a=fmtp:101 0-15\r\n{}a=sendrecv\r\n",
            self.profile, self.format, self.attributes
        )
    }
}

/// What stays the same in the messages of a dialogue.
#[derive(Clone, Copy)]
pub(crate) struct Dialogue<'a> {
    pub(crate) call_id: &'a str,
    pub(crate) caller: IpAddr,
    pub(crate) called: SocketAddr,
    pub(crate) transport: &'a str,
    pub(crate) server_agent: &'a str,
}

impl Dialogue<'_> {
    pub(crate) fn request(
        &self,
        method: &str,
        sequence: u32,
        extra: &str,
        body: Option<&str>,
    ) -> String {
        let tag = if matches!(method, "INVITE") {
            ""
        } else {
            ";tag=b7e2"
        };
        format!(
            "{method} sip:200@{} SIP/2.0\r\n{}User-Agent: sample gateway\r\nMax-Forwards: 70\r\n{extra}{}",
            self.called,
            self.common(method, sequence, tag, &self.caller_contact()),
            ending(body)
        )
    }

    pub(crate) fn response(
        &self,
        status: &str,
        method: &str,
        extra: &str,
        body: Option<&str>,
    ) -> String {
        self.answer(
            status,
            method,
            &format!("Contact: <sip:200@{}>\r\n", self.called),
            (extra, body),
        )
    }

    /// "302 Moved Temporarily" to `contact`.
    pub(crate) fn redirect(&self, contact: &str) -> String {
        self.answer("302 Moved Temporarily", "INVITE", contact, ("", None))
    }

    fn answer(
        &self,
        status: &str,
        method: &str,
        contact: &str,
        (extra, body): (&str, Option<&str>),
    ) -> String {
        let tag = if status.starts_with("100") {
            ""
        } else {
            ";tag=b7e2"
        };
        let sequence = if method == "BYE" { 2 } else { 1 };
        format!(
            "SIP/2.0 {status}\r\n{}Server: {}\r\n{extra}{}",
            self.common(method, sequence, tag, contact),
            self.server_agent,
            ending(body)
        )
    }

    fn caller_contact(&self) -> String {
        format!("Contact: <sip:+15550100@{}:5060>\r\n", self.caller)
    }

    fn common(&self, method: &str, sequence: u32, tag: &str, contact: &str) -> String {
        let Self {
            call_id,
            caller,
            called,
            transport,
            ..
        } = self;
        let branch = call_id.split('@').next().unwrap_or(call_id);
        format!(
            "Via: SIP/2.0/{transport} {caller}:5060;branch=z9hG4bK{branch}.{sequence}\r\n\
             From: <sip:+15550100@{caller}>;tag=a91f\r\nTo: <sip:200@{}>{tag}\r\nCall-ID: {call_id}\r\n\
             CSeq: {sequence} {method}\r\n{contact}",
            called.ip()
        )
    }
}

fn ending(body: Option<&str>) -> String {
    match body {
        Some(body) => {
            format!(
                "Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
        }
        None => "Content-Length: 0\r\n\r\n".to_owned(),
    }
}
