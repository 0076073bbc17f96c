//! MySQL and MariaDB (client/server protocol, "Connection Phase" of the MySQL internals manual): version, method of
//! authentication, the switch to TLS, and how the login ended.
//!
//! Reads the handshake alone; statements and rows are never looked at, names and answers to challenges not kept. Proof is
//! a greeting of the server, a refusal in its place, or a login of protocol 4.1, each by its exact length and the zeros
//! that it must hold.

use super::tls::TLS;
use super::{
    About, Next, Opening, Probe, Protocol, Reject, Step, StreamDecoder, StreamEntry, text,
};
use crate::bytes::Cursor;
use crate::evidence::Notes;
use crate::net::Side;

/// The server's version.
const VERSION: &str = "version";
/// Method of authentication that the server proposes.
const AUTH_PLUGIN: &str = "auth_plugin";
/// 1 where the server offers TLS.
const TLS_OFFERED: &str = "tls_offered";
/// `SSLRequest`: the client switches to TLS.
const STARTTLS: &str = "starttls";
/// `ok`, or the number of the error.
const AUTH_RESULT: &str = "auth_result";
/// Number of the error that the server sent in place of a greeting.
const ERROR: &str = "error";

pub(super) const MYSQL: Protocol = Protocol {
    name: "mysql",
    about: About {
        title: "MySQL client/server protocol",
        sources: "MySQL internals manual, chapter on the connection phase",
        reads: "Greeting, login, the switch to TLS, and how the login ended.",
        proves: "A greeting, refusal or login of protocol 4.1 by its exact length and the zeros in it.",
        limits: "Statements and rows are not looked at.",
    },
    attributes: &[
        VERSION,
        AUTH_PLUGIN,
        TLS_OFFERED,
        STARTTLS,
        AUTH_RESULT,
        ERROR,
    ],
    stream: Some(StreamEntry {
        // The length of the first message.
        first_byte: |byte| byte >= MIN_GREETING,
        probe,
        start: || Box::<Connection>::default(),
    }),
    datagram: None,
};

/// Shortest greeting: version, thread, eight bytes of challenge, capabilities.
const MIN_GREETING: u8 = 20;
/// Longest first message: names of plugins and attributes of the client fit.
const MAX_FIRST: usize = 4096;
/// Protocol 10, since MySQL 3.21.
const PROTOCOL_10: u8 = 10;
/// Capabilities.
const PROTOCOL_41: u32 = 1 << 9;
const SSL: u32 = 1 << 11;
const PLUGIN_AUTH: u32 = 1 << 19;
/// Bytes of an SSLRequest, and of a login before its name.
const SSL_REQUEST: usize = 32;

/// A message: 24 bits of length, a number that counts from 0, and the rest.
fn message<'a>(cursor: &mut Cursor<'a>) -> Result<(u8, Cursor<'a>), Reject> {
    let header = cursor.u32_le()?;
    let [low, middle, high, number] = header.to_le_bytes();
    let length = u32::from_le_bytes([low, middle, high, 0]) as usize;
    Ok((number, cursor.sub(length)?))
}

/// What stands in a first message, before its end.
fn is_first(bytes: &[u8], number: u8) -> bool {
    match bytes {
        [low, middle, high, third, rest @ ..] => {
            let length = u32::from_le_bytes([*low, *middle, *high, 0]) as usize;
            let fits = (usize::from(MIN_GREETING)..=MAX_FIRST).contains(&length);
            let begins = match (number, rest.first()) {
                (0, Some(first)) => matches!(*first, PROTOCOL_10 | 0xff),
                _ => true,
            };
            fits && *third == number && begins
        }
        [low, middle, high] => *low >= MIN_GREETING && *middle <= 16 && *high == 0,
        [low, middle] => *low >= MIN_GREETING && *middle <= 16,
        [low] => *low >= MIN_GREETING,
        [] => false,
    }
}

fn probe(opening: &Opening<'_>) -> Probe {
    if opening.midstream {
        return Probe::No;
    }
    let bytes = opening.spoken();
    let greeting = whole(bytes, 0, |body| {
        Greeting::parse(body).is_ok() || refusal(body).is_some()
    });
    let login = whole(bytes, 1, |body| Login::parse(body).is_ok());
    greeting.or(login)
}

/// Whether the first message is of that number and `fits`.
fn whole(bytes: &[u8], number: u8, fits: impl Fn(Cursor<'_>) -> bool) -> Probe {
    if !is_first(bytes, number) {
        return Probe::No;
    }
    match message(&mut Cursor::new(bytes)) {
        Ok((_, body)) if fits(body) => Probe::Yes,
        Err(Reject::Short(_)) => Probe::More,
        Ok(_) | Err(_) => Probe::No,
    }
}

/// What a server greets with.
#[derive(Debug, PartialEq, Eq)]
struct Greeting {
    version: String,
    capabilities: u32,
    plugin: Option<String>,
}

impl Greeting {
    fn parse(mut body: Cursor<'_>) -> Result<Self, Reject> {
        if body.u8()? != PROTOCOL_10 {
            return Err(Reject::Other);
        }
        let version = string(&mut body)?;
        if !version.starts_with(|first: char| first.is_ascii_digit()) || !version.contains('.') {
            return Err(Reject::Invalid("version"));
        }
        body.skip(12)?;
        if body.u8()? != 0 {
            return Err(Reject::Invalid("filler"));
        }
        let low = body.u16_le()?;
        let mut greeting = Self {
            version,
            capabilities: u32::from(low),
            plugin: None,
        };
        // MySQL 3.22 ends here.
        if body.is_empty() {
            return Ok(greeting);
        }
        body.skip(3)?;
        let high = body.u16_le()?;
        greeting.capabilities |= u32::from(high) << 16;
        let length = body.u8()?;
        // MariaDB keeps capabilities of its own in the last four.
        if body.array::<10>()?.first_chunk() != Some(&[0_u8; 6]) {
            return Err(Reject::Invalid("filler"));
        }
        if greeting.capabilities & PLUGIN_AUTH != 0 {
            body.skip(usize::from(length.saturating_sub(8)).max(13))?;
            let name = body.rest();
            let name = name.strip_suffix(b"\0").unwrap_or(name);
            if text::is_plain(name) {
                greeting.plugin = Some(String::from_utf8_lossy(name).into_owned());
            }
        }
        Ok(greeting)
    }
}

/// What a client of protocol 4.1 answers.
#[derive(Debug, PartialEq, Eq)]
struct Login {
    /// It ends where its name would stand: TLS begins.
    is_ssl_request: bool,
}

impl Login {
    fn parse(mut body: Cursor<'_>) -> Result<Self, Reject> {
        let length = body.len();
        let capabilities = body.u32_le()?;
        body.skip(5)?;
        // MariaDB keeps capabilities of its own in the last four.
        let zeros = body.array::<23>()?.first_chunk() == Some(&[0_u8; 19]);
        if capabilities & PROTOCOL_41 == 0 || !zeros {
            return Err(Reject::Other);
        }
        Ok(Self {
            is_ssl_request: length == SSL_REQUEST && capabilities & SSL != 0,
        })
    }
}

/// Number of the error that refuses a client before the greeting: it has no SQL state, and is a sentence.
fn refusal(mut body: Cursor<'_>) -> Option<u16> {
    let (0xff, Ok(number)) = (body.u8().ok()?, body.u16_le()) else {
        return None;
    };
    // Too many connections, host blocked, host not privileged.
    let known = matches!(number, 1040 | 1129 | 1130);
    let sentence = body.rest();
    (known && sentence.contains(&b' ') && text::is_plain(sentence)).then_some(number)
}

/// Text up to a NUL.
fn string(cursor: &mut Cursor<'_>) -> Result<String, Reject> {
    let rest = cursor.rest();
    let end = memchr::memchr(0, rest).ok_or(Reject::Invalid("string"))?;
    let text = cursor.take(end)?;
    cursor.skip(1)?;
    if text.iter().all(u8::is_ascii_graphic) {
        Ok(String::from_utf8_lossy(text).into_owned())
    } else {
        Err(Reject::Invalid("string"))
    }
}

/// One connection.
#[derive(Debug, Default)]
struct Connection {
    server: Option<Side>,
    /// The client asked to log in.
    asked: bool,
}

impl StreamDecoder for Connection {
    fn data(&mut self, side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        let mut cursor = Cursor::new(bytes);
        loop {
            let consumed = cursor.offset();
            if cursor.is_empty() {
                return Step::Consumed;
            }
            match message(&mut cursor) {
                Ok((number, body)) => match self.message(side, number, body, notes) {
                    Ok(None) => {}
                    Ok(Some(step)) => return step(cursor.offset()),
                    Err(reject) => return Step::Reject(reject),
                },
                Err(reject) => return reject.into_step(consumed, cursor.len()),
            }
        }
    }
}

/// What to do after a message that ends at that offset.
type After = fn(usize) -> Step;

impl Connection {
    fn message(
        &mut self,
        side: Side,
        number: u8,
        body: Cursor<'_>,
        notes: &mut Notes<'_>,
    ) -> Result<Option<After>, Reject> {
        if self.server.is_none() {
            let from_client = number == 1 && Login::parse(body).is_ok();
            let server = if from_client { side.other() } else { side };
            self.server = Some(server);
            notes.client(server.other());
            if !from_client {
                return Self::greeting(body, notes);
            }
        }
        if self.server == Some(side) {
            return Ok(self.answer(body, notes));
        }
        if let Ok(login) = Login::parse(body) {
            notes.proved();
            if login.is_ssl_request && !self.asked {
                notes.text(STARTTLS, "SSLRequest");
                return Ok(Some(|consumed| Step::Handover {
                    consumed,
                    next: Next::Protocol(&TLS),
                }));
            }
        }
        self.asked = true;
        Ok(None)
    }

    fn greeting(body: Cursor<'_>, notes: &mut Notes<'_>) -> Result<Option<After>, Reject> {
        if let Some(error) = refusal(body) {
            notes.proved();
            notes.number(ERROR, u64::from(error));
            return Ok(Some(|_| Step::Done));
        }
        let greeting = Greeting::parse(body)?;
        notes.proved();
        notes.text(VERSION, &greeting.version);
        notes.text(AUTH_PLUGIN, greeting.plugin.as_deref().unwrap_or_default());
        if greeting.capabilities & SSL != 0 {
            notes.number(TLS_OFFERED, 1);
        }
        Ok(None)
    }

    /// `OK` and `ERR` end the login; other messages change the method or ask for more.
    fn answer(&self, mut body: Cursor<'_>, notes: &mut Notes<'_>) -> Option<After> {
        match body.u8() {
            Ok(0) => notes.text(AUTH_RESULT, "ok"),
            Ok(0xff) => notes.text(AUTH_RESULT, &body.u16_le().ok()?.to_string()),
            _ => return None,
        }
        Some(|_| Step::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::testing::{
        CLIENT as C, SERVER as S, TLS_HELLO, conversation, midstream, only_registered_attributes,
        protocols, survives_every_cut, values,
    };

    fn packet(number: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len()).unwrap().to_le_bytes();
        [&length[..3], &[number], body].concat()
    }

    fn greeting() -> Vec<u8> {
        let body = [
            &b"\x0a8.0.36\0\x07\0\0\0abcdefgh\0"[..],
            &[0xff, 0xff, 8, 2, 0, 0xff, 0xc1, 21],
            &[0; 10],
            b"ijklmnopqrst\0mysql_native_password\0",
        ]
        .concat();
        packet(0, &body)
    }

    fn login(ssl: bool, name: &[u8]) -> Vec<u8> {
        let capabilities = (PROTOCOL_41 | if ssl { SSL } else { 0 }).to_le_bytes();
        packet(
            1,
            &[&capabilities[..], &[0, 0, 0, 1, 33], &[0; 23], name].concat(),
        )
    }

    #[test]
    fn a_login_is_read_without_its_name() {
        let (greeting, login) = (greeting(), login(false, b"anna\0\x00"));
        let denied = packet(2, b"\xff\x15\x04#28000Access denied for user 'anna'");
        let segments = [(S, &greeting[..]), (C, &login), (S, &denied)];
        let recorder = conversation(&segments);
        assert_eq!(protocols(&recorder), ["mysql"]);
        assert_eq!(recorder.client, Some(C));
        assert_eq!(values(&recorder, "mysql", VERSION), ["8.0.36"]);
        assert_eq!(
            values(&recorder, "mysql", AUTH_PLUGIN),
            ["mysql_native_password"]
        );
        assert_eq!(values(&recorder, "mysql", TLS_OFFERED), ["1"]);
        assert_eq!(values(&recorder, "mysql", AUTH_RESULT), ["1045"]);
        assert!(!format!("{:?}", recorder.facts).contains("anna"));
        only_registered_attributes(&recorder, &[&MYSQL]);
        survives_every_cut(&segments);
    }

    #[test]
    fn an_ssl_request_hands_over_to_tls() {
        let hello = TLS_HELLO.to_vec();
        let (greeting, request) = (greeting(), login(true, b""));
        let segments = [(S, &greeting[..]), (C, &request), (C, &hello)];
        let recorder = conversation(&segments);
        assert_eq!(protocols(&recorder), ["mysql", "tls"]);
        assert_eq!(values(&recorder, "mysql", STARTTLS), ["SSLRequest"]);
        survives_every_cut(&segments);
    }

    #[test]
    fn an_old_greeting_and_a_refusal_are_read() {
        let old = packet(0, b"\x0a3.22.32\0\x07\0\0\0abcdefgh\0\x2c\0");
        let recorder = conversation(&[(S, &old)]);
        assert_eq!(values(&recorder, "mysql", VERSION), ["3.22.32"]);
        let refused = packet(0, b"\xff\x6a\x04Host '192.0.2.7' is not allowed to connect");
        let recorder = conversation(&[(S, &refused)]);
        assert_eq!(values(&recorder, "mysql", ERROR), ["1130"]);
    }

    #[test]
    fn a_client_alone_is_known_by_its_login() {
        let login = login(false, b"anna\0\x00");
        assert_eq!(protocols(&conversation(&[(C, &login)])), ["mysql"]);
    }

    #[test]
    fn other_openings_are_not_mysql() {
        let nothing: [&str; 0] = [];
        let mut filler = greeting();
        filler[24] = 1;
        let wrong = packet(0, b"\x0ahello world, this is text\0and more of it");
        for bytes in [&filler[..], &wrong, &[0x4a, 0, 0, 0, 9, 1, 2]] {
            assert_eq!(protocols(&conversation(&[(S, bytes)])), nothing);
        }
        assert_eq!(protocols(&midstream(&[(S, &greeting())])), nothing);
    }
}
