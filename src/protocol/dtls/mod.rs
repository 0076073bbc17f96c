//! DTLS in datagrams (RFC 6347, RFC 9147, and the form before RFC 4347 that some virtual private networks still speak), with
//! the keys of SRTP that it negotiates (RFC 5764).
//!
//! Reads records and the handshake messages in clear, as the decoder of TLS does; fragments of messages are put together
//! within a bound. A datagram that records of known type and version fill exactly proves the protocol; in clear, what they
//! carry must be consistent too. From DTLS 1.3 on, encrypted records have a header of their own that says too little: it is
//! taken where the flow was proven before. Records may stand behind the four bytes by which CAPWAP marks its control
//! channel (RFC 5415 section 4.2). Keys and ciphertext are never looked at.

mod assembly;
mod record;

use self::assembly::Assembly;
use self::record::{Fragment, Record, Records};
use super::tls::{self, Content, Exchange, Kind};
use super::{About, Datagram, DatagramDecoder, DatagramEntry, Protocol, Reject};
use crate::bytes::Short;
use crate::evidence::Notes;
use crate::net::{PerSide, Side};

/// Datagram Transport Layer Security.
pub(super) const DTLS: Protocol = Protocol {
    name: "dtls",
    about: About {
        title: "Datagram Transport Layer Security",
        sources: "RFC 6347, RFC 9147, RFC 5764, RFC 5763, RFC 5415 4.2",
        reads: "Hellos, server name, ALPN, versions, cipher, SRTP profiles, certificates up to DTLS 1.2, alerts.",
        proves: "Records of a known type and version that fill the datagram exactly, with consistent content where it is in clear.",
        limits: "From DTLS 1.3 certificates are sealed; records with connection identifiers are taken only after a proof.",
    },
    attributes: &[
        tls::CLIENT_VERSION,
        tls::SERVER_VERSION,
        tls::CIPHER,
        tls::SERVER_NAME,
        tls::ALPN_OFFERED,
        tls::ALPN,
        tls::SRTP_OFFERED,
        tls::SRTP_PROFILE,
        tls::RESUMED,
        tls::SERVER.subject,
        tls::SERVER.name,
        tls::SERVER.issuer,
        tls::SERVER.not_before,
        tls::SERVER.not_after,
        tls::SERVER.self_signed,
        tls::SERVER.key,
        tls::CLIENT_CERTIFICATE_REQUESTED,
        tls::CLIENT_CERTIFICATE,
        tls::CLIENT.subject,
        tls::CLIENT.name,
        tls::CLIENT.issuer,
        tls::CLIENT.not_before,
        tls::CLIENT.not_after,
        tls::CLIENT.self_signed,
        tls::CLIENT.key,
        tls::CERTIFICATE_VERIFY,
        tls::ALERT,
        tls::ESTABLISHED,
        tls::APPLICATION_DATA,
        RETRY,
    ],
    stream: None,
    datagram: Some(DatagramEntry {
        // Records in clear (RFC 7983), the unified header of 1.3, and CAPWAP's mark.
        first_byte: |byte| matches!(byte, 20..=26 | 0x20..=0x3f | record::CAPWAP_FIRST),
        start: || Box::<Dtls>::default(),
    }),
};

/// 1 where the server had the client prove its address first (RFC 6347 section 4.2.1, RFC 9147 section 5.1).
const RETRY: &str = "retry";

/// One flow.
#[derive(Default)]
struct Dtls {
    proven: bool,
    exchange: Exchange,
    established: bool,
    sides: PerSide<Half>,
}

/// One direction.
#[derive(Default)]
struct Half {
    assembly: Assembly,
    /// It sent its Finished, or data under the session.
    finished: bool,
}

impl DatagramDecoder for Dtls {
    fn datagram(&mut self, datagram: Datagram<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
        if self.proven
            && let Some(epoch) = record::unified(datagram)
        {
            self.unified(epoch, notes);
            return Ok(());
        }
        let records = Records::parse(datagram, self.proven)?;
        self.proven = true;
        notes.proved();
        for record in &records.records {
            self.record(record, datagram.is_cut(), notes);
        }
        if let Some(epoch) = records.unified {
            self.unified(epoch, notes);
        }
        Ok(())
    }
}

impl Dtls {
    fn record(&mut self, record: &Record<'_>, is_cut: bool, notes: &mut Notes<'_>) {
        let side = notes.side();
        if record.epoch > 0 {
            self.encrypted(record.content, notes);
            return;
        }
        match record.content {
            Content::HANDSHAKE => {
                for fragment in record.fragments().flatten() {
                    self.fragment(side, &fragment, is_cut, notes);
                }
            }
            Content::ALERT => {
                if let Some((level, description)) = record.alert() {
                    notes.text(tls::ALERT, &format!("{level} {description}"));
                }
            }
            _ => {}
        }
    }

    fn fragment(
        &mut self,
        side: Side,
        fragment: &Fragment<'_>,
        is_cut: bool,
        notes: &mut Notes<'_>,
    ) {
        let whole = fragment.body.len() == fragment.length;
        if whole || (is_cut && fragment.offset == 0) {
            self.message(side, fragment.kind, fragment.body, notes);
        } else if let Some(body) = self.sides[side].assembly.add(fragment) {
            self.message(side, fragment.kind, &body, notes);
        }
    }

    fn message(&mut self, side: Side, kind: Kind, body: &[u8], notes: &mut Notes<'_>) {
        if kind == Kind::HELLO_VERIFY_REQUEST {
            notes.client(side.other());
            notes.number(RETRY, 1);
            return;
        }
        // One whose inner lengths lie, or that is cut, has said what stands before that.
        let message = tls::Message { kind, body };
        let _cut: Result<(), Short> = self.exchange.message(side, message, notes);
        if kind == Kind::SERVER_HELLO && self.exchange.retry {
            notes.number(RETRY, 1);
        }
    }

    /// A record that cannot be read: what its place shows.
    fn encrypted(&mut self, content: Content, notes: &mut Notes<'_>) {
        let side = notes.side();
        match content {
            Content::HANDSHAKE => self.sides[side].finished = true,
            Content::APPLICATION_DATA => {
                self.sides[side].finished = true;
                notes.number(tls::APPLICATION_DATA, 1);
            }
            Content::ALERT if !self.established => notes.text(tls::ALERT, "encrypted"),
            _ => {}
        }
        self.establish(notes);
    }

    /// An encrypted record of DTLS 1.3. Keys of data (RFC 9147 section 6.1) follow upon the Finished message.
    fn unified(&mut self, epoch: u8, notes: &mut Notes<'_>) {
        if epoch == 3 {
            let side = notes.side();
            self.sides[side].finished = true;
            self.establish(notes);
        }
    }

    fn establish(&mut self, notes: &mut Notes<'_>) {
        if !self.established && self.sides.iter().all(|(_, half)| half.finished) {
            self.established = true;
            notes.number(tls::ESTABLISHED, 1);
        }
    }
}

#[cfg(test)]
mod tests;
