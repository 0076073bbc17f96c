//! PostgreSQL (frontend/backend protocol, "Message Formats" of its manual): version, the switch to TLS, the method of
//! authentication, and how the login ended.
//!
//! Reads the start-up alone; names of users and databases, passwords and statements are passed over. Proof is a start-up
//! message of protocol 3 by its exact length and the name `user` in it, one of the fixed requests in its place, or the
//! server's request to authenticate.

use super::tls::TLS;
use super::{About, Next, Opening, Probe, Protocol, Reject, Step, StreamDecoder, StreamEntry};
use crate::bytes::Cursor;
use crate::evidence::Notes;
use crate::net::Side;
use crate::open_enum;

/// Version of the protocol that the client speaks, and of the server.
const VERSION: &str = "version";
/// `SSLRequest` or `GSSENCRequest`: the client asks for encryption.
const STARTTLS: &str = "starttls";
/// `accepted` or `refused`: the server's answer to that.
const STARTTLS_ANSWER: &str = "starttls_answer";
/// What the server asks for: `password`, `md5`, `gss`, `sspi`, `sasl`.
const AUTH_METHOD: &str = "auth_method";
/// A SASL mechanism that the server offers.
const MECHANISM_OFFERED: &str = "mechanism_offered";
/// `ok`, or the state of the error.
const AUTH_RESULT: &str = "auth_result";
/// 1 where the connection only cancels a statement of another.
const CANCEL: &str = "cancel";

pub(super) const POSTGRESQL: Protocol = Protocol {
    name: "postgresql",
    about: About {
        title: "PostgreSQL frontend/backend protocol",
        sources: "PostgreSQL manual, frontend/backend protocol, message formats",
        reads: "Start-up, the switch to TLS, method of authentication, and how the login ended.",
        proves: "A start-up message by its length and its parameters, a request in its place, or an authentication request.",
        limits: "Users, databases and statements are not looked at; protocol 2 is not known.",
    },
    attributes: &[
        VERSION,
        STARTTLS,
        STARTTLS_ANSWER,
        AUTH_METHOD,
        MECHANISM_OFFERED,
        AUTH_RESULT,
        CANCEL,
    ],
    stream: Some(StreamEntry {
        first_byte: |byte| matches!(byte, 0 | b'R'),
        probe,
        start: || Box::<Connection>::default(),
    }),
    datagram: None,
};

open_enum! {
    /// Requests to authenticate.
    struct Method(u32) {
        /// Nothing more is needed.
        OK = 0 => "ok",
        /// Kerberos 5 of old.
        KERBEROS = 2 => "kerberos",
        /// A password in clear.
        PASSWORD = 3 => "password",
        /// A hashed password.
        MD5 = 5 => "md5",
        /// GSS tokens.
        GSS = 7 => "gss",
        /// More of them.
        GSS_CONTINUE = 8 => "gss_continue",
        /// SSPI tokens.
        SSPI = 9 => "sspi",
        /// A list of mechanisms.
        SASL = 10 => "sasl",
        /// More of one.
        SASL_CONTINUE = 11 => "sasl_continue",
        /// The last of one.
        SASL_FINAL = 12 => "sasl_final",
    }
}

/// Longest start-up message that a server takes.
const MAX_STARTUP: usize = 10_000;
/// Longest message that is waited for; longer ones, such as rows, are passed over.
const MAX_READ: usize = 4096;
/// Longest message at all.
const MAX_MESSAGE: usize = 1 << 30;
const CANCEL_REQUEST: u32 = 0x04d2_162e;
const SSL_REQUEST: u32 = 0x04d2_162f;
const GSS_REQUEST: u32 = 0x04d2_1630;

fn probe(opening: &Opening<'_>) -> Probe {
    if opening.midstream {
        return Probe::No;
    }
    opening.either(|bytes| {
        let begins = match bytes {
            [b'R', ..] => authentication(bytes).map(drop),
            _ => Start::parse(&mut Cursor::new(bytes)).map(drop),
        };
        Probe::of(begins)
    })
}

/// The first request to authenticate: its length follows from its method.
fn authentication(bytes: &[u8]) -> Result<Method, Reject> {
    let mut cursor = Cursor::new(bytes);
    cursor.skip(1)?;
    let (high, length) = (cursor.u16()?, cursor.u16()?);
    if high != 0 || !matches!(length, 8 | 12 | 16..=256) {
        return Err(Reject::Other);
    }
    let method = Method(cursor.u32()?);
    let fits = match method {
        Method::PASSWORD | Method::GSS | Method::SSPI | Method::KERBEROS => length == 8,
        Method::OK => length == 8,
        Method::MD5 => length == 12,
        Method::SASL => {
            let names = cursor.take(usize::from(length).saturating_sub(8))?;
            // Names of mechanisms, each with a zero behind it, and one more.
            let is_name = |byte: &u8| {
                byte.is_ascii_uppercase()
                    || byte.is_ascii_digit()
                    || matches!(byte, b'-' | b'_' | 0)
            };
            names.ends_with(&[0, 0]) && names.iter().all(is_name)
        }
        _ => false,
    };
    if matches!(method, Method::OK) && fits {
        // Nine bytes of small numbers prove little: what must follow is a message of parameters or keys.
        let next = cursor.array::<3>()?;
        return if matches!(next, [b'S' | b'K', 0, 0]) {
            Ok(method)
        } else {
            Err(Reject::Other)
        };
    }
    if fits { Ok(method) } else { Err(Reject::Other) }
}

/// What a client begins with.
enum Start {
    Startup { minor: u16 },
    Ssl,
    Gss,
    Cancel,
}

impl Start {
    fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Reject> {
        // Byte by byte, so that most other openings are refused at once.
        if cursor.u8()? != 0 || cursor.u8()? != 0 {
            return Err(Reject::Other);
        }
        let length = usize::from(cursor.u16()?);
        if !(8..=MAX_STARTUP).contains(&length) {
            return Err(Reject::Other);
        }
        let protocol = cursor.u32()?;
        let is_startup = matches!(protocol, 0x0003_0000..=0x0003_0002);
        if !is_startup && !matches!(protocol, CANCEL_REQUEST..=GSS_REQUEST) {
            return Err(Reject::Other);
        }
        let body = cursor.take(length.saturating_sub(8))?;
        match (protocol, length) {
            (SSL_REQUEST, 8) => Ok(Self::Ssl),
            (GSS_REQUEST, 8) => Ok(Self::Gss),
            (CANCEL_REQUEST, 16..=268) => Ok(Self::Cancel),
            _ if is_startup && has_user(body) => Ok(Self::Startup {
                minor: u16::try_from(protocol & 0xff).unwrap_or_default(),
            }),
            _ => Err(Reject::Other),
        }
    }
}

/// Whether these are pairs of names and values, one of them the user.
fn has_user(parameters: &[u8]) -> bool {
    let Some(pairs) = parameters.strip_suffix(b"\0\0") else {
        return false;
    };
    let mut names = pairs.split(|byte| *byte == 0).step_by(2);
    names.any(|name| name == b"user")
}

/// One connection.
#[derive(Default)]
struct Connection {
    client: Option<Side>,
    /// The client asked for encryption, and waits.
    asked: bool,
    started: bool,
}

impl StreamDecoder for Connection {
    fn data(&mut self, side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        let mut cursor = Cursor::new(bytes);
        loop {
            let consumed = cursor.offset();
            let rest = cursor.rest();
            if rest.is_empty() {
                return Step::Consumed;
            }
            if self.client.is_none() {
                let from_server = rest.first() == Some(&b'R');
                self.client = Some(if from_server { side.other() } else { side });
            }
            let step = if self.client == Some(side) {
                self.of_client(side, &mut cursor, notes)
            } else {
                self.of_server(&mut cursor, notes)
            };
            match step {
                Ok(None) => {}
                Ok(Some(step)) => return step,
                Err(reject) => return reject.into_step(consumed, rest.len()),
            }
        }
    }
}

impl Connection {
    fn of_client(
        &mut self,
        side: Side,
        cursor: &mut Cursor<'_>,
        notes: &mut Notes<'_>,
    ) -> Result<Option<Step>, Reject> {
        if self.started {
            cursor.skip(1)?;
            return skip_message(cursor);
        }
        if self.asked && cursor.peek() == Some(0x16) {
            // The answer is not in the capture: the client goes on with what it asked for.
            return Ok(Some(Step::Handover {
                consumed: cursor.offset(),
                next: Next::Protocol(&TLS),
            }));
        }
        let start = Start::parse(cursor)?;
        notes.proved();
        notes.client(side);
        match start {
            Start::Startup { minor } => {
                notes.text(VERSION, &format!("3.{minor}"));
                self.started = true;
            }
            Start::Ssl => {
                notes.text(STARTTLS, "SSLRequest");
                self.asked = true;
            }
            Start::Gss => {
                notes.text(STARTTLS, "GSSENCRequest");
                self.asked = true;
            }
            Start::Cancel => {
                notes.number(CANCEL, 1);
                return Ok(Some(Step::Done));
            }
        }
        Ok(None)
    }

    fn of_server(
        &mut self,
        cursor: &mut Cursor<'_>,
        notes: &mut Notes<'_>,
    ) -> Result<Option<Step>, Reject> {
        if std::mem::take(&mut self.asked) {
            let answer = cursor.u8()?;
            if matches!(answer, b'S' | b'G') {
                notes.text(STARTTLS_ANSWER, "accepted");
            }
            match answer {
                b'S' => {
                    return Ok(Some(Step::Handover {
                        consumed: cursor.offset(),
                        next: Next::Protocol(&TLS),
                    }));
                }
                b'N' => notes.text(STARTTLS_ANSWER, "refused"),
                // Sealed by GSS, or an error of a server that does not know the request.
                _ => return Ok(Some(Step::Done)),
            }
            return Ok(None);
        }
        let start = *cursor;
        let kind = cursor.u8()?;
        let length = cursor.u32()? as usize;
        let length = length.checked_sub(4).ok_or(Reject::Invalid("length"))?;
        if length > MAX_READ {
            *cursor = start;
            cursor.skip(1)?;
            return skip_message(cursor);
        }
        let mut body = cursor.sub(length)?;
        match kind {
            b'R' => {
                let method = Method(body.u32().map_err(|_| Reject::Invalid("length"))?);
                notes.proved();
                if let Some(client) = self.client {
                    notes.client(client);
                }
                match method {
                    Method::OK => notes.text(AUTH_RESULT, "ok"),
                    Method::SASL_CONTINUE | Method::SASL_FINAL | Method::GSS_CONTINUE => {}
                    _ => notes.text(AUTH_METHOD, &method.to_string()),
                }
                if method == Method::SASL {
                    for name in body.rest().split(|byte| *byte == 0) {
                        notes.bytes(MECHANISM_OFFERED, name);
                    }
                }
            }
            b'S' => {
                if let Some(version) = body.rest().strip_prefix(b"server_version\0") {
                    notes.bytes(VERSION, version.strip_suffix(b"\0").unwrap_or(version));
                }
            }
            b'E' => {
                let fields = body.rest().split(|byte| *byte == 0);
                let state = fields.filter_map(|field| field.strip_prefix(b"C")).next();
                notes.bytes(AUTH_RESULT, state.unwrap_or_default());
                return Ok(Some(Step::Done));
            }
            // Ready for statements.
            b'Z' => return Ok(Some(Step::Done)),
            _ => {}
        }
        Ok(None)
    }
}

/// Passes over a message whose length comes next.
fn skip_message(cursor: &mut Cursor<'_>) -> Result<Option<Step>, Reject> {
    let length = cursor.u32()? as usize;
    if !(4..=MAX_MESSAGE).contains(&length) {
        return Err(Reject::Invalid("length"));
    }
    Ok(Some(Step::Skip {
        consumed: cursor.offset(),
        bytes: length.saturating_sub(4) as u64,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::testing::{
        CLIENT as C, SERVER as S, TLS_HELLO, conversation, midstream, only_registered_attributes,
        protocols, survives_every_cut, values,
    };

    fn sized(kind: &[u8], body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
        [kind, &length, body].concat()
    }

    fn startup() -> Vec<u8> {
        sized(b"", b"\0\x03\0\0user\0secretuser\0database\0hidden\0\0")
    }

    const SSL: &[u8] = &[0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f];

    #[test]
    fn a_login_is_read_without_user_and_database() {
        let startup = startup();
        let offer = sized(b"R", b"\0\0\0\x0aSCRAM-SHA-256\0\0");
        let answer = sized(b"p", b"SCRAM-SHA-256\0\0\0\0\x04abcd");
        let end = [
            sized(b"R", &[0, 0, 0, 12, 1, 2]),
            sized(b"R", &[0, 0, 0, 0]),
            sized(b"S", b"server_version\x0016.3\0"),
            sized(b"Z", b"I"),
        ]
        .concat();
        let segments = [(C, &startup[..]), (S, &offer), (C, &answer), (S, &end)];
        let recorder = conversation(&segments);
        assert_eq!(protocols(&recorder), ["postgresql"]);
        assert_eq!(recorder.client, Some(C));
        let of = |name| values(&recorder, "postgresql", name);
        assert_eq!(of("version"), ["16.3", "3.0"]);
        assert_eq!(of("auth_method"), ["sasl"]);
        assert_eq!(of("mechanism_offered"), ["SCRAM-SHA-256"]);
        assert_eq!(of("auth_result"), ["ok"]);
        let all = format!("{:?}", recorder.facts);
        assert!(!all.contains("secretuser") && !all.contains("hidden"));
        only_registered_attributes(&recorder, &[&POSTGRESQL]);
        survives_every_cut(&segments);
    }

    #[test]
    fn tls_follows_where_it_is_accepted_and_the_login_where_not() {
        let hello = TLS_HELLO.to_vec();
        let segments = [(C, SSL), (S, &b"S"[..]), (C, &hello)];
        let recorder = conversation(&segments);
        assert_eq!(protocols(&recorder), ["postgresql", "tls"]);
        assert_eq!(values(&recorder, "postgresql", "starttls"), ["SSLRequest"]);
        assert_eq!(
            values(&recorder, "postgresql", "starttls_answer"),
            ["accepted"]
        );
        survives_every_cut(&segments);
        assert_eq!(
            protocols(&conversation(&[(C, SSL), (C, &hello)])),
            ["postgresql", "tls"]
        );

        let (startup, error) = (startup(), sized(b"E", b"SFATAL\0C28P01\0Mno\0\0"));
        let segments = [(C, SSL), (S, &b"N"[..]), (C, &startup), (S, &error)];
        let recorder = conversation(&segments);
        assert_eq!(
            values(&recorder, "postgresql", "starttls_answer"),
            ["refused"]
        );
        assert_eq!(values(&recorder, "postgresql", "auth_result"), ["28P01"]);
        survives_every_cut(&segments);
    }

    #[test]
    fn a_cancel_request_and_a_server_alone_are_known() {
        let cancel = [0, 0, 0, 16, 4, 0xd2, 0x16, 0x2e, 0, 0, 0, 9, 1, 2, 3, 4];
        let recorder = conversation(&[(C, &cancel)]);
        assert_eq!(values(&recorder, "postgresql", "cancel"), ["1"]);
        let recorder = conversation(&[(S, &sized(b"R", &[0, 0, 0, 5, 1, 2, 3, 4]))]);
        assert_eq!(values(&recorder, "postgresql", "auth_method"), ["md5"]);
        assert_eq!(recorder.client, Some(C));
    }

    #[test]
    fn other_openings_are_not_postgresql() {
        let no_user = sized(b"", b"\0\x03\0\0database\0x\0\0");
        let nine = sized(b"R", &[0, 0, 0, 9, 1]);
        for other in [
            &no_user[..],
            &nine,
            &sized(b"R", &[0; 4]),
            &SSL[..7],
            &[0, 0, 0, 9, 4, 0xd2, 0x16, 0x2f, 0],
        ] {
            assert!(protocols(&conversation(&[(C, other)])).is_empty());
        }
        assert!(protocols(&midstream(&[(C, SSL)])).is_empty());
    }
}
