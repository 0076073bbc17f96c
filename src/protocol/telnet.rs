//! Telnet (RFC 854, RFC 855): the options that both ends negotiate.
//!
//! Commands are recognised at the start of a direction and wherever they stand between data. What is typed and shown is
//! never kept, nor are variables of the environment (RFC 1572), which hold names of users. A session without any
//! negotiation is text like any other and stays unnamed.

use memchr::memchr;

use super::{About, Opening, Probe, Protocol, Step, StreamDecoder, StreamEntry};
use crate::evidence::Notes;
use crate::net::Side;

/// An option that was negotiated: `echo`, `naws` ...
const OPTION: &str = "option";
/// The terminal that the client names (RFC 1091).
const TERMINAL: &str = "terminal";

pub(super) const TELNET: Protocol = Protocol {
    name: "telnet",
    about: About {
        title: "Telnet",
        sources: "RFC 854, RFC 855, RFC 1091, and the IANA list of options",
        reads: "Options that are negotiated, and the type of the terminal.",
        proves: "A run of at least three commands, or an option that one end asks for and the other answers.",
        limits: "What is typed and shown is not kept; a session without negotiation cannot be told from other text.",
    },
    attributes: &[OPTION, TERMINAL],
    stream: Some(StreamEntry {
        first_byte: |byte| byte == IAC,
        probe,
        start: || Box::<Connection>::default(),
    }),
    datagram: None,
};

/// Interpret as command.
const IAC: u8 = 255;
/// Subnegotiation: begin and end.
const SB: u8 = 250;
const SE: u8 = 240;
/// Longest subnegotiation: environments (RFC 1572) and keys (RFC 2941) fit.
const MAX_SUBNEGOTIATION: usize = 4096;
/// Weight of commands that proves a run of them; a whole subnegotiation counts twice.
const PROOF: usize = 3;
/// Commands read of a connection: negotiation is over long before.
const MAX_COMMANDS: u16 = 512;

crate::open_enum! {
    /// Options, IANA "Telnet Options".
    struct Choice(u8) {
        BINARY = 0 => "binary",
        ECHO = 1 => "echo",
        SUPPRESS_GO_AHEAD = 3 => "suppress_go_ahead",
        STATUS = 5 => "status",
        TIMING_MARK = 6 => "timing_mark",
        LOGOUT = 18 => "logout",
        TERMINAL_TYPE = 24 => "terminal_type",
        END_OF_RECORD = 25 => "end_of_record",
        NAWS = 31 => "naws",
        TERMINAL_SPEED = 32 => "terminal_speed",
        FLOW_CONTROL = 33 => "flow_control",
        LINEMODE = 34 => "linemode",
        X_DISPLAY = 35 => "x_display",
        ENVIRON = 36 => "environ",
        AUTHENTICATION = 37 => "authentication",
        ENCRYPTION = 38 => "encryption",
        NEW_ENVIRON = 39 => "new_environ",
        TN3270E = 40 => "tn3270e",
        CHARSET = 42 => "charset",
        COM_PORT = 44 => "com_port",
        START_TLS = 46 => "start_tls",
    }
}

impl Choice {
    const fn is_assigned(self) -> bool {
        matches!(self.0, 0..=49 | 138..=140 | 255)
    }
}

/// A command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command<'a> {
    /// WILL, WONT, DO or DONT.
    Negotiate(u8, Choice),
    /// A whole subnegotiation.
    Sub(Choice, &'a [u8]),
    /// A command alone, or a doubled 255.
    Single,
}

enum Parsed<'a> {
    /// A command, and its length.
    Command(Command<'a>, usize),
    Short,
    Invalid,
}

/// The command at the start of `bytes`, which begins with 255.
fn command(bytes: &[u8]) -> Parsed<'_> {
    match bytes {
        [IAC] | [IAC, SB | 251..=254] => Parsed::Short,
        &[IAC, verb @ 251..=254, option, ..] if Choice(option).is_assigned() => {
            Parsed::Command(Command::Negotiate(verb, Choice(option)), 3)
        }
        [IAC, SB, option, rest @ ..] if Choice(*option).is_assigned() => sub(Choice(*option), rest),
        [IAC, 239 | 241..=249 | IAC, ..] => Parsed::Command(Command::Single, 2),
        _ => Parsed::Invalid,
    }
}

fn sub(option: Choice, bytes: &[u8]) -> Parsed<'_> {
    let mut at: usize = 0;
    while let Some(offset) = bytes.get(at..).and_then(|rest| memchr(IAC, rest)) {
        let end = at.saturating_add(offset);
        match bytes.get(end.saturating_add(1)) {
            Some(&SE) => {
                let content = bytes.get(..end).unwrap_or_default();
                return Parsed::Command(Command::Sub(option, content), end.saturating_add(5));
            }
            Some(&IAC) => at = end.saturating_add(2),
            Some(_) => return Parsed::Invalid,
            None => break,
        }
    }
    if bytes.len() > MAX_SUBNEGOTIATION {
        Parsed::Invalid
    } else {
        Parsed::Short
    }
}

/// What stands at the start of one side: the weight of its commands, its first option, and whether more may come.
fn weigh(bytes: &[u8]) -> (usize, Option<Choice>, bool) {
    let (mut weight, mut first, mut rest) = (0_usize, None, bytes);
    while rest.first() == Some(&IAC) && weight < PROOF {
        let length = match command(rest) {
            Parsed::Command(command, length) => {
                match command {
                    Command::Negotiate(_, option) => {
                        first = first.or(Some(option));
                        weight = weight.saturating_add(1);
                    }
                    Command::Sub(..) => weight = weight.saturating_add(2),
                    Command::Single => {}
                }
                length
            }
            Parsed::Short => return (weight, first, true),
            Parsed::Invalid => break,
        };
        rest = rest.get(length..).unwrap_or_default();
    }
    (weight, first, rest.is_empty())
}

fn probe(opening: &Opening<'_>) -> Probe {
    let (spoken, asked, more) = weigh(opening.spoken());
    let (reply, answered, _) = weigh(opening.reply());
    let is_answer = reply > 0 && asked.is_some() && asked == answered;
    if spoken >= PROOF || reply >= PROOF || is_answer {
        return Probe::Yes;
    }
    let both = spoken > 0 && reply > 0;
    if both && spoken.saturating_add(reply) >= PROOF {
        Probe::Yes
    } else if both || (more && opening.reply().is_empty()) {
        Probe::More
    } else {
        Probe::No
    }
}

#[derive(Debug, Default)]
struct Connection {
    commands: u16,
}

impl StreamDecoder for Connection {
    fn data(&mut self, side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        // The probe saw enough.
        notes.proved();
        let mut used: usize = 0;
        loop {
            let rest = bytes.get(used..).unwrap_or_default();
            let Some(start) = memchr(IAC, rest) else {
                return Step::Consumed;
            };
            used = used.saturating_add(start);
            let rest = bytes.get(used..).unwrap_or_default();
            let length = match command(rest) {
                Parsed::Command(command, length) => {
                    self.note(side, command, notes);
                    length
                }
                Parsed::Short => {
                    return Step::NeedMore {
                        consumed: used,
                        at_least: rest.len().saturating_add(1),
                    };
                }
                // Implementations go on after what they do not know.
                Parsed::Invalid => 2,
            };
            used = used.saturating_add(length).min(bytes.len());
            self.commands = self.commands.saturating_add(1);
            if self.commands >= MAX_COMMANDS {
                return Step::Done;
            }
        }
    }

    fn resume(&mut self, _: Side, _: &[u8]) -> Option<usize> {
        Some(0)
    }
}

impl Connection {
    fn note(&mut self, side: Side, command: Command<'_>, notes: &mut Notes<'_>) {
        match command {
            Command::Negotiate(verb, option) => {
                notes.text(OPTION, &option.to_string());
                // The size and type of a terminal are the client's to tell, and the server's to ask for.
                if matches!(option, Choice::NAWS | Choice::TERMINAL_TYPE) {
                    match verb {
                        251 => notes.client(side),
                        253 => notes.client(side.other()),
                        _ => {}
                    }
                }
            }
            Command::Sub(Choice::TERMINAL_TYPE, [0, name @ ..]) => {
                if name.iter().all(u8::is_ascii_graphic) {
                    notes.bytes(TERMINAL, name);
                }
            }
            Command::Sub(..) | Command::Single => {}
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

    const NEGOTIATION: &[(Side, &[u8])] = &[
        (SERVER, b"\xff\xfd\x18\xff\xfd\x27"),
        (CLIENT, b"\xff\xfb\x18\xff\xfb\x27"),
        (SERVER, b"\xff\xfa\x18\x01\xff\xf0\xff\xfa\x27\x01\xff\xf0"),
        (
            CLIENT,
            b"\xff\xfa\x18\x00xterm\xff\xf0\xff\xfa\x27\x00\x00USER\x01anna\xff\xf0",
        ),
        (SERVER, b"\xff\xfb\x01login: "),
        (CLIENT, b"anna\r\n"),
    ];

    #[test]
    fn options_and_the_terminal_are_read_and_nothing_that_is_typed() {
        let recorder = conversation(NEGOTIATION);
        assert_eq!(protocols(&recorder), ["telnet"]);
        let options = values(&recorder, "telnet", "option");
        assert!(options.contains(&"terminal_type".into()) && options.contains(&"echo".into()));
        assert_eq!(values(&recorder, "telnet", "terminal"), ["xterm"]);
        assert_eq!(recorder.client, Some(CLIENT));
        for fact in recorder.facts.keys() {
            assert!(!fact.value.to_string().contains("anna"));
        }
        only_registered_attributes(&recorder, &[&TELNET]);
        survives_every_cut(NEGOTIATION);
    }

    #[test]
    fn a_run_of_commands_of_one_side_proves_it() {
        for play in [conversation, midstream] {
            let run = play(&[(CLIENT, b"\xff\xfd\x03\xff\xfb\x1f\xff\xfb\x21")]);
            assert_eq!(protocols(&run), ["telnet"]);
            let run = play(&[(CLIENT, b"\xff\xfb\x1f\xff\xfa\x1f\x00\x50\x00\x18\xff\xf0")]);
            assert_eq!(protocols(&run), ["telnet"]);
        }
    }

    #[test]
    fn a_single_option_counts_with_its_answer_alone() {
        let asked: (Side, &[u8]) = (SERVER, b"\xff\xfd\x25");
        assert!(protocols(&conversation(&[asked])).is_empty());
        let answered = conversation(&[asked, (CLIENT, b"\xff\xfc\x25")]);
        assert_eq!(protocols(&answered), ["telnet"]);
        let other = conversation(&[asked, (CLIENT, b"GET / HTTP/1.1\r\n\r\n")]);
        assert!(!protocols(&other).contains(&"telnet"));
    }

    #[test]
    fn unknown_options_and_other_bytes_are_not_telnet() {
        let openings: [&[u8]; 4] = [
            b"\xff\xfd\x7b\xff\xfd\x7c\xff\xfd\x7d",
            b"\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\xff\xd8\xff\xe0\x00\x10JFIF",
            b"\xff\xfa\x18\x01\xff\x03",
        ];
        for opening in openings {
            assert!(protocols(&conversation(&[(SERVER, opening)])).is_empty());
        }
    }
}
