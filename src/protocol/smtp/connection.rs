//! One connection: lines of both directions, commands matched to their replies, and content passed over.

use std::collections::VecDeque;

use memchr::memchr;

use super::line::{self, Command, Reply};
use super::{
    AUTH_MECHANISM, AUTH_RESULT, BANNER, COMMAND, EXPS_MECHANISM, HELO, KEYWORD, MAIL_FROM,
    RCPT_TO, REPLY_ERROR, SLOW_REPLY, STARTTLS, STARTTLS_MISSING, STARTTLS_REFUSED, probe,
};
use crate::evidence::Notes;
use crate::net::{Side, Timestamp};
use crate::protocol::lines::Lines;
use crate::protocol::tls::TLS;
use crate::protocol::{Next, Reject, Step, StreamDecoder, gss};

/// Longest line that is read: RFC 4954 §4 asks for 12,288 bytes in authentication.
const MAX_LINE: usize = 12_288 + 2;
/// Commands that may wait for their replies: pipelined recipients of one group (RFC 2920). Beyond it the order is lost,
/// as it is where the replies are not in the capture.
const MAX_OUTSTANDING: usize = 1024;
/// Lines in a row that are neither command nor reply, before the stream is taken for something else.
const MAX_STRANGE: u8 = 8;
/// First byte of a record of TLS that holds a handshake (RFC 8446 section 5.1): no command begins with it.
const HANDSHAKE: u8 = 0x16;
/// Steps of the scale of late replies, in seconds: five are the default of Exchange's tarpit, RFC 5321 §4.5.3.2 lets clients
/// wait five minutes.
const LATE_SECONDS: [i64; 5] = [5, 10, 30, 60, 300];

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    client: Option<Side>,
    /// The server was heard.
    answered: bool,
    mode: Mode,
    /// Commands whose replies are to come.
    outstanding: VecDeque<Awaited>,
    /// Lines of the reply that is being read.
    reply_lines: u64,
    /// The latest command, if it waits alone for its reply, and its time.
    asked: Option<(String, Timestamp)>,
    /// The answer to EHLO that is being read offers TLS.
    offers_tls: bool,
    /// A switch to TLS was agreed, or may have been: the next binary byte begins it.
    tls: bool,
    lines: Lines,
    strange: u8,
}

impl Default for Connection {
    fn default() -> Self {
        Self {
            client: None,
            answered: false,
            mode: Mode::Commands,
            outstanding: VecDeque::from([Awaited::Greeting]),
            reply_lines: 0,
            asked: None,
            offers_tls: false,
            tls: false,
            lines: Lines::default(),
            strange: 0,
        }
    }
}

/// What the client sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Commands,
    /// A message, up to a line with a single dot. `matched` bytes of [`END`] were read.
    Data {
        matched: usize,
    },
    /// Answers to the challenges of an authentication.
    Authentication,
    /// A chunk of that many bytes, which the server asked for.
    Chunk(u64),
}

/// End of a message, RFC 5321 §4.1.1.4.
const END: &[u8; 5] = b"\r\n.\r\n";

/// What a reply will answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaited {
    Greeting,
    Hello,
    /// The switch to TLS, and the verb that asked for it.
    Tls(&'static str),
    Authentication,
    /// 354, or a refusal.
    Data,
    /// The verdict on the message.
    Message,
    /// 354, or a refusal; then a chunk of that many bytes.
    Exch50(u64),
    Other,
}

impl StreamDecoder for Connection {
    fn data(&mut self, side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        let mut used: usize = 0;
        loop {
            let rest = bytes.get(used..).unwrap_or_default();
            let Some(&first) = rest.first() else {
                return Step::Consumed;
            };
            if self.client == Some(side) {
                match self.mode {
                    Mode::Data { matched } => {
                        let (length, matched) = message(rest, matched);
                        used = used.saturating_add(length);
                        self.mode = match matched {
                            5 => Mode::Commands,
                            _ => Mode::Data { matched },
                        };
                        continue;
                    }
                    Mode::Chunk(bytes) => {
                        self.mode = Mode::Commands;
                        return Step::Skip {
                            consumed: used,
                            bytes,
                        };
                    }
                    Mode::Commands | Mode::Authentication => {}
                }
            }
            let is_agreed = self.tls || first == HANDSHAKE && self.asked_for_tls(side);
            if is_agreed && (first == HANDSHAKE || first & 0x80 != 0) {
                return Step::Handover {
                    consumed: used,
                    next: Next::Protocol(&TLS),
                };
            }
            let line = match self.lines.take(side, bytes, &mut used, MAX_LINE) {
                Ok(line) if line.is_whole => line.text,
                Ok(_) => continue,
                Err(step) => return step,
            };
            match self.line(side, line, notes) {
                Ok(0) => {}
                Ok(chunk) => {
                    return Step::Skip {
                        consumed: used,
                        bytes: chunk,
                    };
                }
                Err(reject) => return Step::Reject(reject),
            }
        }
    }

    fn resume(&mut self, side: Side, bytes: &[u8]) -> Option<usize> {
        self.lines.restart(side);
        if self.client == Some(side) {
            if let Mode::Data { .. } = self.mode {
                self.mode = Mode::Data { matched: 0 };
                return Some(0);
            }
            self.mode = Mode::Commands;
        }
        // Commands or replies are missing: their order is lost.
        self.outstanding.clear();
        self.reply_lines = 0;
        self.asked = None;
        probe::is_line(bytes).then_some(0)
    }
}

impl Connection {
    /// Reads one line; the number says how many bytes after it are to be passed over.
    fn line(&mut self, side: Side, line: &[u8], notes: &mut Notes<'_>) -> Result<u64, Reject> {
        let reply = Reply::parse(line).filter(|_| self.client != Some(side));
        let command = match reply {
            None => Command::parse(line).filter(|_| self.client != Some(side.other())),
            Some(_) => None,
        };
        if let Some(reply) = reply {
            self.identify(side.other(), notes);
            self.reply(reply, notes);
            return Ok(0);
        }
        if let Some(command) = command {
            self.identify(side, notes);
            return Ok(self.command(command, notes));
        }
        if self.mode == Mode::Authentication && self.client == Some(side) {
            note_token(line, notes);
            return Ok(0);
        }
        self.strange = self.strange.saturating_add(1);
        if self.strange >= MAX_STRANGE {
            return Err(Reject::Other);
        }
        Ok(0)
    }

    fn identify(&mut self, client: Side, notes: &mut Notes<'_>) {
        self.strange = 0;
        self.client = Some(client);
        notes.proved();
        notes.client(client);
    }

    fn command(&mut self, command: Command<'_>, notes: &mut Notes<'_>) -> u64 {
        notes.text(COMMAND, &command.verb);
        // Of pipelined commands nobody can say which one takes the time.
        let is_alone = self.outstanding.is_empty();
        self.asked = is_alone.then(|| (command.verb.clone(), notes.moment().time));
        self.mode = Mode::Commands;
        let argument = command.argument;
        let awaited = match command.verb.as_str() {
            "EHLO" | "HELO" | "LHLO" => {
                notes.bytes(HELO, line::word(argument));
                Awaited::Hello
            }
            "STARTTLS" => Awaited::Tls("STARTTLS"),
            "X-ANONYMOUSTLS" => Awaited::Tls("X-ANONYMOUSTLS"),
            verb @ ("AUTH" | "X-EXPS") => {
                let mechanism = line::word(argument).to_ascii_uppercase();
                let attribute = match verb {
                    "AUTH" => AUTH_MECHANISM,
                    _ => EXPS_MECHANISM,
                };
                notes.bytes(attribute, &mechanism);
                note_token(argument.get(mechanism.len()..).unwrap_or_default(), notes);
                self.mode = Mode::Authentication;
                Awaited::Authentication
            }
            "MAIL" => {
                notes.text(MAIL_FROM, &line::domain(argument));
                Awaited::Other
            }
            "RCPT" => {
                notes.text(RCPT_TO, &line::domain(argument));
                Awaited::Other
            }
            "DATA" => {
                // The line before it ended: a message may begin with its end.
                self.mode = Mode::Data { matched: 2 };
                Awaited::Data
            }
            "BDAT" => {
                self.await_reply(Awaited::Other);
                return line::number(argument);
            }
            "XEXCH50" => {
                let chunk = line::number(argument);
                if !self.answered {
                    return chunk;
                }
                Awaited::Exch50(chunk)
            }
            _ => Awaited::Other,
        };
        self.await_reply(awaited);
        0
    }

    fn await_reply(&mut self, awaited: Awaited) {
        if self.outstanding.len() >= MAX_OUTSTANDING {
            self.outstanding.clear();
        }
        // Nobody greeted in what was captured: the first reply answers this command.
        if !self.answered && self.outstanding.front() == Some(&Awaited::Greeting) {
            self.outstanding.clear();
        }
        self.outstanding.push_back(awaited);
    }

    fn reply(&mut self, reply: Reply<'_>, notes: &mut Notes<'_>) {
        let greets = !self.answered && reply.code == 220 && !self.tls_awaited();
        self.answered = true;
        // A command may come before the greeting.
        if greets && self.outstanding.front() != Some(&Awaited::Greeting) {
            self.outstanding.push_front(Awaited::Greeting);
        }
        let awaited = self.outstanding.front().copied();
        let first = self.reply_lines == 0;
        self.reply_lines = self.reply_lines.saturating_add(1);
        match awaited {
            Some(Awaited::Greeting) if reply.code == 220 && first => {
                notes.bytes(BANNER, reply.text);
            }
            Some(Awaited::Hello) | None if reply.code == 250 && !first => {
                notes.bytes(KEYWORD, reply.text.trim_ascii());
                let word = line::word(reply.text);
                self.offers_tls |= [&b"STARTTLS"[..], b"X-ANONYMOUSTLS"]
                    .iter()
                    .any(|offer| word.eq_ignore_ascii_case(offer));
            }
            Some(Awaited::Hello) if first => {
                self.offers_tls = false;
                self.late(notes);
            }
            Some(Awaited::Authentication) if reply.code == 334 => note_token(reply.text, notes),
            _ => {}
        }
        if first && awaited != Some(Awaited::Hello) {
            self.late(notes);
        }
        if reply.more {
            return;
        }
        // A single line of keywords is no answer to EHLO.
        if awaited == Some(Awaited::Hello)
            && reply.code == 250
            && !first
            && !self.offers_tls
            && !self.tls
        {
            notes.number(STARTTLS_MISSING, 1);
        }
        self.reply_lines = 0;
        if reply.code >= 400 {
            notes.text(REPLY_ERROR, &reply.refusal());
        }
        // A challenge does not end the exchange.
        if (awaited, reply.code) == (Some(Awaited::Authentication), 334) {
            return;
        }
        self.outstanding.pop_front();
        match (awaited, reply.code) {
            (Some(Awaited::Tls(verb)), 220) => {
                notes.text(STARTTLS, verb);
                self.tls = true;
            }
            (Some(Awaited::Tls(_)), code) => notes.number(STARTTLS_REFUSED, u64::from(code)),
            // Whether it answered a command that the capture does not hold, the next bytes tell.
            (None, 220) => self.tls = true,
            (Some(Awaited::Authentication), code) => {
                notes.number(AUTH_RESULT, u64::from(code));
                if self.mode == Mode::Authentication {
                    self.mode = Mode::Commands;
                }
            }
            (Some(Awaited::Data), 354) => self.outstanding.push_front(Awaited::Message),
            (Some(Awaited::Data | Awaited::Message), _) => {
                if let Mode::Data { .. } = self.mode {
                    self.mode = Mode::Commands;
                }
            }
            (Some(Awaited::Exch50(chunk)), 354) => {
                self.mode = Mode::Chunk(chunk);
                self.outstanding.push_front(Awaited::Other);
            }
            _ => {}
        }
    }

    /// The first line of a reply to a command that waited alone: says so where it is late.
    fn late(&mut self, notes: &mut Notes<'_>) {
        let Some((verb, asked)) = self.asked.take() else {
            return;
        };
        let seconds = notes.moment().time.since(asked) / 1_000_000_000;
        let step = LATE_SECONDS.iter().rfind(|&&step| seconds >= step);
        if let Some(step) = step {
            notes.text(SLOW_REPLY, &format!("{verb} {step} s"));
        }
    }

    /// This client asked for TLS last: a handshake that follows says that it was agreed, though the answer is not in the
    /// capture.
    fn asked_for_tls(&self, side: Side) -> bool {
        self.client == Some(side) && matches!(self.outstanding.back(), Some(Awaited::Tls(_)))
    }

    fn tls_awaited(&self) -> bool {
        matches!(self.outstanding.front(), Some(Awaited::Tls(_)))
    }
}

/// Passes over message content: how many bytes, and how many bytes of [`END`] the last of them match.
fn message(bytes: &[u8], matched: usize) -> (usize, usize) {
    let mut matched = matched;
    let mut used: usize = 0;
    while let Some(&byte) = bytes.get(used) {
        if matched == 0 {
            // Ends of lines are all that matters.
            match memchr(b'\r', bytes.get(used..).unwrap_or_default()) {
                Some(offset) => used = used.saturating_add(offset).saturating_add(1),
                None => return (bytes.len(), 0),
            }
            matched = 1;
            continue;
        }
        used = used.saturating_add(1);
        matched = match (END.get(matched) == Some(&byte), byte) {
            (true, _) => matched.saturating_add(1),
            (false, b'\r') => 1,
            (false, _) => 0,
        };
        if matched == END.len() {
            break;
        }
    }
    (used, matched)
}

fn note_token(text: &[u8], notes: &mut Notes<'_>) {
    if let Some(token) = gss::mechanism_base64(text) {
        token.note(notes);
    }
}
