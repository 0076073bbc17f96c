//! WHOIS (RFC 3912): one line asks, text answers, and the connection ends.
//!
//! The protocol has no form of its own: neither the question nor the answer need hold anything. What can be proven is that a
//! line was answered with a record of a registry, by labels that begin its lines in the databases of names and numbers. An
//! answer in another form stays unnamed. Records hold persons: nothing of them is kept but the registry they refer to.

use super::{About, Opening, Probe, Protocol, Step, StreamDecoder, StreamEntry, text};
use crate::evidence::Notes;
use crate::net::Side;

/// The domain, address or number that is asked for.
const QUERY: &str = "query";
/// The server that the answer refers to.
const REFERRAL: &str = "referral";

pub(super) const WHOIS: Protocol = Protocol {
    name: "whois",
    about: About {
        title: "WHOIS",
        sources: "RFC 3912; the labels of records as the registries of names and numbers send them (RPSL, RFC 2622)",
        reads: "The question, where it is a domain, address or number, and the server that the answer refers to.",
        proves: "A line that is answered with lines that begin with labels of registries, several different ones.",
        limits: "Answers in free text prove nothing; of the records nothing is kept.",
    },
    attributes: &[QUERY, REFERRAL],
    stream: Some(StreamEntry {
        first_byte: |byte| (0x20..0x7f).contains(&byte) || matches!(byte, b'\r' | b'\n'),
        probe,
        start: || Box::<Connection>::default(),
    }),
    datagram: None,
};

/// Longest question: a name of 255 characters, and flags.
const MAX_QUESTION: usize = 300;
/// Labels that must be seen after a question, and where the question is not in the capture.
const LABELS: usize = 2;
const LABELS_ALONE: usize = 3;
/// Longest line that is waited for.
const MAX_LINE: usize = 4096;

/// Labels that begin lines of answers, lower case, with their colon. Common words are left out.
const KNOWN: &[&str] = &[
    "aut-num:",
    "creation date:",
    "dnssec:",
    "domain name:",
    "domain:",
    "inet6num:",
    "inetnum:",
    "mnt-by:",
    "name server:",
    "netname:",
    "netrange:",
    "nserver:",
    "orgname:",
    "refer:",
    "registrar iana id:",
    "registrar url:",
    "registrar whois server:",
    "registrar:",
    "registry domain id:",
    "registry expiry date:",
    "updated date:",
    "whois:",
];
/// Remarks with which registries begin.
const REMARKS: &[&str] = &[
    "iana whois server",
    "ripe database",
    "whois.",
    "arin whois data",
    "whois data",
];

fn probe(opening: &Opening<'_>) -> Probe {
    let (spoken, reply) = (opening.spoken(), opening.reply());
    if reply.is_empty() {
        return match question(spoken) {
            Some(true) if !opening.midstream => Probe::More,
            _ if labels(spoken) >= LABELS_ALONE => Probe::Yes,
            _ => Probe::No,
        };
    }
    if opening.midstream || question(spoken) != Some(true) {
        return Probe::No;
    }
    match labels(reply) {
        LABELS.. => Probe::Yes,
        _ if starts_as_record(reply) => Probe::More,
        _ => Probe::No,
    }
}

/// Whether these bytes are one line and no more; `None` where the line has no end yet.
fn question(bytes: &[u8]) -> Option<bool> {
    let is_plain =
        |line: &[u8]| line.len() <= MAX_QUESTION && text::is_plain(line) && !line.is_empty();
    match text::first_line(bytes) {
        Some((line, length)) => Some(length == bytes.len() && is_plain(line.trim_ascii())),
        None if is_plain(text::trimmed(bytes)) => None,
        None => Some(false),
    }
}

/// Different labels at the beginnings of the first lines, or none where a line does not fit into an answer.
fn labels(bytes: &[u8]) -> usize {
    let mut seen = 0_u32;
    let mut remarks = 0;
    for (number, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
        let line = text::trimmed(line).trim_ascii();
        if !text::is_plain(line) {
            return 0;
        }
        let found = label(line);
        if let Some(index) = found {
            seen |= 1 << index;
        } else if is_remark(line) {
            remarks = 1;
        } else if number == 0 && !line.is_empty() && !matches!(line.first(), Some(b'%' | b'#')) {
            return 0;
        }
    }
    (seen.count_ones() as usize).saturating_add(remarks)
}

/// Index of the label with which a line begins.
fn label(line: &[u8]) -> Option<usize> {
    KNOWN
        .iter()
        .position(|label| text::begins(line, label.as_bytes()))
}

fn is_remark(line: &[u8]) -> bool {
    matches!(line.first(), Some(b'%' | b'#'))
        && REMARKS
            .iter()
            .any(|remark| text::holds(line, remark.as_bytes()))
}

/// Whether the first line that is not empty is a remark or a label, so that more may follow.
fn starts_as_record(bytes: &[u8]) -> bool {
    let first = bytes.trim_ascii_start();
    first.is_empty()
        || matches!(first.first(), Some(b'%' | b'#'))
        || KNOWN
            .iter()
            .any(|label| text::may_begin(first, label.as_bytes()))
}

/// One connection.
#[derive(Debug, Default)]
struct Connection {
    client: Option<Side>,
}

impl StreamDecoder for Connection {
    fn data(&mut self, side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        let mut used: usize = 0;
        loop {
            let rest = bytes.get(used..).unwrap_or_default();
            let Some((line, length)) = text::first_line(rest) else {
                if rest.is_empty() || rest.len() > MAX_LINE {
                    return Step::Consumed;
                }
                return Step::NeedMore {
                    consumed: used,
                    at_least: rest.len().saturating_add(1),
                };
            };
            used = used.saturating_add(length);
            let line = line.trim_ascii();
            if self.client.is_none() {
                let is_answer =
                    label(line).is_some() || matches!(line.first(), None | Some(b'%' | b'#'));
                let client = if is_answer { side.other() } else { side };
                self.client = Some(client);
                notes.proved();
                notes.client(client);
            }
            if self.client == Some(side) {
                notes.text(QUERY, &asked(line));
            } else {
                for label in ["refer:", "registrar whois server:"] {
                    if text::begins(line, label.as_bytes()) {
                        let server = line.get(label.len()..).unwrap_or_default().trim_ascii();
                        notes.text(REFERRAL, &asked(server));
                    }
                }
            }
        }
    }
}

/// A domain, an address or a number; empty where it may be a person.
fn asked(text: &[u8]) -> String {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b".-:/".contains(byte);
    let has_form = text.iter().any(|byte| b".:".contains(byte)) && text.iter().all(is_part);
    if has_form {
        String::from_utf8_lossy(text).to_ascii_lowercase()
    } else {
        String::new()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        CLIENT, SERVER, conversation, midstream, only_registered_attributes, protocols,
        survives_every_cut, values,
    };
    use super::*;

    const ANSWER: &[u8] = b"% IANA WHOIS server\r\n% This query returned 1 object\r\n\r\nrefer:  whois.example.net\r\n\r\ndomain:  EXAMPLE\r\ncontact: Anna\r\n";

    #[test]
    fn a_line_and_a_record_are_whois() {
        let segments: [(Side, &[u8]); 2] = [(CLIENT, b"example.com\r\n"), (SERVER, ANSWER)];
        let recorder = conversation(&segments);
        assert_eq!(protocols(&recorder), ["whois"]);
        assert_eq!(values(&recorder, "whois", "query"), ["example.com"]);
        assert_eq!(
            values(&recorder, "whois", "referral"),
            ["whois.example.net"]
        );
        assert_eq!(recorder.client, Some(CLIENT));
        only_registered_attributes(&recorder, &[&WHOIS]);
        survives_every_cut(&segments);
    }

    #[test]
    fn the_answer_alone_needs_more_labels() {
        let alone =
            b"   Domain Name: CONTOSO.COM\r\n   Registry Domain ID: 1\r\n   Registrar URL: x\r\n";
        for play in [conversation, midstream] {
            assert_eq!(protocols(&play(&[(SERVER, alone)])), ["whois"]);
            assert!(protocols(&play(&[(SERVER, b"domain: x\r\nwhois: y\r\n")])).is_empty());
        }
    }

    #[test]
    fn persons_are_not_kept() {
        let recorder = conversation(&[(CLIENT, b"anna smith\r\n"), (SERVER, ANSWER)]);
        assert_eq!(protocols(&recorder), ["whois"]);
        assert!(values(&recorder, "whois", "query").is_empty());
    }

    #[test]
    fn a_line_with_another_answer_is_not_whois() {
        let answers: [&[u8]; 4] = [
            b"No match.\r\n",
            b"220 mail ESMTP\r\n",
            b"% no such object\r\n",
            b"Login: anna\r\nDirectory: /home\r\n",
        ];
        for answer in answers {
            let recorder = conversation(&[(CLIENT, b"example.com\r\n"), (SERVER, answer)]);
            assert!(!protocols(&recorder).contains(&"whois"));
        }
    }
}
