//! VNC, the Remote Framebuffer protocol (RFC 6143): version, types of security, and how the authentication ended.
//!
//! Reads the handshake alone; challenges and responses are passed over, pictures and keys never seen. Proof is the
//! version message, twelve bytes with nothing after it. Where TLS was chosen (types 18 and 19 of the registry), it is handed over.

use super::tls::TLS;
use super::{About, Next, Opening, Probe, Protocol, Reject, Step, StreamDecoder, StreamEntry};
use crate::bytes::Cursor;
use crate::evidence::Notes;
use crate::net::Side;
use crate::open_enum;

/// The version that a side speaks: `3.8`.
const VERSION: &str = "version";
/// A type of security that the server offers.
const SECURITY_OFFERED: &str = "security_offered";
/// The type of security that was chosen, or `failed` where there is none.
const SECURITY: &str = "security";
/// `ok` or `failed`.
const AUTH_RESULT: &str = "auth_result";

pub(super) const VNC: Protocol = Protocol {
    name: "vnc",
    about: About {
        title: "Virtual Network Computing (RFB)",
        sources: "RFC 6143; the registry of security types",
        reads: "Versions, security types offered and chosen, and the result of the authentication.",
        proves: "A version message of exactly twelve bytes.",
        limits: "Nothing after the handshake is read; results of vendors' own security types are not known.",
    },
    attributes: &[VERSION, SECURITY_OFFERED, SECURITY, AUTH_RESULT],
    stream: Some(StreamEntry {
        first_byte: |byte| byte == b'R',
        probe,
        start: || Box::<Connection>::default(),
    }),
    datagram: None,
};

open_enum! {
    /// Types of security.
    struct Security(u8) {
        /// There is none in common.
        FAILED = 0 => "failed",
        /// Nobody authenticates.
        NONE = 1 => "none",
        /// Challenge and response under DES.
        VNC = 2 => "vnc",
        /// RealVNC.
        RA2 = 5 => "ra2",
        /// RealVNC, not encrypted.
        RA2NE = 6 => "ra2ne",
        /// TightVNC.
        TIGHT = 16 => "tight",
        /// UltraVNC.
        ULTRA = 17 => "ultra",
        /// TLS with anonymous keys.
        TLS = 18 => "tls",
        /// TLS, with certificates too.
        VENCRYPT = 19 => "vencrypt",
        /// SASL.
        SASL = 20 => "sasl",
        /// UltraVNC with a Windows account.
        MS_LOGON = 113 => "ms_logon",
        /// Apple's Diffie-Hellman.
        APPLE = 30 => "apple_dh",
    }
}

const VERSION_BYTES: usize = 12;
/// Challenge and response of the type `vnc`.
const CHALLENGE_BYTES: usize = 16;
/// What a client of VeNCrypt sends before TLS: a version and a subtype.
const VENCRYPT_BYTES: usize = 6;

fn probe(opening: &Opening<'_>) -> Probe {
    if opening.midstream {
        return Probe::No;
    }
    opening.either(|bytes| Probe::of(version(bytes)))
}

/// `RFB 003.008` and a line feed.
fn version(bytes: &[u8]) -> Result<(u32, u32), Reject> {
    let mut cursor = Cursor::new(bytes);
    for expected in *b"RFB 0" {
        if cursor.u8()? != expected {
            return Err(Reject::Other);
        }
    }
    let mut numbers = [0; 2];
    for (number, (digits, end)) in numbers.iter_mut().zip([(2, b'.'), (3, b'\n')]) {
        for _ in 0..digits {
            let digit = cursor.u8()?;
            if !digit.is_ascii_digit() {
                return Err(Reject::Other);
            }
            *number = *number * 10 + u32::from(digit & 15);
        }
        if cursor.u8()? != end {
            return Err(Reject::Other);
        }
    }
    let [major, minor] = numbers;
    Ok((major, minor))
}

/// One connection.
#[derive(Default)]
struct Connection {
    /// The server speaks first.
    server: Option<Side>,
    minor: u32,
    said: State,
    client: Client,
    chosen: Option<Security>,
}

/// What comes next from the server.
#[derive(Default)]
enum State {
    #[default]
    Version,
    Security,
    /// The answer to a choice.
    Result,
}

/// What comes next from the client.
#[derive(Default)]
enum Client {
    #[default]
    Version,
    Choice,
    /// So many bytes before TLS.
    Before(usize),
    Other,
}

/// What to do next: `None` goes on.
type Outcome = Result<Option<Step>, Reject>;

impl StreamDecoder for Connection {
    fn data(&mut self, side: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        let mut cursor = Cursor::new(bytes);
        loop {
            let consumed = cursor.offset();
            let rest = cursor.len();
            if rest == 0 {
                return Step::Consumed;
            }
            let server = *self.server.get_or_insert(side);
            let outcome = if side == server {
                self.server(&mut cursor, notes)
            } else {
                self.client(side, &mut cursor, notes)
            };
            match outcome {
                Ok(None) => {}
                Ok(Some(Step::Handover { next, .. })) => {
                    return Step::Handover {
                        consumed: cursor.offset(),
                        next,
                    };
                }
                Ok(Some(step)) => return step,
                Err(reject) => return reject.into_step(consumed, rest),
            }
        }
    }
}

impl Connection {
    fn version(&mut self, cursor: &mut Cursor<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
        let (major, minor) = version(cursor.take(VERSION_BYTES)?)?;
        notes.proved();
        notes.text(VERSION, &format!("{major}.{minor}"));
        // The lower version holds; the client answers with no higher one.
        self.minor = minor;
        Ok(())
    }

    fn server(&mut self, cursor: &mut Cursor<'_>, notes: &mut Notes<'_>) -> Outcome {
        match self.said {
            State::Version => {
                self.version(cursor, notes)?;
                self.said = State::Security;
            }
            // Without the client's version it is not sure who the server is.
            State::Security if matches!(self.client, Client::Version) => {
                return Ok(Some(Step::Done));
            }
            // Up to 3.3 the server decides.
            State::Security if self.minor < 7 => {
                let [0, 0, 0, chosen] = *cursor.array::<4>()? else {
                    return Err(Reject::Invalid("security"));
                };
                return Ok(self.choose(Security(chosen), notes));
            }
            State::Security => {
                let count = cursor.u8()?;
                if count == 0 {
                    notes.text(SECURITY, "failed");
                    return Ok(Some(Step::Done));
                }
                for kind in cursor.take(usize::from(count))? {
                    notes.text(SECURITY_OFFERED, &Security(*kind).to_string());
                }
                self.said = State::Result;
            }
            State::Result => match self.chosen {
                Some(Security::VNC) => {
                    cursor.skip(CHALLENGE_BYTES)?;
                    self.chosen = Some(Security::NONE);
                }
                // Only 3.8 answers where nobody authenticates, and else what comes next is of the same form.
                Some(Security::NONE) => {
                    match cursor.u32()? {
                        0 => notes.text(AUTH_RESULT, "ok"),
                        1 | 2 => notes.text(AUTH_RESULT, "failed"),
                        _ => {}
                    }
                    return Ok(Some(Step::Done));
                }
                Some(Security::TLS | Security::VENCRYPT) => cursor.skip(cursor.len())?,
                _ => return Ok(Some(Step::Done)),
            },
        }
        Ok(None)
    }

    fn client(&mut self, side: Side, cursor: &mut Cursor<'_>, notes: &mut Notes<'_>) -> Outcome {
        match self.client {
            Client::Version => {
                self.version(cursor, notes)?;
                notes.client(side);
                self.client = if self.minor < 7 {
                    Client::Other
                } else {
                    Client::Choice
                };
            }
            Client::Choice => {
                let chosen = Security(cursor.u8()?);
                return Ok(self.choose(chosen, notes));
            }
            Client::Before(0) => {
                return Ok(Some(Step::Handover {
                    consumed: 0,
                    next: Next::Protocol(&TLS),
                }));
            }
            Client::Before(bytes) => {
                cursor.skip(bytes)?;
                self.client = Client::Before(0);
            }
            Client::Other => cursor.skip(cursor.len())?,
        }
        Ok(None)
    }

    fn choose(&mut self, chosen: Security, notes: &mut Notes<'_>) -> Option<Step> {
        notes.text(SECURITY, &chosen.to_string());
        self.chosen = Some(chosen);
        self.said = State::Result;
        self.client = match chosen {
            Security::TLS => Client::Before(0),
            Security::VENCRYPT => Client::Before(VENCRYPT_BYTES),
            _ => Client::Other,
        };
        let ends = chosen == Security::FAILED || (chosen == Security::NONE && self.minor < 8);
        ends.then_some(Step::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::testing::{
        CLIENT as C, SERVER as S, TLS_HELLO, conversation, midstream, only_registered_attributes,
        protocols, survives_every_cut, values,
    };

    const V8: &[u8] = b"RFB 003.008\n";
    const V3: &[u8] = b"RFB 003.003\n";

    #[test]
    fn types_choice_and_result_are_read() {
        let segments = [
            (S, V8),
            (C, V8),
            (S, &[2, 1, 2][..]),
            (C, &[2]),
            (S, &[7; 16]),
            (C, &[8; 16]),
            (S, &[0, 0, 0, 1]),
        ];
        let recorder = conversation(&segments);
        assert_eq!(protocols(&recorder), ["vnc"]);
        assert_eq!(recorder.client, Some(C));
        assert_eq!(values(&recorder, "vnc", "version"), ["3.8"; 2]);
        assert_eq!(
            values(&recorder, "vnc", "security_offered"),
            ["none", "vnc"]
        );
        assert_eq!(values(&recorder, "vnc", "security"), ["vnc"]);
        assert_eq!(values(&recorder, "vnc", "auth_result"), ["failed"]);
        only_registered_attributes(&recorder, &[&VNC]);
        survives_every_cut(&segments);
    }

    #[test]
    fn before_version_3_7_the_server_chooses() {
        let segments = [
            (S, V8),
            (C, V3),
            (S, &[0, 0, 0, 2][..]),
            (S, &[7; 16]),
            (C, &[8; 16]),
            (S, &[0; 4]),
        ];
        let recorder = conversation(&segments);
        assert_eq!(values(&recorder, "vnc", "security"), ["vnc"]);
        assert_eq!(values(&recorder, "vnc", "auth_result"), ["ok"]);
        survives_every_cut(&segments);
    }

    #[test]
    fn a_choice_of_tls_hands_over() {
        let hello = TLS_HELLO.to_vec();
        let begin = [(S, V8), (C, V8), (S, &[1, 19][..]), (C, &[19])];
        let end = [
            (S, &[0, 2][..]),
            (C, &[0, 2]),
            (S, &[0, 1, 0, 0, 1, 4]),
            (C, &[0, 0, 1, 4]),
            (S, &[1]),
            (C, &hello),
        ];
        let segments = [&begin[..], &end].concat();
        let recorder = conversation(&segments);
        assert_eq!(protocols(&recorder), ["vnc", "tls"]);
        assert_eq!(values(&recorder, "vnc", "security"), ["vencrypt"]);
        survives_every_cut(&segments);
    }

    #[test]
    fn a_refusal_is_told() {
        let recorder = conversation(&[(S, V8), (C, V8), (S, &[0, 0, 0, 0, 3, b'n', b'o', b'.'])]);
        assert_eq!(values(&recorder, "vnc", "security"), ["failed"]);
    }

    #[test]
    fn other_openings_are_not_vnc() {
        for other in [
            &b"RFB 103.008\n"[..],
            b"RFB 003.008 hello",
            b"REGISTER sip",
            b"RFB 003,008\n",
        ] {
            assert!(protocols(&conversation(&[(S, other)])).is_empty());
        }
        assert!(protocols(&midstream(&[(S, V8)])).is_empty());
    }
}
