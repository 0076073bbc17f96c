//! IRC (RFC 1459, RFC 2812), its extensions of version 3, and IRCX: commands, the server's name and software, login and the
//! switch to TLS.
//!
//! Names of users, channels, passwords and what is said are not kept. Proof is a message that IRC alone has in this form: a
//! prefix with a numeric or a known command, or a command with arguments of its own.

use super::lines::{LineReader, Lines};
use super::{About, Opening, Probe, Protocol, Reject, Step, StreamDecoder, StreamEntry, text};
use crate::evidence::Notes;
use crate::net::Side;

/// A command that the client sent, without parameters.
const COMMAND: &str = "command";
/// The name with which the server signs its replies.
const SERVER_NAME: &str = "server";
/// The server's software (reply 004).
const SOFTWARE: &str = "software";
/// `PASS`, or the mechanism of an AUTHENTICATE or (IRCX) AUTH command.
const AUTH_MECHANISM: &str = "auth_mechanism";
/// Reply code that ended a login: 900 and 903 are success, 464 and 904 to 907 are not.
const AUTH_RESULT: &str = "auth_result";
/// `STARTTLS`: the server agreed to it (reply 670).
const STARTTLS: &str = "starttls";
/// Reply code of a refused switch to TLS (691).
const STARTTLS_REFUSED: &str = "starttls_refused";
/// 1 where the server speaks IRCX (reply 800).
const IRCX: &str = "ircx";
/// Code of a reply that refuses (400 to 599).
const REPLY_ERROR: &str = "reply_error";

pub(super) const IRC: Protocol = Protocol {
    name: "irc",
    about: About {
        title: "Internet Relay Chat",
        sources: "RFC 1459, RFC 2812, the IRCv3 specifications, draft-pfenning-irc-extensions (IRCX)",
        reads: "Commands, the server's name and software, how the login ended, and the switch to TLS.",
        proves: "A reply with prefix and number, a known command with a prefix, or one with arguments that only IRC has.",
        limits: "Names, channels and what is said are not kept; files sent between clients are not followed.",
    },
    attributes: &[
        COMMAND,
        SERVER_NAME,
        SOFTWARE,
        AUTH_MECHANISM,
        AUTH_RESULT,
        STARTTLS,
        STARTTLS_REFUSED,
        IRCX,
        REPLY_ERROR,
    ],
    stream: Some(StreamEntry {
        first_byte: |byte| matches!(byte, b':' | b'@') || byte.is_ascii_alphabetic(),
        probe,
        start: || Box::<Connection>::default(),
    }),
    datagram: None,
};

/// Longest line: RFC 2812 section 2.3 allows 512 bytes, message tags 8191 more.
const MAX_LINE: usize = 8704;
/// Lines of one side that a probe looks at: those of a login.
const MAX_PROBED: usize = 16;
/// Lines in a row that are no messages, before the stream is taken for something else.
const MAX_STRANGE: u8 = 16;
/// Parameters that are read: more than any message that is looked at has.
const MAX_PARAMETERS: usize = 15;

/// Commands of clients and servers.
const VERBS: &[&str] = &[
    "ACCOUNT",
    "ADMIN",
    "AUTH",
    "AUTHENTICATE",
    "AWAY",
    "BATCH",
    "CAP",
    "CHGHOST",
    "ERROR",
    "GLOBOPS",
    "INFO",
    "INVITE",
    "IRCX",
    "ISON",
    "JOIN",
    "KICK",
    "KILL",
    "LINKS",
    "LIST",
    "LUSERS",
    "MODE",
    "MONITOR",
    "MOTD",
    "NAMES",
    "NICK",
    "NOTICE",
    "OPER",
    "PART",
    "PASS",
    "PING",
    "PONG",
    "PRIVMSG",
    "PROTOCTL",
    "QUIT",
    "SERVER",
    "SQUERY",
    "STARTTLS",
    "STATS",
    "TAGMSG",
    "TIME",
    "TOPIC",
    "USER",
    "USERHOST",
    "USERS",
    "VERSION",
    "WALLOPS",
    "WEBIRC",
    "WHISPER",
    "WHO",
    "WHOIS",
    "WHOWAS",
];

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Message<'a> {
    prefix: Option<&'a [u8]>,
    command: Command,
    parameters: Vec<&'a [u8]>,
    /// The last parameter followed a colon.
    has_text: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command {
    Verb(&'static str),
    Numeric(u16),
}

impl<'a> Message<'a> {
    fn parse(line: &'a [u8]) -> Option<Self> {
        let mut rest = line.trim_ascii();
        if rest.first() == Some(&b'@') {
            rest = text::split_word(rest).1.trim_ascii_start();
        }
        let mut prefix = None;
        if rest.first() == Some(&b':') {
            let (word, after) = text::split_word(rest);
            prefix = Some(word.get(1..).filter(|name| is_prefix(name))?);
            rest = after.trim_ascii_start();
        }
        let (word, mut rest) = text::split_word(rest);
        let command = match word {
            [b'0'..=b'9', b'0'..=b'9', b'0'..=b'9'] => {
                Command::Numeric(std::str::from_utf8(word).ok()?.parse().ok()?)
            }
            _ => {
                let is_it = |verb: &&&str| verb.as_bytes().eq_ignore_ascii_case(word);
                Command::Verb(VERBS.iter().find(is_it)?)
            }
        };
        let mut parameters = Vec::new();
        let mut has_text = false;
        while !rest.is_empty() && parameters.len() < MAX_PARAMETERS {
            if let [b':', trailing @ ..] = rest {
                parameters.push(trailing);
                has_text = true;
                break;
            }
            let (word, after) = text::split_word(rest);
            if !word.is_empty() {
                parameters.push(word);
            }
            rest = after;
        }
        Some(Self {
            prefix,
            command,
            parameters,
            has_text,
        })
    }

    fn parameter(&self, index: usize) -> &'a [u8] {
        self.parameters.get(index).copied().unwrap_or_default()
    }

    fn parameter_is(&self, index: usize, words: &[&str]) -> bool {
        let is = |word: &&str| word.as_bytes().eq_ignore_ascii_case(self.parameter(index));
        words.iter().any(is)
    }

    /// Whether no other protocol has a message of this form.
    fn weight(&self) -> Weight {
        let count = self.parameters.len();
        let names_channel = matches!(self.parameter(0), [b'#' | b'&' | b'+' | b'!' | b'%', _, ..]);
        let is_proof = match (self.prefix, self.command) {
            (Some(_), _) => count > 0,
            (None, Command::Numeric(_)) => false,
            (None, Command::Verb(verb)) => match verb {
                "USER" => count == 4 && self.has_text,
                "CAP" => self.parameter_is(0, &["LS", "REQ", "END", "LIST", "ACK", "NAK"]),
                "JOIN" | "PART" | "TOPIC" | "KICK" | "NAMES" => names_channel,
                "MODE" => names_channel || self.parameter_is(0, &["ISIRCX"]),
                "PRIVMSG" | "NOTICE" | "WHISPER" => count >= 2 && self.has_text,
                "AUTHENTICATE" => self.parameter_is(0, &["PLAIN", "EXTERNAL", "SCRAM-SHA-256"]),
                "AUTH" => count >= 2 && self.parameter_is(1, &["I", "S"]),
                "IRCX" => count == 0,
                "ERROR" => self.parameter(0).starts_with(b"Closing Link"),
                _ => false,
            },
        };
        match self.command {
            _ if is_proof => Weight::Proof,
            Command::Verb("NICK") if count == 1 => Weight::Nick,
            Command::Verb("USER") if count >= 4 => Weight::User,
            _ => Weight::Light,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weight {
    Proof,
    /// With the other of the two it is one.
    Nick,
    User,
    Light,
}

/// A server, or a nickname with user and host.
fn is_prefix(name: &[u8]) -> bool {
    let is_part = |byte: &u8| {
        byte.is_ascii_alphanumeric() || *byte >= 0x80 || b".-_[]\\`^{}|/:!~@=+*%".contains(byte)
    };
    !name.is_empty() && name.iter().all(is_part)
}

fn probe(opening: &Opening<'_>) -> Probe {
    let sides = [opening.spoken(), opening.reply()].map(look);
    match sides {
        [Probe::Yes, _] | [_, Probe::Yes] => Probe::Yes,
        [Probe::More, Probe::No] if !opening.reply().is_empty() => Probe::No,
        [Probe::More, _] | [_, Probe::More] => Probe::More,
        [Probe::No, Probe::No] => Probe::No,
    }
}

/// Whether the first lines of one side are messages, and one of them proves it.
fn look(bytes: &[u8]) -> Probe {
    let (mut rest, mut nick, mut user) = (bytes, false, false);
    for _ in 0..MAX_PROBED {
        let Some((line, length)) = text::first_line(rest) else {
            let begins = |verb: &&str| text::may_begin(rest, verb.as_bytes());
            let may = matches!(rest.first(), None | Some(b':' | b'@')) || VERBS.iter().any(begins);
            let is_it = !bytes.is_empty() && may && rest.len() <= MAX_LINE;
            return if is_it { Probe::More } else { Probe::No };
        };
        rest = rest.get(length..).unwrap_or_default();
        let is_said =
            |byte: &u8| *byte >= 0x20 || matches!(*byte, 1..=3 | 0xf | 0x16 | 0x1d | 0x1f | b'\t');
        let Some(message) = Message::parse(line).filter(|_| line.iter().all(is_said)) else {
            return Probe::No;
        };
        match message.weight() {
            Weight::Proof => return Probe::Yes,
            Weight::Nick => nick = true,
            Weight::User => user = true,
            Weight::Light => {}
        }
        if nick && user {
            return Probe::Yes;
        }
    }
    Probe::No
}

/// One connection.
#[derive(Debug, Default)]
struct Connection {
    client: Option<Side>,
    lines: Lines,
    strange: u8,
}

impl StreamDecoder for Connection {
    fn data(&mut self, side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        self.read(side, bytes, notes)
    }

    fn resume(&mut self, side: Side, bytes: &[u8]) -> Option<usize> {
        // The rest of a line is passed over.
        self.lines.pass_rest(side);
        let (line, _) = text::first_line(bytes)?;
        if Message::parse(line).is_some() {
            self.lines.restart(side);
        }
        Some(0)
    }
}

impl LineReader for Connection {
    fn lines(&mut self) -> &mut Lines {
        &mut self.lines
    }

    fn longest(&self, _side: Side) -> usize {
        MAX_LINE
    }

    fn line(&mut self, side: Side, line: &[u8], notes: &mut Notes<'_>) -> Result<(), Reject> {
        match Message::parse(line) {
            _ if line.is_empty() => {}
            Some(message) => self.message(side, &message, notes),
            None => {
                self.strange = self.strange.saturating_add(1);
                if self.strange >= MAX_STRANGE {
                    return Err(Reject::Other);
                }
            }
        }
        Ok(())
    }
}

impl Connection {
    fn message(&mut self, side: Side, message: &Message<'_>, notes: &mut Notes<'_>) {
        self.strange = 0;
        notes.proved();
        match message.command {
            Command::Numeric(code) => {
                self.identify(side.other(), notes);
                self.numeric(code, message, notes);
            }
            Command::Verb(verb) => {
                if message.prefix.is_none() && !matches!(verb, "NOTICE" | "PING" | "ERROR" | "AUTH")
                {
                    self.identify(side, notes);
                }
                if self.client != Some(side) {
                    return;
                }
                notes.text(COMMAND, verb);
                match verb {
                    "PASS" => notes.text(AUTH_MECHANISM, "PASS"),
                    // What follows a mechanism are tokens.
                    "AUTHENTICATE" | "AUTH" if message.weight() == Weight::Proof => {
                        notes.bytes(AUTH_MECHANISM, &message.parameter(0).to_ascii_uppercase());
                    }
                    _ => {}
                }
            }
        }
    }

    fn identify(&mut self, client: Side, notes: &mut Notes<'_>) {
        if self.client.is_none() {
            self.client = Some(client);
            notes.client(client);
        }
    }

    fn numeric(&mut self, code: u16, message: &Message<'_>, notes: &mut Notes<'_>) {
        let server = message.prefix.unwrap_or_default();
        // The prefix of a person has user and host.
        if !server.iter().any(|byte| matches!(byte, b'!' | b'@')) {
            notes.bytes(SERVER_NAME, server);
        }
        match code {
            4 => notes.bytes(SOFTWARE, message.parameter(2)),
            670 => {
                notes.text(STARTTLS, "STARTTLS");
                self.lines.expect_tls();
            }
            691 => notes.number(STARTTLS_REFUSED, u64::from(code)),
            800 => notes.number(IRCX, 1),
            464 | 900 | 903..=907 => notes.number(AUTH_RESULT, u64::from(code)),
            _ => {}
        }
        if (400..600).contains(&code) {
            notes.number(REPLY_ERROR, u64::from(code));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        CLIENT, SERVER, conversation, midstream, only_registered_attributes, protocols,
        survives_every_cut, values,
    };
    use super::*;

    const SESSION: &[(Side, &[u8])] = &[
        (
            SERVER,
            b":irc.contoso.example NOTICE * :*** Looking up your hostname...\r\n",
        ),
        (
            CLIENT,
            b"CAP LS 302\r\nPASS secret\r\nNICK anna\r\nUSER anna 0 * :Anna\r\n",
        ),
        (CLIENT, b"AUTHENTICATE PLAIN\r\n"),
        (CLIENT, b"AUTHENTICATE YW5uYQ==\r\nMODE ISIRCX\r\n"),
        (SERVER, b":irc.contoso.example 904 anna :no\r\n"),
        (SERVER, b":irc.contoso.example 800 * 1 0 NTLM 512 *\r\n"),
        (SERVER, b":irc.contoso.example 001 anna :Welcome\r\n"),
        (
            SERVER,
            b":irc.contoso.example 004 anna irc.contoso.example ircd-7 a b\r\n",
        ),
        (CLIENT, b"JOIN #sales\r\nPRIVMSG #sales :payroll\r\n"),
        (
            SERVER,
            b":irc.contoso.example 403 anna #sales :No such channel\r\n",
        ),
    ];

    #[test]
    fn a_session_is_read_without_names_and_words() {
        let recorder = conversation(SESSION);
        assert_eq!(protocols(&recorder), ["irc"]);
        let of = |name| values(&recorder, "irc", name);
        assert_eq!(of("server"), ["irc.contoso.example"]);
        assert_eq!(of("software"), ["ircd-7"]);
        assert_eq!(
            of("command"),
            [
                "AUTHENTICATE",
                "CAP",
                "JOIN",
                "MODE",
                "NICK",
                "PASS",
                "PRIVMSG",
                "USER"
            ]
        );
        assert_eq!(of("auth_mechanism"), ["PASS", "PLAIN"]);
        assert_eq!(of("auth_result"), ["904"]);
        assert_eq!(of("ircx"), ["1"]);
        assert_eq!(of("reply_error"), ["403"]);
        assert_eq!(recorder.client, Some(CLIENT));
        for fact in recorder.facts.keys() {
            let text = fact.value.to_string().to_lowercase();
            assert!(
                !["anna", "secret", "sales", "payroll"]
                    .iter()
                    .any(|word| text.contains(word))
            );
        }
        only_registered_attributes(&recorder, &[&IRC]);
        survives_every_cut(SESSION);
    }

    #[test]
    fn tls_follows_where_it_was_agreed() {
        let ask: (Side, &[u8]) = (CLIENT, b"STARTTLS\r\n");
        let agreed = conversation(&[
            ask,
            (
                SERVER,
                b":irc.contoso.example 670  :STARTTLS successful\r\n",
            ),
            (CLIENT, b"\x16\x03\x01\x00\x2e\x01"),
        ]);
        assert_eq!(protocols(&agreed).first(), Some(&"irc"));
        assert_eq!(values(&agreed, "irc", "starttls"), ["STARTTLS"]);
        let refused = conversation(&[ask, (SERVER, b":irc.contoso.example 691 * :no\r\n")]);
        assert_eq!(values(&refused, "irc", "starttls_refused"), ["691"]);
    }

    #[test]
    fn one_message_of_the_middle_may_prove_it() {
        let lines: [&[u8]; 6] = [
            b":irc.contoso.example 303 anna :bob\r\n",
            b":bob!b@host.example PRIVMSG #sales :eh?\r\n",
            b"PRIVMSG bob :\x01DCC SEND a 1 2 3\x01\r\n",
            b"JOIN #sales\r\n",
            b"IRCX\r\n",
            b"AUTH NTLM I :NTLMSSP\r\n",
        ];
        for line in lines {
            let recorder = midstream(&[(CLIENT, line)]);
            assert_eq!(protocols(&recorder), ["irc"], "{}", line.escape_ascii());
        }
    }

    #[test]
    fn lines_of_neighbours_are_not_irc() {
        let lines: [&[u8]; 10] = [
            b"USER anna\r\n",
            b"NICK anna\r\n",
            b"PASS secret\r\n",
            b"PING\r\n",
            b":1000\r\n",
            b"AUTH PLAIN AGFubmE=\r\n",
            b"STARTTLS\r\n",
            b"LIST\r\n",
            b": <b> 200 OK\r\n",
            b"INVITE sip:a@b SIP/2.0\r\n\r\n",
        ];
        for line in lines {
            for play in [conversation, midstream] {
                let recorder = play(&[(CLIENT, line)]);
                assert!(
                    !protocols(&recorder).contains(&"irc"),
                    "{}",
                    line.escape_ascii()
                );
            }
        }
    }
}
