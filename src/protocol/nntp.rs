//! NNTP (RFC 3977, RFC 4642, RFC 4643): greeting, commands, capabilities, login and the switch to TLS.
//!
//! Names of users, passwords, articles and the groups that are read are not kept. Its replies have the form of FTP's and
//! SMTP's: proof is a greeting that names news, a command that news alone has, or a reply in a form of its own.

use super::lines::{LineReader, Lines};
use super::{About, Opening, Probe, Protocol, Reject, Step, StreamDecoder, StreamEntry, text};
use crate::evidence::Notes;
use crate::net::{PerSide, Side};

/// The text of the greeting, without its code.
const BANNER: &str = "banner";
/// A command that the client sent, upper case, without parameters but for `MODE` and `AUTHINFO`.
const COMMAND: &str = "command";
/// A line of the server's capabilities.
const CAPABILITY: &str = "capability";
/// `USER`, or the mechanism of `AUTHINFO SASL`.
const AUTH_MECHANISM: &str = "auth_mechanism";
/// Reply code that ended a login.
const AUTH_RESULT: &str = "auth_result";
/// `STARTTLS`: the server agreed to it (RFC 4642).
const STARTTLS: &str = "starttls";
/// Reply code of a refused switch to TLS.
const STARTTLS_REFUSED: &str = "starttls_refused";

pub(super) const NNTP: Protocol = Protocol {
    name: "nntp",
    about: About {
        title: "Network News Transfer Protocol",
        sources: "RFC 3977, RFC 2980, RFC 4642, RFC 4643",
        reads: "Greeting, commands, capabilities, how the login ended, and the switch to TLS.",
        proves: "A greeting that names news, or a command or reply that only NNTP has.",
        limits: "Names, passwords and articles are not kept.",
    },
    attributes: &[
        BANNER,
        COMMAND,
        CAPABILITY,
        AUTH_MECHANISM,
        AUTH_RESULT,
        STARTTLS,
        STARTTLS_REFUSED,
    ],
    stream: Some(StreamEntry {
        first_byte: |byte| matches!(byte, b'1'..=b'5') || byte.is_ascii_alphabetic(),
        probe,
        start: || Box::<Connection>::default(),
    }),
    datagram: None,
};

/// Longest line that is waited for: RFC 3977 section 3.1 allows commands of 512 bytes, replies may be longer.
const MAX_LINE: usize = 8192;

/// Commands, RFC 3977 and RFC 2980.
const VERBS: &[&str] = &[
    "ARTICLE",
    "AUTHINFO",
    "BODY",
    "CAPABILITIES",
    "CHECK",
    "DATE",
    "GROUP",
    "HDR",
    "HEAD",
    "HELP",
    "IHAVE",
    "LAST",
    "LIST",
    "LISTGROUP",
    "MODE",
    "NEWGROUPS",
    "NEWNEWS",
    "NEXT",
    "OVER",
    "POST",
    "QUIT",
    "SLAVE",
    "STARTTLS",
    "STAT",
    "TAKETHIS",
    "XHDR",
    "XOVER",
    "XPAT",
];

/// Verb and argument of a command.
fn command(line: &[u8]) -> Option<(&'static str, &[u8])> {
    let (word, argument) = text::split_word(line);
    let verb = VERBS
        .iter()
        .find(|verb| verb.as_bytes().eq_ignore_ascii_case(word))?;
    text::is_plain(argument).then(|| (*verb, argument.trim_ascii()))
}

/// Whether no other protocol has this command in this form.
fn is_proof(verb: &str, argument: &[u8]) -> bool {
    let begins = |words: &[&str]| {
        words
            .iter()
            .any(|word| text::begins(argument, word.as_bytes()))
    };
    let is_id = argument.starts_with(b"<") && argument.ends_with(b">");
    match verb {
        "MODE" => ["READER", "STREAM"]
            .iter()
            .any(|mode| mode.as_bytes().eq_ignore_ascii_case(argument)),
        "AUTHINFO" => begins(&["USER ", "PASS ", "SASL ", "GENERIC "]),
        "CAPABILITIES" => argument.is_empty(),
        "LIST" => begins(&["ACTIVE", "NEWSGROUPS", "OVERVIEW.FMT", "DISTRIB.PATS"]),
        "ARTICLE" | "IHAVE" | "CHECK" | "TAKETHIS" | "HEAD" | "BODY" => is_id,
        "GROUP" | "LISTGROUP" => {
            let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b".+-_".contains(byte);
            argument.contains(&b'.') && argument.iter().all(is_name)
        }
        "XOVER" | "OVER" => {
            !argument.is_empty()
                && argument
                    .iter()
                    .all(|byte| byte.is_ascii_digit() || *byte == b'-')
        }
        _ => false,
    }
}

/// Code and text of a reply.
fn reply(line: &[u8]) -> Option<(u16, &[u8])> {
    let (code, rest) = line.split_at_checked(3)?;
    let code: u16 = std::str::from_utf8(code).ok()?.parse().ok()?;
    let text = match rest {
        [] => rest,
        [b' ', text @ ..] => text,
        _ => return None,
    };
    ((100..600).contains(&code) && text::is_plain(text)).then_some((code, text))
}

fn names_news(text: &[u8]) -> bool {
    [
        &b"NNTP"[..],
        b"InterNetNews",
        b"NNRP",
        b"Netnews",
        b"Usenet",
    ]
    .iter()
    .any(|word| text::holds(text, word))
}

/// `211 number low high group` (RFC 3977 section 6.1.1).
fn is_group(text: &[u8]) -> bool {
    let mut words = text
        .split(|&byte| byte == b' ')
        .filter(|word| !word.is_empty());
    let is_number = |word: &[u8]| word.iter().all(u8::is_ascii_digit);
    let numbers = words
        .by_ref()
        .take(3)
        .filter(|word| is_number(word))
        .count();
    numbers == 3
        && words
            .next()
            .is_some_and(|name| name.contains(&b'.') && !is_number(name))
}

/// What the first line of one side looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    Sure,
    /// `200` or `201` and a text.
    Greeting,
    Command,
    Short,
    Other,
}

fn look(bytes: &[u8]) -> Look {
    let Some((line, _)) = text::first_line(bytes) else {
        let starts: [&[u8]; 5] = [b"200 ", b"201 ", b"MODE ", b"AUTHINFO ", b"CAPABILITIES"];
        let is_begun = starts.iter().any(|start| text::may_begin(bytes, start))
            && text::is_plain(text::trimmed(bytes));
        return if is_begun { Look::Short } else { Look::Other };
    };
    if let Some((verb, argument)) = command(line) {
        return if is_proof(verb, argument) {
            Look::Sure
        } else {
            Look::Command
        };
    }
    match reply(line) {
        Some((200 | 201, text)) if names_news(text) => Look::Sure,
        Some((200 | 201, text)) if !text.is_empty() => Look::Greeting,
        Some((211, text)) if is_group(text) => Look::Sure,
        _ => Look::Other,
    }
}

fn probe(opening: &Opening<'_>) -> Probe {
    use Look::{Command, Greeting, Other, Short, Sure};
    match (look(opening.spoken()), look(opening.reply())) {
        (Sure, _) | (_, Sure) => Probe::Yes,
        (Short, _) | (_, Short) => Probe::More,
        (Greeting | Command, Other) if opening.reply().is_empty() => Probe::More,
        (Greeting | Command | Other, _) => Probe::No,
    }
}

/// One connection.
#[derive(Debug, Default)]
struct Connection {
    client: Option<Side>,
    greeted: bool,
    /// The server lists its capabilities.
    listing: bool,
    /// The server sends a text that ends with a single dot, or the client an article.
    content: PerSide<bool>,
    starttls: bool,
    lines: Lines,
}

impl StreamDecoder for Connection {
    fn data(&mut self, side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        self.read(side, bytes, notes)
    }

    fn resume(&mut self, side: Side, bytes: &[u8]) -> Option<usize> {
        self.lines.restart(side);
        let (line, _) = text::first_line(bytes)?;
        let is_line = command(line).is_some() || reply(line).is_some();
        is_line.then_some(0)
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
        if self.content[side] {
            if line == b"." {
                self.content[side] = false;
                self.listing = false;
            } else if self.listing && self.client == Some(side.other()) && text::is_plain(line) {
                notes.bytes(CAPABILITY, line);
            }
            return Ok(());
        }
        if self.client != Some(side)
            && let Some((code, text)) = reply(line)
        {
            self.identify(side.other(), notes);
            self.reply(side, code, text, notes);
            return Ok(());
        }
        if self.client != Some(side.other())
            && let Some((verb, argument)) = command(line)
        {
            self.identify(side, notes);
            self.command(verb, argument, notes);
            return Ok(());
        }
        // Names and passwords of AUTHINFO SASL, and lines of an article whose beginning is missing.
        match self.client {
            Some(_) => Ok(()),
            None => Err(Reject::Other),
        }
    }
}

impl Connection {
    fn identify(&mut self, client: Side, notes: &mut Notes<'_>) {
        self.client = Some(client);
        notes.proved();
        notes.client(client);
    }

    fn command(&mut self, verb: &'static str, argument: &[u8], notes: &mut Notes<'_>) {
        let (word, rest) = text::split_word(argument);
        let word = word.to_ascii_uppercase();
        let is_plain = word.iter().all(u8::is_ascii_alphabetic);
        match verb {
            "MODE" | "AUTHINFO" if is_plain => {
                notes.text(
                    COMMAND,
                    &format!("{verb} {}", String::from_utf8_lossy(&word)),
                );
            }
            _ => notes.text(COMMAND, verb),
        }
        match (verb, word.as_slice()) {
            ("AUTHINFO", b"USER") => notes.text(AUTH_MECHANISM, "USER"),
            ("AUTHINFO", b"SASL") => {
                let (mechanism, _) = text::split_word(rest);
                notes.bytes(AUTH_MECHANISM, &mechanism.to_ascii_uppercase());
            }
            ("STARTTLS", b"") => self.starttls = true,
            _ => {}
        }
    }

    fn reply(&mut self, side: Side, code: u16, text: &[u8], notes: &mut Notes<'_>) {
        if !self.greeted {
            self.greeted = true;
            if matches!(code, 200 | 201) {
                notes.bytes(BANNER, text.trim_ascii());
            }
        }
        match code {
            101 => (self.content[side], self.listing) = (true, true),
            // Texts that end with a single dot, RFC 3977 section 3.1.1 and RFC 2980.
            100 | 215 | 220 | 221 | 222 | 224 | 225 | 230 | 231 | 282 => self.content[side] = true,
            // An article is wanted.
            335 | 340 => self.content[side.other()] = true,
            281 | 481 | 482 => notes.number(AUTH_RESULT, u64::from(code)),
            382 => {
                notes.text(STARTTLS, "STARTTLS");
                self.lines.expect_tls();
            }
            400..=599 if self.starttls => notes.number(STARTTLS_REFUSED, u64::from(code)),
            _ => {}
        }
        self.starttls = false;
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
        (SERVER, b"200 Leafnode NNTP daemon ready\r\n"),
        (CLIENT, b"CAPABILITIES\r\n"),
        (
            SERVER,
            b"101 Capability list:\r\nVERSION 2\r\nREADER\r\n.\r\n",
        ),
        (CLIENT, b"MODE READER\r\n"),
        (SERVER, b"200 ok\r\n"),
        (CLIENT, b"AUTHINFO USER anna\r\n"),
        (SERVER, b"381 more\r\n"),
        (CLIENT, b"AUTHINFO PASS secret\r\n"),
        (SERVER, b"281 welcome\r\n"),
        (CLIENT, b"ARTICLE 7\r\n"),
        (
            SERVER,
            b"220 7 <a@b>\r\nFrom: anna@contoso.example\r\n\r\n200 text\r\n.\r\n",
        ),
        (CLIENT, b"QUIT\r\n"),
    ];

    #[test]
    fn a_session_is_read_without_names_and_articles() {
        let recorder = conversation(SESSION);
        assert_eq!(protocols(&recorder), ["nntp"]);
        let of = |name| values(&recorder, "nntp", name);
        assert_eq!(of("banner"), ["Leafnode NNTP daemon ready"]);
        assert_eq!(of("capability"), ["READER", "VERSION 2"]);
        assert_eq!(
            of("command"),
            [
                "ARTICLE",
                "AUTHINFO PASS",
                "AUTHINFO USER",
                "CAPABILITIES",
                "MODE READER",
                "QUIT"
            ]
        );
        assert_eq!(of("auth_mechanism"), ["USER"]);
        assert_eq!(of("auth_result"), ["281"]);
        assert_eq!(recorder.client, Some(CLIENT));
        for fact in recorder.facts.keys() {
            let text = fact.value.to_string();
            assert!(!text.contains("anna") && !text.contains("secret"), "{text}");
        }
        only_registered_attributes(&recorder, &[&NNTP]);
        survives_every_cut(SESSION);
    }

    #[test]
    fn tls_follows_where_it_was_agreed() {
        let opening: [(Side, &[u8]); 2] = [
            (SERVER, b"200 ready\r\n"),
            (CLIENT, b"MODE READER\r\nSTARTTLS\r\n"),
        ];
        let [greeting, asked] = opening;
        let mut agreed = vec![
            greeting,
            asked,
            (SERVER, b"200 ok\r\n382 Continue with TLS\r\n"),
        ];
        agreed.push((CLIENT, b"\x16\x03\x01\x00\x2e\x01"));
        assert_eq!(
            values(&conversation(&agreed), "nntp", "starttls"),
            ["STARTTLS"]
        );
        let refused = [
            greeting,
            (CLIENT, b"MODE READER\r\n"),
            (SERVER, b"200 ok\r\n"),
            (CLIENT, b"STARTTLS\r\n"),
            (SERVER, b"580 no\r\n"),
        ];
        assert_eq!(
            values(&conversation(&refused), "nntp", "starttls_refused"),
            ["580"]
        );
    }

    #[test]
    fn one_line_of_the_middle_may_prove_it() {
        let lines: [&[u8]; 4] = [
            b"GROUP misc.test\r\n",
            b"211 217 3 219 news.software.nntp group selected\r\n",
            b"XOVER 3-219\r\n",
            b"IHAVE <i.am.an.article@example.com>\r\n",
        ];
        for line in lines {
            assert_eq!(protocols(&midstream(&[(CLIENT, line)])), ["nntp"]);
        }
    }

    #[test]
    fn lines_of_neighbours_are_not_nntp() {
        let lines: [&[u8]; 8] = [
            b"220 news.contoso.example ESMTP\r\n",
            b"200 ready\r\n",
            b"LIST\r\n",
            b"STAT 1\r\n",
            b"HELP\r\n",
            b"MODE S\r\n",
            b"211-Features\r\n",
            b"MODE #chat +o\r\n",
        ];
        for line in lines {
            for play in [conversation, midstream] {
                let recorder = play(&[(SERVER, line)]);
                assert!(
                    !protocols(&recorder).contains(&"nntp"),
                    "{}",
                    line.escape_ascii()
                );
            }
        }
    }
}
