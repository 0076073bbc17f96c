//! Whether a connection is FTP.

use super::super::{Opening, Probe, text};
use super::line::{Command, Reply, feature};

/// Lines of one side that are looked at: the texts of a long greeting fit.
const MAX_LINES: usize = 64;
/// Features that prove a list of them.
const LEAST_FEATURES: usize = 2;

pub(super) fn probe(opening: &Opening<'_>) -> Probe {
    use Look::{Greeting, Login, Other, Short, Sure};
    match (look(opening.spoken()), look(opening.reply())) {
        (Sure, _) | (_, Sure) => Probe::Yes,
        // SMTP greets so as well, but has no USER; POP3 has it, and greets otherwise.
        (Greeting, Login) | (Login, Greeting) => Probe::Yes,
        (Short | Greeting | Login, Other) if opening.reply().is_empty() => Probe::More,
        (Short, _) | (_, Short) => Probe::More,
        (Greeting | Login | Other, _) => Probe::No,
    }
}

/// What one side begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    Sure,
    /// A 220 that names nothing.
    Greeting,
    /// `USER`, which POP3 and IRC have as well.
    Login,
    /// A line that is not whole.
    Short,
    Other,
}

fn look(bytes: &[u8]) -> Look {
    let mut found = Look::Other;
    let mut rest = bytes;
    let mut listing: Option<usize> = None;
    for _ in 0..MAX_LINES {
        let Some((line, length)) = text::first_line(rest) else {
            return match (found, rest) {
                (Look::Other, [_, ..]) if rest.len() == bytes.len() && can_begin(rest) => {
                    Look::Short
                }
                _ => found,
            };
        };
        rest = rest.get(length..).unwrap_or_default();
        if let Some(features) = &mut listing {
            if feature(line).is_some_and(is_known) {
                *features = features.saturating_add(1);
            }
            if *features >= LEAST_FEATURES {
                return Look::Sure;
            }
            if line.first() == Some(&b' ') {
                continue;
            }
        }
        if let Some(reply) = Reply::parse(line) {
            if reply.is_proof() {
                return Look::Sure;
            }
            if reply.code == 211 && reply.more {
                listing = Some(0);
            }
            if reply.code == 220 && found == Look::Other {
                found = Look::Greeting;
            }
            continue;
        }
        match Command::parse(line) {
            Some(command) if command.is_proof() => return Look::Sure,
            Some(command) if command.verb == "USER" && is_login(command.argument) => {
                found = Look::Login;
            }
            Some(_) => {}
            // Text of a reply of several lines need not begin with its code.
            None if found == Look::Greeting && text::is_plain(line) => {}
            None => return found,
        }
    }
    found
}

/// A single word: IRC's command of this name has four.
fn is_login(argument: &[u8]) -> bool {
    let argument = argument.trim_ascii();
    !argument.is_empty() && !argument.contains(&b' ')
}

/// Features that only FTP servers list.
fn is_known(name: &[u8]) -> bool {
    let known: [&[u8]; 12] = [
        b"MDTM",
        b"REST",
        b"SIZE",
        b"MLST",
        b"MLSD",
        b"PASV",
        b"EPRT",
        b"EPSV",
        b"AUTH TLS",
        b"PBSZ",
        b"PROT",
        b"CLNT",
    ];
    known.iter().any(|known| text::begins(name, known))
}

/// Whether the beginning of a line may be that of a greeting or command.
fn can_begin(bytes: &[u8]) -> bool {
    if !text::is_plain(text::trimmed(bytes)) {
        return false;
    }
    match bytes {
        [b'1'..=b'5'] | [b'1'..=b'5', b'0'..=b'5'] => true,
        [b'1'..=b'5', b'0'..=b'5', b'0'..=b'9', rest @ ..] => {
            matches!(rest, [] | [b' ' | b'-', ..])
        }
        _ => {
            let (word, _) = text::split_word(bytes);
            let starts: [&[u8]; 10] = [
                b"USER",
                b"AUTH TLS",
                b"AUTH SSL",
                b"FEAT",
                b"SYST",
                b"PASV",
                b"EPSV",
                b"PORT",
                b"EPRT",
                b"TYPE",
            ];
            let may = |start: &&[u8]| text::may_begin(bytes, start);
            word.len() <= 4 && starts.iter().any(may)
        }
    }
}
