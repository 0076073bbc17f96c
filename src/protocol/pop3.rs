//! POP3 (RFC 1939) with capabilities (RFC 2449), STLS (RFC 2595) and AUTH (RFC 5034): banner, capabilities, commands,
//! authentication, the switch to TLS, and refusals.
//!
//! Names and passwords are not kept, of authentication only the mechanism and what [`gss`](super::gss) reads of its tokens.
//! Messages and lists are passed over line by line. Answers are matched to commands in order (RFC 2449 §6.6). Proof is the
//! server's greeting, a command that no other protocol has, or any command together with `+OK` and a text: FTP knows USER
//! and PASS too, and Redis answers AUTH and QUIT with a bare `+OK` and others with `-ERR`.

use std::collections::VecDeque;

use super::gss::{
    self, GSS_ANONYMOUS, GSS_DOMAIN, GSS_HOST, GSS_MECHANISM, GSS_OFFERED, GSS_SERVICE, GSS_VERSION,
};
use super::lines::{LineReader, Lines};
use super::{About, Opening, Probe, Protocol, Reject, Step, StreamDecoder, StreamEntry, text};
use crate::evidence::Notes;
use crate::net::Side;

/// The server's greeting.
const BANNER: &str = "banner";
/// A line of the answer to CAPA.
const CAPABILITY: &str = "capability";
/// A command that the client sent, upper case, without parameters.
const COMMAND: &str = "command";
/// `STLS`: the server agreed to it.
const STARTTLS: &str = "starttls";
/// The server's text where it refused STLS.
const STARTTLS_REFUSED: &str = "starttls_refused";
/// Mechanism of an AUTH command, upper case; `USER` for USER and PASS, `APOP`.
const AUTH_MECHANISM: &str = "auth_mechanism";
/// `+OK` or `-ERR`: how an authentication ended.
const AUTH_RESULT: &str = "auth_result";
/// The text of a refusal, without addresses.
const REPLY_ERROR: &str = "reply_error";

pub(super) const POP3: Protocol = Protocol {
    name: "pop3",
    about: About {
        title: "Post Office Protocol, version 3",
        sources: "RFC 1939, RFC 2449, RFC 2595, RFC 5034",
        reads: "Greeting, CAPA, STLS, USER and AUTH, and how the login ended.",
        proves: "A greeting at the beginning or with a command, or a greeting or command that only POP3 has.",
        limits: "Names, passwords and mail are not kept.",
    },
    attributes: &[
        BANNER,
        CAPABILITY,
        COMMAND,
        STARTTLS,
        STARTTLS_REFUSED,
        AUTH_MECHANISM,
        AUTH_RESULT,
        REPLY_ERROR,
        GSS_MECHANISM,
        GSS_OFFERED,
        GSS_DOMAIN,
        GSS_HOST,
        GSS_SERVICE,
        GSS_VERSION,
        GSS_ANONYMOUS,
    ],
    stream: Some(StreamEntry {
        first_byte: |byte| matches!(byte, b'+' | b'-') || byte.is_ascii_alphabetic(),
        probe,
        start: || Box::<Connection>::default(),
    }),
    datagram: None,
};

/// Longest line: the tokens of an authentication, as SMTP allows them (RFC 4954 §4).
const MAX_LINE: usize = 12_288 + 2;
/// Commands that may wait for their answers; beyond it the order is lost, as where answers are not in the capture.
const MAX_OUTSTANDING: usize = 256;
/// Lines in a row of the client that are no command, before the stream is taken for something else.
const MAX_STRANGE: u8 = 8;

/// Verbs, and what they take: RFC 1939, RFC 2449, RFC 2595, RFC 5034, RFC 6856.
const VERBS: &[(&str, Takes)] = &[
    ("APOP", Takes::Digest),
    ("AUTH", Takes::Anything),
    ("CAPA", Takes::Nothing),
    ("DELE", Takes::Numbers(1, 1)),
    ("LANG", Takes::Anything),
    ("LIST", Takes::Numbers(0, 1)),
    ("NOOP", Takes::Nothing),
    ("PASS", Takes::Anything),
    ("QUIT", Takes::Nothing),
    ("RETR", Takes::Numbers(1, 1)),
    ("RSET", Takes::Nothing),
    ("STAT", Takes::Nothing),
    ("STLS", Takes::Nothing),
    ("TOP", Takes::Numbers(2, 2)),
    ("UIDL", Takes::Numbers(0, 1)),
    ("USER", Takes::Anything),
    ("UTF8", Takes::Nothing),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    Nothing,
    Anything,
    /// At least and at most that many numbers.
    Numbers(usize, usize),
    /// A name and 32 hexadecimal digits.
    Digest,
}

/// A command of the client.
#[derive(Clone, Copy, Debug)]
struct Command<'a> {
    verb: &'static str,
    argument: &'a [u8],
    /// Its arguments are those that the verb takes.
    fits: bool,
}

impl<'a> Command<'a> {
    fn parse(line: &'a [u8]) -> Option<Self> {
        let (word, argument) = text::split_word(line);
        let (verb, takes) = VERBS
            .iter()
            .find(|(verb, _)| verb.as_bytes().eq_ignore_ascii_case(word))?;
        let words = || argument.split(|&byte| byte == b' ');
        let count = words().filter(|word| !word.is_empty()).count();
        let fits = match *takes {
            Takes::Nothing => count == 0,
            Takes::Anything => true,
            Takes::Numbers(least, most) => {
                (least..=most).contains(&count)
                    && argument
                        .iter()
                        .all(|byte| byte.is_ascii_digit() || *byte == b' ')
            }
            Takes::Digest => {
                let digest = words().next_back().unwrap_or_default();
                count == 2 && digest.len() == 32 && digest.iter().all(u8::is_ascii_hexdigit)
            }
        };
        text::is_plain(line).then_some(Self {
            verb,
            argument,
            fits,
        })
    }

    /// No other protocol has it in this form.
    fn is_proof(&self) -> bool {
        self.fits && matches!(self.verb, "APOP" | "CAPA" | "STLS" | "TOP" | "UIDL")
    }
}

/// An answer of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reply<'a> {
    Ok(&'a [u8]),
    Err(&'a [u8]),
    /// The challenge of an authentication.
    Challenge(&'a [u8]),
}

impl<'a> Reply<'a> {
    fn parse(line: &'a [u8]) -> Option<Self> {
        let after = |status: &[u8]| match line.strip_prefix(status)? {
            [] => Some(Default::default()),
            [b' ', rest @ ..] => Some(rest),
            _ => None,
        };
        after(b"+OK")
            .map(Self::Ok)
            .or_else(|| after(b"-ERR").map(Self::Err))
            .or_else(|| after(b"+").map(Self::Challenge))
    }
}

/// What the first line of one side looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    Sure,
    /// `+OK` and a text.
    Greeting,
    /// A status that Redis sends too.
    Reply,
    Command,
    Short,
    Other,
}

fn probe(opening: &Opening<'_>) -> Probe {
    use Look::{Command, Greeting, Other, Reply, Short, Sure};
    match (look(opening.spoken()), look(opening.reply())) {
        (Sure, _) | (_, Sure) => Probe::Yes,
        (Greeting, _) if !opening.midstream => Probe::Yes,
        (Greeting, Command) | (Command, Greeting) => Probe::Yes,
        (Short, _) | (_, Short) => Probe::More,
        (Greeting | Command, Other) if opening.reply().is_empty() => Probe::More,
        (Greeting | Reply | Command | Other, _) => Probe::No,
    }
}

fn look(bytes: &[u8]) -> Look {
    let Some((line, _)) = text::first_line(bytes) else {
        let mut starts = VERBS.iter().map(|(verb, _)| verb.as_bytes());
        let known = [&b"+OK"[..], b"-ERR"]
            .into_iter()
            .any(|status| text::may_begin(bytes, status))
            || starts.any(|verb| text::may_begin(bytes, verb));
        return if known && text::is_plain(text::trimmed(bytes)) {
            Look::Short
        } else {
            Look::Other
        };
    };
    match Reply::parse(line) {
        Some(Reply::Ok(text) | Reply::Err(text)) if !text::is_plain(text) => Look::Other,
        Some(Reply::Ok(text)) if text::holds(text, b"POP3") => Look::Sure,
        Some(Reply::Ok(text)) if !text.is_empty() => Look::Greeting,
        Some(Reply::Ok(_) | Reply::Err(_)) => Look::Reply,
        Some(Reply::Challenge(_)) => Look::Other,
        None => match Command::parse(line) {
            Some(command) if command.is_proof() => Look::Sure,
            Some(command) if command.fits && proves_later(bytes) => Look::Sure,
            Some(command) if command.fits => Look::Command,
            _ => Look::Other,
        },
    }
}

/// Whether commands in a row hold one that proves: their answers may not be in the capture.
fn proves_later(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while let Some((line, length)) = text::first_line(rest) {
        match Command::parse(line) {
            Some(command) if command.is_proof() => return true,
            Some(command) if command.fits => {}
            _ => return false,
        }
        rest = rest.get(length..).unwrap_or_default();
    }
    false
}

/// What an answer will answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaited {
    Greeting,
    Tls,
    /// Mechanism and credentials.
    Authentication,
    /// A password, or a digest.
    Password,
    /// Lines follow a success.
    Lines(Body),
    Other,
}

/// Lines that follow an answer, up to one with a single dot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Body {
    Message,
    /// Lines that begin with a number.
    List,
    Capabilities,
}

/// One connection.
#[derive(Debug)]
struct Connection {
    client: Option<Side>,
    /// The server was heard.
    answered: bool,
    outstanding: VecDeque<Awaited>,
    /// What the server is sending.
    body: Option<Body>,
    /// The client answers challenges.
    authenticating: bool,
    lines: Lines,
    strange: u8,
}

impl Default for Connection {
    fn default() -> Self {
        Self {
            client: None,
            answered: false,
            outstanding: VecDeque::from([Awaited::Greeting]),
            body: None,
            authenticating: false,
            lines: Lines::default(),
            strange: 0,
        }
    }
}

impl StreamDecoder for Connection {
    fn data(&mut self, side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        self.read(side, bytes, notes)
    }

    fn resume(&mut self, side: Side, bytes: &[u8]) -> Option<usize> {
        if self.client == Some(side) {
            self.lines.restart(side);
            self.authenticating = false;
            let (line, _) = text::first_line(bytes)?;
            return Command::parse(line).map(|_| 0);
        }
        if self.body.is_some() {
            self.lines.pass_rest(side);
            return Some(0);
        }
        self.lines.restart(side);
        self.outstanding.clear();
        (bytes.starts_with(b"+OK") || bytes.starts_with(b"-ERR")).then_some(0)
    }
}

impl LineReader for Connection {
    fn lines(&mut self) -> &mut Lines {
        &mut self.lines
    }

    fn longest(&self, side: Side) -> usize {
        // Of a message only a line with a single dot matters.
        let is_content = self.client == Some(side.other()) && self.body == Some(Body::Message);
        if is_content { 3 } else { MAX_LINE }
    }

    fn line(&mut self, side: Side, line: &[u8], notes: &mut Notes<'_>) -> Result<(), Reject> {
        if self.client != Some(side) {
            if let Some(body) = self.body {
                match (line, body) {
                    (b".", _) => self.body = None,
                    (_, Body::Message) => {}
                    (b"+OK" | b"-ERR", _) | ([b'+', b'O', b'K', b' ', ..], _) => self.body = None,
                    ([b'-', b'E', b'R', b'R', b' ', ..], _) => self.body = None,
                    (_, Body::Capabilities) => notes.bytes(CAPABILITY, line),
                    (_, Body::List) => {}
                }
                if self.body.is_some() || line == b"." {
                    return Ok(());
                }
            }
            if let Some(reply) = Reply::parse(line) {
                self.identify(side.other(), notes);
                self.reply(reply, notes);
                return Ok(());
            }
        }
        if self.client == Some(side.other()) {
            return Ok(());
        }
        if self.authenticating && self.client == Some(side) {
            note_token(line, notes);
            return Ok(());
        }
        match Command::parse(line) {
            Some(command) => {
                self.identify(side, notes);
                self.command(command, notes);
            }
            None => {
                self.strange = self.strange.saturating_add(1);
                if self.strange >= MAX_STRANGE {
                    return Err(Reject::Other);
                }
                self.expect(Awaited::Other);
            }
        }
        Ok(())
    }
}

impl Connection {
    fn identify(&mut self, client: Side, notes: &mut Notes<'_>) {
        self.strange = 0;
        self.client = Some(client);
        notes.proved();
        notes.client(client);
    }

    fn command(&mut self, command: Command<'_>, notes: &mut Notes<'_>) {
        notes.text(COMMAND, command.verb);
        let argument = command.argument.trim_ascii();
        let awaited = match command.verb {
            "STLS" => Awaited::Tls,
            "USER" => {
                notes.text(AUTH_MECHANISM, "USER");
                Awaited::Other
            }
            "PASS" => Awaited::Password,
            "APOP" => {
                notes.text(AUTH_MECHANISM, "APOP");
                Awaited::Password
            }
            // RFC 1734 clients ask for the mechanisms that way.
            "AUTH" if argument.is_empty() => Awaited::Lines(Body::Capabilities),
            "AUTH" => {
                let (mechanism, initial) = text::split_word(argument);
                notes.bytes(AUTH_MECHANISM, &mechanism.to_ascii_uppercase());
                note_token(initial, notes);
                self.authenticating = true;
                Awaited::Authentication
            }
            "CAPA" => Awaited::Lines(Body::Capabilities),
            "RETR" | "TOP" => Awaited::Lines(Body::Message),
            "LIST" | "UIDL" if argument.is_empty() => Awaited::Lines(Body::List),
            _ => Awaited::Other,
        };
        self.expect(awaited);
    }

    fn expect(&mut self, awaited: Awaited) {
        if self.outstanding.len() >= MAX_OUTSTANDING {
            self.outstanding.clear();
        }
        // Nobody greeted in what was captured: the first answer is to this command.
        if !self.answered && self.outstanding.front() == Some(&Awaited::Greeting) {
            self.outstanding.clear();
        }
        self.outstanding.push_back(awaited);
    }

    fn reply(&mut self, reply: Reply<'_>, notes: &mut Notes<'_>) {
        self.answered = true;
        if let Reply::Challenge(token) = reply {
            note_token(token, notes);
            return;
        }
        let awaited = self.outstanding.pop_front();
        if let Reply::Err(text) = reply {
            notes.text(REPLY_ERROR, &text::without_addresses(text));
        }
        match (awaited, reply) {
            (Some(Awaited::Greeting), Reply::Ok(text)) => notes.bytes(BANNER, text),
            (Some(Awaited::Tls), Reply::Ok(_)) => {
                notes.text(STARTTLS, "STLS");
                self.lines.expect_tls();
            }
            (Some(Awaited::Tls), Reply::Err(text)) => {
                notes.text(STARTTLS_REFUSED, &text::without_addresses(text));
            }
            (Some(Awaited::Authentication | Awaited::Password), Reply::Ok(_)) => {
                notes.text(AUTH_RESULT, "+OK");
                self.authenticating = false;
            }
            (Some(Awaited::Authentication | Awaited::Password), Reply::Err(_)) => {
                notes.text(AUTH_RESULT, "-ERR");
                self.authenticating = false;
            }
            (Some(Awaited::Lines(body)), Reply::Ok(_)) => self.body = Some(body),
            _ => {}
        }
    }
}

fn note_token(text: &[u8], notes: &mut Notes<'_>) {
    if let Some(token) = gss::mechanism_base64(text) {
        token.note(notes);
    }
}

#[cfg(test)]
mod tests;
