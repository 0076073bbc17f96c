//! The datagram service of NetBIOS over TCP/IP (RFC 1002 section 4.4): who sends to which name, and the mailslot inside.
//!
//! The user data of the datagrams that Windows sends is an SMB transaction to a mailslot (MS-MAIL, MS-BRWS): its name and
//! the kind of browser message are read, the rest is left to the decoder of SMB on streams.

use std::net::Ipv4Addr;

use super::netbios::Name;
use super::{About, Datagram, DatagramDecoder, DatagramEntry, Protocol, Reject};
use crate::bytes::Cursor;
use crate::evidence::{Notes, Offered};
use crate::net::{Endpoint, Transport};

/// The sender's name, with its kind.
const SOURCE: &str = "source";
/// The receiver's name, with its kind.
const DESTINATION: &str = "destination";
/// The mailslot that an SMB transaction inside is sent to.
const MAILSLOT: &str = "mailslot";
/// Kind of a message of the browser service (MS-BRWS section 2.2).
const BROWSER: &str = "browser";
/// Version of the operating system that a host announces: `6.1`.
const SYSTEM: &str = "system";

/// The datagram service.
pub(super) const NETBIOS_DGM: Protocol = Protocol {
    name: "netbios_dgm",
    about: About {
        title: "NetBIOS Datagram Service",
        sources: "RFC 1002 section 4.4, MS-MAIL, MS-BRWS",
        reads: "Names of sender and receiver, the mailslot, the kind of a browser message; the sender is offered as a host.",
        proves: "A header whose length is that of the datagram, with or without itself, and two encoded names.",
        limits: "Datagrams in several fragments show what their first fragment holds.",
    },
    attributes: &[SOURCE, DESTINATION, MAILSLOT, BROWSER, SYSTEM],
    stream: None,
    datagram: Some(DatagramEntry {
        first_byte: |byte| matches!(byte, DIRECT_UNIQUE..=QUERY_NEGATIVE),
        start: || Box::new(Datagrams),
    }),
};

/// What is carried, by name: the transaction's protocol.
const SMB: &str = "smb";

const DIRECT_UNIQUE: u8 = 0x10;
const BROADCAST: u8 = 0x12;
const ERROR: u8 = 0x13;
const QUERY: u8 = 0x14;
const QUERY_NEGATIVE: u8 = 0x16;
/// Octets before the names, which a datagram's length does not count.
const HEADER: usize = 14;
/// Octets of two names without scope, which it does.
const LEAST: usize = 68;

crate::open_enum! {
    /// Messages of the browser service, MS-BRWS section 2.2.
    struct Browser(u8) {
        /// A host is there.
        HOST = 1 => "host_announcement",
        /// Announce yourselves.
        REQUEST = 2 => "announcement_request",
        /// An election.
        ELECTION = 8 => "election",
        /// Who keeps copies of the list?
        BACKUP_REQUEST = 9 => "backup_list_request",
        /// These do.
        BACKUP_RESPONSE = 0xa => "backup_list_response",
        /// Become a backup browser.
        BECOME_BACKUP = 0xb => "become_backup",
        /// A domain or workgroup is there.
        DOMAIN = 0xc => "domain_announcement",
        /// This is the master of the domain.
        MASTER = 0xd => "master_announcement",
        /// Reset your state.
        RESET = 0xe => "reset",
        /// The local master is there.
        LOCAL_MASTER = 0xf => "local_master_announcement",
    }
}

struct Datagrams;

impl DatagramDecoder for Datagrams {
    fn datagram(&mut self, datagram: Datagram<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
        let mut cursor = Cursor::new(datagram.bytes);
        // Old systems set the reserved flags.
        let (kind, _flags) = (cursor.u8()?, cursor.u8()?);
        let _id = cursor.u16()?;
        let address = Ipv4Addr::from(*cursor.array::<4>()?);
        let _port = cursor.u16()?;
        match kind {
            DIRECT_UNIQUE..=BROADCAST => {
                let (length, offset) = (usize::from(cursor.u16()?), cursor.u16()?);
                let whole = length.saturating_add(HEADER);
                // Old systems count the header.
                let fits = whole <= datagram.wire_len || length == datagram.wire_len;
                if length < LEAST || !fits {
                    return Err(Reject::Invalid("datagram length"));
                }
                let source = Name::parse(&mut cursor)?;
                let rest = cursor.rest();
                let destination = match Name::parse(&mut cursor) {
                    Ok(destination) => Some(destination),
                    Err(Reject::Short(_)) if datagram.is_cut() && Name::begins(rest) => None,
                    Err(reject) => return Err(reject),
                };
                note_names(Some(source), destination, notes);
                // A forwarder keeps the first sender's address here.
                if let Some(name) = source.host()
                    && notes.sender().address == address
                {
                    let host = Endpoint::new(address.into(), 0);
                    notes.offer(Transport::TCP, host, Offered::Host { name });
                }
                if offset == 0 && destination.is_some() {
                    carried(cursor, notes);
                }
            }
            // An error is one octet more, which proves nothing.
            ERROR => return Err(Reject::Other),
            QUERY..=QUERY_NEGATIVE => {
                let destination = Name::parse(&mut cursor)?;
                if !cursor.is_empty() {
                    return Err(Reject::Invalid("octets after the name"));
                }
                note_names(None, Some(destination), notes);
            }
            _ => return Err(Reject::Other),
        }
        Ok(())
    }
}

fn note_names(source: Option<Name>, destination: Option<Name>, notes: &mut Notes<'_>) {
    notes.proved();
    for (attribute, name) in [(SOURCE, source), (DESTINATION, destination)] {
        if let Some(shown) = name.and_then(|name| name.shown()) {
            notes.text(attribute, &shown);
        }
    }
}

/// The SMB transaction inside, if there is one.
fn carried(mut cursor: Cursor<'_>, notes: &mut Notes<'_>) {
    if !cursor.rest().starts_with(b"\xffSMB\x25") {
        return;
    }
    notes.inside(SMB).proved();
    let Some((slot, mut data)) = transaction(&mut cursor) else {
        return;
    };
    notes.bytes(MAILSLOT, slot);
    if !matches!(slot, b"\\MAILSLOT\\BROWSE" | b"\\MAILSLOT\\LANMAN") {
        return;
    }
    let Ok(message) = data.u8().map(Browser) else {
        return;
    };
    notes.text(BROWSER, message.name().unwrap_or_default());
    if matches!(message, Browser::HOST | Browser::LOCAL_MASTER) {
        // Count, period and name; then the version (MS-BRWS section 2.2.1).
        let version = data
            .skip(1 + 4 + 16)
            .and_then(|()| Ok((data.u8()?, data.u8()?)));
        if let Ok((major, minor)) = version {
            notes.text(SYSTEM, &format!("{major}.{minor}"));
        }
    }
}

/// The name of a transaction (MS-CIFS section 2.2.4.33) and its data.
fn transaction<'a>(cursor: &mut Cursor<'a>) -> Option<(&'a [u8], Cursor<'a>)> {
    const SMB_HEADER: usize = 32;
    // Fourteen words, and three of the mailslot's set-up (MS-MAIL section 2.2.1).
    const WORDS: u8 = 17;
    let message = cursor.rest();
    cursor.skip(SMB_HEADER).ok()?;
    if cursor.u8().ok()? != WORDS {
        return None;
    }
    let mut words = cursor.sub(usize::from(WORDS) * 2).ok()?;
    // Counts of parameters and data, limits, flags, time-out, and the place of the parameters stand before.
    words.skip(24).ok()?;
    let offset = usize::from(words.u16_le().ok()?);
    cursor.skip(2).ok()?;
    let end = memchr::memchr(0, cursor.rest())?;
    let slot = cursor.take(end).ok()?;
    let is_slot = slot.starts_with(b"\\MAILSLOT\\") && slot.iter().all(u8::is_ascii_graphic);
    let data = Cursor::new(message.get(offset..).unwrap_or_default());
    is_slot.then_some((slot, data))
}

#[cfg(test)]
mod tests {
    use super::super::netbios::encoded;
    use super::super::testing::{
        CLIENT, SERVER, datagrams, offers, only_registered_attributes, protocols, values,
    };
    use super::*;

    fn datagram(kind: u8, address: [u8; 4], data: &[u8]) -> Vec<u8> {
        let names = [encoded("MBX1", 0x20), encoded("LAB", 0x1d)].concat();
        let length = u8::try_from(names.len() + data.len()).unwrap();
        let head = [
            &[kind, 0x0a, 1, 2],
            &address[..],
            &[0, 138, 0, length, 0, 0],
        ]
        .concat();
        [&head[..], &names, data].concat()
    }

    fn announcement() -> Vec<u8> {
        let mut message = b"\xffSMB\x25".to_vec();
        message.resize(32, 0);
        message.push(17);
        let mut words = [0; 34];
        words[24] = 86;
        message.extend(words);
        message.extend([0, 0]);
        message.extend(b"\\MAILSLOT\\BROWSE\0");
        assert_eq!(message.len(), 86);
        message.extend(b"\x01\x00\x80\xfc\x0a\x00MBX1\0\0\0\0\0\0\0\0\0\0\0\0\x06\x01");
        message
    }

    #[test]
    fn an_announcement_shows_names_mailslot_and_system() {
        let bytes = datagram(0x11, [10, 0, 0, 1], &announcement());
        let recorder = datagrams(&[(CLIENT, &bytes)]);
        assert_eq!(protocols(&recorder), ["netbios_dgm", "smb"]);
        for (attribute, value) in [
            ("source", "MBX1<20>"),
            ("destination", "LAB<1d>"),
            ("mailslot", "\\MAILSLOT\\BROWSE"),
            ("browser", "host_announcement"),
            ("system", "6.1"),
        ] {
            assert_eq!(values(&recorder, "netbios_dgm", attribute), [value]);
        }
        let name = "mbx1".into();
        let offers = offers(&recorder);
        assert_eq!(offers[0].offered, Offered::Host { name });
        assert_eq!(offers[0].endpoint.to_string(), "10.0.0.1:0");
        only_registered_attributes(&recorder, &[&NETBIOS_DGM]);
        // One prefix is whole where the length counts the header, as old systems write it.
        let by_old_count = usize::from(u16::from_be_bytes([bytes[10], bytes[11]]));
        for length in (0..bytes.len()).filter(|length| *length != by_old_count) {
            let named = protocols(&datagrams(&[(CLIENT, &bytes[..length])]));
            assert!(named.is_empty(), "{length} {named:?}");
        }
    }

    #[test]
    fn a_forwarded_datagram_offers_nobody() {
        let bytes = datagram(0x10, [192, 0, 2, 9], b"text");
        let recorder = datagrams(&[(CLIENT, &bytes)]);
        assert_eq!(protocols(&recorder), ["netbios_dgm"]);
        assert!(offers(&recorder).is_empty());
    }

    #[test]
    fn a_query_for_a_name_ends_with_it() {
        let head = [0x14, 2, 1, 2, 10, 0, 0, 1, 0, 138];
        let bytes = [&head[..], &encoded("LAB", 0x1c)].concat();
        let recorder = datagrams(&[(SERVER, &bytes)]);
        assert_eq!(values(&recorder, "netbios_dgm", "destination"), ["LAB<1c>"]);
        let long = [&bytes[..], b"more"].concat();
        assert!(protocols(&datagrams(&[(CLIENT, &long)])).is_empty());
    }

    #[test]
    fn wrong_kinds_lengths_and_names_are_refused() {
        let good = datagram(0x11, [10, 0, 0, 1], b"");
        for (at, value) in [(0, 0x13), (0, 0x17), (11, 200), (14, 31), (20, 0)] {
            let mut bytes = good.clone();
            bytes[at] = value;
            assert!(protocols(&datagrams(&[(CLIENT, &bytes)])).is_empty());
        }
    }

    #[test]
    fn a_datagram_that_is_cut_in_its_second_name_shows_the_first() {
        let bytes = datagram(0x11, [10, 0, 0, 1], &[0; 100]);
        let cut = |length| crate::protocol::testing::cut_datagram(&bytes[..length], bytes.len());
        let recorder = cut(54);
        assert_eq!(protocols(&recorder), ["netbios_dgm"]);
        assert_eq!(values(&recorder, "netbios_dgm", "source"), ["MBX1<20>"]);
        assert!(values(&recorder, "netbios_dgm", "destination").is_empty());
        assert!(
            protocols(&cut(40)).is_empty(),
            "the first name is not whole"
        );
        let mut other = bytes[..54].to_vec();
        other[52] = b'z';
        let named = protocols(&crate::protocol::testing::cut_datagram(&other, bytes.len()));
        assert!(named.is_empty(), "no letter of a name");
    }
}
