//! IMAP (RFC 9051, RFC 3501) with STARTTLS, AUTHENTICATE (RFC 4959) and ID (RFC 2971): greeting, capabilities, commands,
//! authentication, the switch to TLS, products, and refusals.
//!
//! Names, passwords, mailboxes and messages are not kept: literals are passed over by their count, of authentication only
//! the mechanism is read and what [`gss`](super::gss) shows of its tokens. Answers are matched to commands by their tags.
//! Proof is the greeting, an untagged response that no other protocol has, a command that no other has, or any command
//! together with a response to it.

use super::gss::{
    self, GSS_ANONYMOUS, GSS_DOMAIN, GSS_HOST, GSS_MECHANISM, GSS_OFFERED, GSS_SERVICE, GSS_VERSION,
};
use super::lines::Lines;
use super::{About, Protocol, Reject, Step, StreamDecoder, StreamEntry, text};
use crate::evidence::Notes;
use crate::net::{PerSide, Side};
use line::{Command, Response};

mod line;
mod probe;

/// The server's greeting, without the capabilities in it.
const BANNER: &str = "banner";
/// A word of the server's capabilities.
const CAPABILITY: &str = "capability";
/// A command that the client sent, upper case, without parameters.
const COMMAND: &str = "command";
/// `STARTTLS`: the server agreed to it.
const STARTTLS: &str = "starttls";
/// The server's text where it refused STARTTLS.
const STARTTLS_REFUSED: &str = "starttls_refused";
/// Mechanism of AUTHENTICATE, upper case; `LOGIN` for the command of that name.
const AUTH_MECHANISM: &str = "auth_mechanism";
/// `OK`, `NO` or `BAD`: how an authentication ended.
const AUTH_RESULT: &str = "auth_result";
/// A refusal: `NO` or `BAD` and its text, without addresses.
const REPLY_ERROR: &str = "reply_error";
/// Product that the client names in ID.
const CLIENT_PRODUCT: &str = "client_product";
/// Product that the server names in ID.
const SERVER_PRODUCT: &str = "server_product";

pub(super) const IMAP: Protocol = Protocol {
    name: "imap",
    about: About {
        title: "Internet Message Access Protocol",
        sources: "RFC 3501, RFC 2595, RFC 4959",
        reads: "Greeting, CAPABILITY, STARTTLS, LOGIN and AUTHENTICATE, and how the login ended.",
        proves: "A greeting at the beginning, a tagged command with its answer, or a command or answer that only IMAP has.",
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
        CLIENT_PRODUCT,
        SERVER_PRODUCT,
        GSS_MECHANISM,
        GSS_OFFERED,
        GSS_DOMAIN,
        GSS_HOST,
        GSS_SERVICE,
        GSS_VERSION,
        GSS_ANONYMOUS,
    ],
    stream: Some(StreamEntry {
        first_byte: |byte| byte == b'*' || line::is_tag_byte(byte),
        probe: probe::probe,
        start: || Box::<Connection>::default(),
    }),
    datagram: None,
};

/// Longest line that is read: RFC 7162 §4 asks servers for 8,192 bytes, tokens of an authentication may be longer.
const MAX_LINE: usize = 12_288 + 2;
/// Lines in a row of the client that are no command, before the stream is taken for something else.
const MAX_STRANGE: u8 = 8;

/// One connection.
#[derive(Debug, Default)]
struct Connection {
    client: Option<Side>,
    greeted: bool,
    /// Tag of a STARTTLS that waits for its answer.
    switching: Option<Vec<u8>>,
    /// Tag of a LOGIN or AUTHENTICATE that waits for its answer.
    authenticating: Option<Vec<u8>>,
    /// The client answers challenges.
    challenged: bool,
    lines: Lines,
    /// Bytes of a literal that come next on that side.
    literal: PerSide<u64>,
    strange: u8,
}

impl StreamDecoder for Connection {
    fn data(&mut self, side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        let mut used = 0;
        loop {
            if used < bytes.len() && self.literal[side] > 0 {
                return Step::Skip {
                    consumed: used,
                    bytes: std::mem::take(&mut self.literal[side]),
                };
            }
            let line = match self.lines.next(side, bytes, &mut used, MAX_LINE) {
                Ok(line) => line,
                Err(step) => return step,
            };
            if let Some(literal) = line::literal(line.text) {
                self.literal[side] = literal;
                self.lines.continues(side, true);
            }
            if line.is_whole
                && let Err(reject) = self.line(side, line.text, notes)
            {
                return Step::Reject(reject);
            }
        }
    }

    fn resume(&mut self, side: Side, bytes: &[u8]) -> Option<usize> {
        let (line, _) = text::first_line(bytes)?;
        let known = if self.client == Some(side) {
            Command::parse(line).is_some()
        } else {
            Response::parse(line).is_some()
        };
        if known {
            self.lines.restart(side);
            self.literal[side] = 0;
        }
        known.then_some(0)
    }
}

impl Connection {
    fn line(&mut self, side: Side, line: &[u8], notes: &mut Notes<'_>) -> Result<(), Reject> {
        if self.client != Some(side)
            && let Some(response) = Response::parse(line)
        {
            self.identify(side.other(), notes);
            self.response(response, side, notes);
            return Ok(());
        }
        if self.client == Some(side.other()) {
            return Ok(());
        }
        if self.challenged && self.client == Some(side) {
            note_token(line, notes);
            return Ok(());
        }
        if let Some(command) = Command::parse(line) {
            self.identify(side, notes);
            self.command(command, notes);
        } else if !line.eq_ignore_ascii_case(b"DONE") {
            self.strange = self.strange.saturating_add(1);
            if self.strange >= MAX_STRANGE {
                return Err(Reject::Other);
            }
        }
        Ok(())
    }

    fn identify(&mut self, client: Side, notes: &mut Notes<'_>) {
        self.strange = 0;
        self.client = Some(client);
        notes.proved();
        notes.client(client);
    }

    fn command(&mut self, command: Command<'_>, notes: &mut Notes<'_>) {
        notes.text(COMMAND, command.verb);
        let tag = || Some(command.tag.to_vec());
        match command.verb {
            "STARTTLS" => self.switching = tag(),
            "LOGIN" => {
                notes.text(AUTH_MECHANISM, "LOGIN");
                self.authenticating = tag();
            }
            "AUTHENTICATE" => {
                let (mechanism, initial) = text::split_word(command.argument);
                notes.bytes(AUTH_MECHANISM, &mechanism.to_ascii_uppercase());
                note_token(initial, notes);
                self.authenticating = tag();
                self.challenged = true;
            }
            "ID" => notes.text(CLIENT_PRODUCT, &line::product(command.argument)),
            _ => {}
        }
    }

    fn response(&mut self, response: Response<'_>, server: Side, notes: &mut Notes<'_>) {
        match response {
            Response::Greeting(text) => {
                self.capabilities(text, notes);
                if !std::mem::replace(&mut self.greeted, true) {
                    notes.bytes(BANNER, line::without_code(text).trim_ascii());
                }
            }
            Response::Continue(token) => note_token(token, notes),
            Response::Untagged(line) => {
                let (word, rest) = text::split_word(line);
                if word.eq_ignore_ascii_case(b"CAPABILITY") {
                    words(rest, notes);
                } else if word.eq_ignore_ascii_case(b"ID") {
                    notes.text(SERVER_PRODUCT, &line::product(rest));
                }
            }
            Response::Tagged { tag, status, text } => {
                self.greeted = true;
                self.capabilities(text, notes);
                // A refused command takes the literal that it announced with it.
                if status != "OK" {
                    self.literal[server.other()] = 0;
                    self.lines.continues(server.other(), false);
                    let text = text::without_addresses(text);
                    notes.text(REPLY_ERROR, format!("{status} {text}").trim_end());
                }
                if self.switching.as_deref() == Some(tag) {
                    self.switching = None;
                    if status == "OK" {
                        notes.text(STARTTLS, "STARTTLS");
                        self.lines.expect_tls();
                    } else {
                        notes.text(STARTTLS_REFUSED, &text::without_addresses(text));
                    }
                }
                if self.authenticating.as_deref() == Some(tag) {
                    self.authenticating = None;
                    self.challenged = false;
                    notes.text(AUTH_RESULT, status);
                }
            }
        }
    }

    /// Capabilities in a response code, RFC 9051 §7.1.
    fn capabilities(&self, text: &[u8], notes: &mut Notes<'_>) {
        if text::begins(text, b"[CAPABILITY ") {
            let (code, _) = line::code(text);
            words(text::split_word(code).1, notes);
        }
    }
}

fn words(text: &[u8], notes: &mut Notes<'_>) {
    for word in text.split(|&byte| byte == b' ') {
        notes.bytes(CAPABILITY, word);
    }
}

fn note_token(text: &[u8], notes: &mut Notes<'_>) {
    if let Some(token) = gss::mechanism_base64(text) {
        token.note(notes);
    }
}

#[cfg(test)]
mod tests;
