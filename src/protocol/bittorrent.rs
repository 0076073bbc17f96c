//! BitTorrent: the handshake of peers (BEP 3), the distributed hash table (BEP 5), uTP (BEP 29) and UDP trackers (BEP 15);
//! and, under its own name, the discovery of peers on the local link (BEP 14).
//!
//! Encrypted handshakes are chance by design and stay unnamed. What torrents hold is not read.

use super::{
    About, Datagram, DatagramDecoder, DatagramEntry, Opening, Probe, Protocol, Reject, Step,
    StreamDecoder, StreamEntry,
};
use crate::bytes::Cursor;
use crate::evidence::Notes;
use crate::net::Side;

/// `handshake`, `messages` of peers without one, `dht`, `utp` or `tracker`.
const KIND: &str = "kind";
/// The torrent, in hexadecimal.
const INFO_HASH: &str = "info_hash";
/// The program and version in a peer's identity (BEP 20): `-UT3530-`.
const PROGRAM: &str = "program";
/// Query of the hash table: `ping`, `find_node` ...
const QUERY: &str = "query";

/// BitTorrent.
pub(super) const BITTORRENT: Protocol = Protocol {
    name: "bittorrent",
    about: About {
        title: "BitTorrent",
        sources: "BEP 3, BEP 5, BEP 15, BEP 20, BEP 29",
        reads: "Torrent and program of a handshake, queries of the hash table.",
        proves: "A handshake; a dictionary of the hash table; the opening of uTP and its answer; a tracker's magic number.",
        limits: "Encrypted handshakes are not told from other unknown bytes.",
    },
    attributes: &[KIND, INFO_HASH, PROGRAM, QUERY],
    stream: Some(StreamEntry {
        // A handshake; or the length of a message, of less than 16 MB.
        first_byte: |byte| byte == HANDSHAKE[0] || byte == 0,
        probe,
        start: || Box::new(Peers),
    }),
    datagram: Some(DatagramEntry {
        first_byte: |byte| matches!(byte, b'd' | 0 | 0x01 | 0x11 | 0x21 | 0x31 | 0x41),
        start: || Box::<Datagrams>::default(),
    }),
};

/// Discovery of peers on the local link.
pub(super) const LSD: Protocol = Protocol {
    name: "lsd",
    about: About {
        title: "BitTorrent Local Service Discovery",
        sources: "BEP 14",
        reads: "Nothing but that it is there.",
        proves: "The request line and the line of a torrent.",
        limits: "Torrents are not kept.",
    },
    attributes: &[],
    stream: None,
    datagram: Some(DatagramEntry {
        first_byte: |byte| byte == b'B',
        start: || Box::new(Discovery),
    }),
};

/// Length and name of the protocol, which begin a handshake.
const HANDSHAKE: &[u8; 20] = b"\x13BitTorrent protocol";
/// Octets that say which extensions a peer knows.
const RESERVED: usize = 8;
/// Octets of a torrent's hash, and of a peer's identity.
const IDENTITY: usize = 20;

fn probe(opening: &Opening<'_>) -> Probe {
    let begins = |bytes: &[u8]| {
        let length = bytes.len().min(HANDSHAKE.len());
        length > 0 && bytes.get(..length) == HANDSHAKE.get(..length)
    };
    let is_whole = |bytes: &[u8]| begins(bytes) && bytes.len() >= HANDSHAKE.len();
    let greets = is_whole(opening.spoken()) || is_whole(opening.reply());
    if greets || (opening.midstream && messages(opening.spoken())) {
        Probe::Yes
    } else if begins(opening.spoken()) {
        Probe::More
    } else {
        Probe::No
    }
}

/// One connection of peers: only its handshakes are read.
struct Peers;

impl StreamDecoder for Peers {
    fn data(&mut self, _: Side, bytes: &[u8], notes: &mut Notes<'_>) -> Step {
        if bytes.len() < HANDSHAKE.len() && HANDSHAKE.starts_with(bytes) {
            return Step::NeedMore {
                consumed: 0,
                at_least: HANDSHAKE.len(),
            };
        }
        if !bytes.starts_with(HANDSHAKE) {
            if messages(bytes) {
                notes.proved();
                notes.text(KIND, "messages");
            }
            // Messages after the handshake, or of a side whose handshake is not in the capture.
            return Step::Consumed;
        }
        notes.proved();
        notes.text(KIND, "handshake");
        handshake(bytes, notes);
        let whole = HANDSHAKE
            .len()
            .saturating_add(RESERVED)
            .saturating_add(IDENTITY.saturating_mul(2));
        if bytes.len() < whole {
            return Step::NeedMore {
                consumed: 0,
                at_least: whole,
            };
        }
        Step::Consumed
    }
}

/// Whether `bytes` are messages of peers from end to end (BEP 3), enough of them to be beyond chance. Blocks are
/// asked for and sent in pieces of a power of two: everybody uses 16 KB, and half of it at the least.
fn messages(bytes: &[u8]) -> bool {
    const MAX_BLOCK: u32 = 128 * 1024;
    const LEAST_BLOCK: u32 = 8 * 1024;
    const MAX_PIECES: u32 = 1 << 24;
    let mut cursor = Cursor::new(bytes);
    let mut proof = 0_u8;
    while !cursor.is_empty() {
        let Ok(head) = cursor.u32().and_then(|length| Ok((length, cursor.u8()?))) else {
            break;
        };
        let mut word = || cursor.u32().unwrap_or(u32::MAX);
        match head {
            // Choke, unchoke, interested, not interested: five octets, mostly zeros.
            (1, 0..=3) => {}
            // Have.
            (5, 4) => {
                if word() >= MAX_PIECES {
                    return false;
                }
                proof = proof.saturating_add(1);
            }
            // Request, cancel.
            (13, 6 | 8) => {
                let (piece, begin, length) = (word(), word(), word());
                let fits = (1..=MAX_BLOCK).contains(&length) && begin % LEAST_BLOCK == 0;
                if piece >= MAX_PIECES || !fits {
                    return false;
                }
                proof = proof.saturating_add(2);
            }
            // An extension (BEP 10): its number, and a dictionary.
            (length, 20) if length > 3 => {
                let Ok(mut body) = cursor.sub(length.saturating_sub(1) as usize) else {
                    return false;
                };
                let is_dictionary = body.skip(1).is_ok()
                    && body.peek() == Some(b'd')
                    && value(&mut body, MAX_DEPTH, &mut MAX_VALUES.clone()).is_ok();
                if !is_dictionary {
                    return false;
                }
                proof = proof.saturating_add(2);
            }
            // A block, which is longer than any segment.
            (length, 7) if length > LEAST_BLOCK => {
                let (piece, begin) = (word(), word());
                let fits = length <= MAX_BLOCK + 9 && (length - 9).is_power_of_two();
                return fits && piece < MAX_PIECES && begin % LEAST_BLOCK == 0;
            }
            _ => return false,
        }
    }
    cursor.is_empty() && proof >= 2
}

/// Torrent and program, as far as they are there.
fn handshake(bytes: &[u8], notes: &mut Notes<'_>) {
    let mut cursor = Cursor::new(bytes);
    let mut identities = || {
        cursor.skip(HANDSHAKE.len())?;
        cursor.skip(RESERVED)?;
        let torrent = cursor.array::<IDENTITY>()?;
        notes.text(INFO_HASH, &format!("{:040x}", Hash(torrent)));
        let [program @ .., _, _, _, _, _, _, _, _, _, _, _, _] = cursor.array::<IDENTITY>()?;
        if program.iter().all(u8::is_ascii_graphic) {
            notes.bytes(PROGRAM, program);
        }
        Ok::<_, crate::bytes::Short>(())
    };
    let _ = identities();
}

/// A hash, shown in hexadecimal.
struct Hash<'a>(&'a [u8; IDENTITY]);

impl std::fmt::LowerHex for Hash<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Datagrams of one flow: the opening of uTP waits for its answer.
#[derive(Default)]
struct Datagrams {
    opened: Option<(Side, u16, u16)>,
}

impl DatagramDecoder for Datagrams {
    fn datagram(&mut self, datagram: Datagram<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
        let kind = match datagram.bytes {
            [b'd', ..] => {
                hash_table(datagram, notes)?;
                "dht"
            }
            [
                0,
                0,
                4,
                0x17,
                0x27,
                0x10,
                0x19,
                0x80,
                0,
                0,
                0,
                0,
                _,
                _,
                _,
                _,
            ] => {
                notes.client(notes.side());
                "tracker"
            }
            [0x01 | 0x11 | 0x21 | 0x31 | 0x41, ..] => {
                if !self.transport(datagram, notes)? {
                    return Ok(());
                }
                "utp"
            }
            _ => return Err(Reject::Other),
        };
        notes.proved();
        notes.text(KIND, kind);
        Ok(())
    }
}

impl Datagrams {
    /// A packet of uTP (BEP 29); whether it proves itself: the answer to an opening, or a handshake inside.
    fn transport(&mut self, datagram: Datagram<'_>, notes: &mut Notes<'_>) -> Result<bool, Reject> {
        const DATA: u8 = 0;
        const STATE: u8 = 2;
        const SYN: u8 = 4;
        let mut cursor = Cursor::new(datagram.bytes);
        let (kind, mut extension) = (cursor.u8()? >> 4, cursor.u8()?);
        let connection = cursor.u16()?;
        let (_time, _difference, _window) = (cursor.u32()?, cursor.u32()?, cursor.u32()?);
        let (sequence, acknowledged) = (cursor.u16()?, cursor.u16()?);
        // Selective acknowledgements, extension bits and their like: a chain of kind, length and value.
        while extension != 0 {
            if extension > 4 {
                return Err(Reject::Other);
            }
            extension = cursor.u8()?;
            let length = usize::from(cursor.u8()?);
            cursor.skip(length)?;
        }
        let side = notes.side();
        match kind {
            SYN if cursor.is_empty() => {
                self.opened = Some((side, connection, sequence));
                Ok(false)
            }
            STATE if cursor.is_empty() => match self.opened {
                Some(opened) if opened == (side.other(), connection, acknowledged) => {
                    notes.client(side.other());
                    Ok(true)
                }
                _ => Err(Reject::Other),
            },
            DATA if cursor.rest().starts_with(HANDSHAKE) => {
                handshake(cursor.rest(), notes);
                Ok(true)
            }
            _ => Err(Reject::Other),
        }
    }
}

/// Values inside each other: an answer of the hash table needs four.
const MAX_DEPTH: u8 = 8;
/// Values of one message: a datagram holds no more of the shortest than it has octets, and no real one a tenth of this.
const MAX_VALUES: u16 = 1024;

/// A message of the hash table (BEP 5): a dictionary with a transaction and a kind.
fn hash_table(datagram: Datagram<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
    let mut cursor = Cursor::new(datagram.bytes);
    cursor.skip(1)?;
    let (mut query, mut kind, mut has_transaction, mut has_body) = (None, None, false, false);
    let mut values = MAX_VALUES;
    while cursor.peek() != Some(b'e') {
        let entry = string(&mut cursor).and_then(|key| {
            let before = cursor;
            value(&mut cursor, MAX_DEPTH, &mut values)?;
            Ok((key, before))
        });
        let (key, mut at) = match entry {
            Ok(entry) => entry,
            // The kind comes last: a cut body with an identity is enough.
            Err(Reject::Short(_)) if datagram.is_cut() => {
                return cut(datagram.bytes, notes);
            }
            Err(reject) => return Err(reject),
        };
        match key {
            b"t" => has_transaction = string(&mut at).is_ok(),
            b"y" => kind = string(&mut at).ok(),
            b"q" => query = string(&mut at).ok(),
            b"a" | b"r" => has_body |= at.rest().starts_with(BODY) || holds_identity(at.rest()),
            b"e" => has_body = true,
            _ => {}
        }
    }
    cursor.skip(1)?;
    let is_known =
        matches!(kind, Some(b"q") if query.is_some()) || matches!(kind, Some(b"r" | b"e"));
    if !is_known || !has_transaction || !has_body || !cursor.is_empty() {
        return Err(Reject::Other);
    }
    note_query(query, notes);
    Ok(())
}

/// A body begins with the sender's identity.
const BODY: &[u8] = b"d2:id20:";

/// Whether a body has the sender's identity after another member.
fn holds_identity(body: &[u8]) -> bool {
    let body = body.get(..body.len().min(512)).unwrap_or_default();
    memchr::memmem::find(body, b"2:id20:").is_some()
}

/// What is there of a message must begin as all of them do.
fn cut(bytes: &[u8], notes: &mut Notes<'_>) -> Result<(), Reject> {
    let is_body = |prefix: &[u8]| {
        bytes
            .strip_prefix(prefix)
            .is_some_and(|rest| rest.starts_with(BODY))
    };
    if !is_body(b"d1:a") && !is_body(b"d1:r") {
        return Err(Reject::Other);
    }
    note_query(None, notes);
    Ok(())
}

fn note_query(query: Option<&[u8]>, notes: &mut Notes<'_>) {
    if let Some(query) = query {
        notes.client(notes.side());
        let is_name = |byte: &u8| byte.is_ascii_lowercase() || *byte == b'_';
        if query.iter().all(is_name) {
            notes.bytes(QUERY, query);
        }
    }
}

/// `4:spam`
fn string<'a>(cursor: &mut Cursor<'a>) -> Result<&'a [u8], Reject> {
    let length = number(cursor, b':')?;
    Ok(cursor.take(length)?)
}

/// Digits up to `end`.
fn number(cursor: &mut Cursor<'_>, end: u8) -> Result<usize, Reject> {
    let mut number = 0_usize;
    let mut digits = 0_u8;
    loop {
        match cursor.u8()? {
            byte if byte == end && digits > 0 => return Ok(number),
            byte @ b'0'..=b'9' if digits < 6 => {
                number = number
                    .saturating_mul(10)
                    .saturating_add(usize::from(byte & 0xf));
                digits = digits.saturating_add(1);
            }
            _ => return Err(Reject::Other),
        }
    }
}

/// Passes over a value (BEP 3): an integer, a string, a list or a dictionary.
fn value(cursor: &mut Cursor<'_>, depth: u8, left: &mut u16) -> Result<(), Reject> {
    let deeper = depth.checked_sub(1).ok_or(Reject::Invalid("depth"))?;
    *left = left.checked_sub(1).ok_or(Reject::Invalid("values"))?;
    match cursor.peek() {
        Some(b'i') => {
            cursor.skip(1)?;
            let end = memchr::memchr(b'e', cursor.rest()).unwrap_or(cursor.len());
            let digits = cursor.take(end)?;
            cursor.skip(1)?;
            let digits = digits.strip_prefix(b"-").unwrap_or(digits);
            let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
            is_number.then_some(()).ok_or(Reject::Invalid("integer"))
        }
        Some(kind @ (b'l' | b'd')) => {
            cursor.skip(1)?;
            while cursor.peek() != Some(b'e') {
                if kind == b'd' {
                    string(cursor)?;
                }
                value(cursor, deeper, left)?;
            }
            Ok(cursor.skip(1)?)
        }
        _ => string(cursor).map(drop),
    }
}

/// BEP 14.
struct Discovery;

impl DatagramDecoder for Discovery {
    fn datagram(&mut self, datagram: Datagram<'_>, notes: &mut Notes<'_>) -> Result<(), Reject> {
        let has_torrent = || memchr::memmem::find(datagram.bytes, b"\r\nInfohash: ").is_some();
        if !datagram.bytes.starts_with(b"BT-SEARCH * HTTP/1.1\r\n") || !has_torrent() {
            return Err(Reject::Other);
        }
        notes.proved();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        CLIENT, SERVER, conversation, datagrams, midstream, only_registered_attributes, protocols,
        survives_every_cut, values,
    };
    use super::*;

    fn greeting(program: &[u8; 8]) -> Vec<u8> {
        [
            &HANDSHAKE[..],
            &[0; 8],
            &[0xab; 20],
            program,
            b"abcdefghijkl",
        ]
        .concat()
    }

    const PING: &[u8] = b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe";
    const PONG: &[u8] = b"d1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:re";

    #[test]
    fn a_handshake_shows_torrent_and_program() {
        let (one, other) = (greeting(b"-UT3530-"), greeting(b"-TR2940-"));
        let played = [(CLIENT, &one[..]), (SERVER, &other)];
        let recorder = conversation(&played);
        assert_eq!(protocols(&recorder), ["bittorrent"]);
        assert_eq!(values(&recorder, "bittorrent", "kind"), ["handshake"; 2]);
        let torrents = values(&recorder, "bittorrent", "info_hash");
        assert_eq!(torrents, [&*"ab".repeat(20); 2]);
        let programs = values(&recorder, "bittorrent", "program");
        assert_eq!(programs, ["-TR2940-", "-UT3530-"]);
        only_registered_attributes(&recorder, &[&BITTORRENT]);
        survives_every_cut(&played);
        assert_eq!(protocols(&midstream(&[(SERVER, &one)])), ["bittorrent"]);
        let unknown = conversation(&[(CLIENT, b"\0\0\0\x0d\x06\0\0\0\x01\0\0\x40\0\0\0\x40\0")]);
        assert!(protocols(&unknown).is_empty());
        assert!(protocols(&conversation(&[(CLIENT, b"\x13BitTorrent protocos....")])).is_empty());
    }

    #[test]
    fn the_middle_of_a_connection_is_told_by_its_messages() {
        let request = b"\0\0\0\x0d\x06\0\0\0\x01\0\0\x40\0\0\0\x40\0";
        let have = b"\0\0\0\x05\x04\0\0\0\x09";
        let extension = b"\0\0\0\x09\x14\x01d1:mdee";
        let block = b"\0\0\x40\x09\x07\0\0\0\x01\0\0\x40\0abcdef";
        for bytes in [
            &request[..],
            block,
            &have.repeat(2),
            &[&have[..], request].concat(),
            extension,
        ] {
            let recorder = midstream(&[(SERVER, bytes)]);
            assert_eq!(values(&recorder, "bittorrent", "kind"), ["messages"]);
        }
        for bytes in [&have[..], b"\0\0\0\x01\0", &request[..16], &[0; 64]] {
            assert!(protocols(&midstream(&[(SERVER, bytes)])).is_empty());
        }
    }

    #[test]
    fn messages_of_the_hash_table_are_told_by_their_members() {
        let recorder = datagrams(&[(CLIENT, PING), (SERVER, PONG)]);
        assert_eq!(protocols(&recorder), ["bittorrent"]);
        assert_eq!(values(&recorder, "bittorrent", "query"), ["ping"]);
        assert_eq!(recorder.client, Some(CLIENT));
        for bytes in [
            &b"d1:q4:ping1:t2:aa1:y1:qe"[..],
            b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:y1:qe",
            b"de",
            b"d3:agei7ee",
            &[&b"d1:a"[..], &b"l".repeat(200)].concat(),
            &[PING, b"x"].concat(),
        ] {
            assert!(protocols(&datagrams(&[(CLIENT, bytes)])).is_empty());
        }
        for length in 0..PING.len() {
            assert!(protocols(&datagrams(&[(CLIENT, &PING[..length])])).is_empty());
        }
    }

    fn packet(kind: u8, connection: u16, numbers: [u16; 2]) -> Vec<u8> {
        let mut bytes = vec![kind, 0];
        bytes.extend(connection.to_be_bytes());
        bytes.extend([1; 12]);
        bytes.extend(numbers.iter().flat_map(|number| number.to_be_bytes()));
        bytes
    }

    #[test]
    fn the_opening_of_utp_needs_its_answer() {
        let (syn, state) = (packet(0x41, 77, [5, 0]), packet(0x21, 77, [900, 5]));
        let recorder = datagrams(&[(CLIENT, &syn), (SERVER, &state)]);
        assert_eq!(values(&recorder, "bittorrent", "kind"), ["utp"]);
        let other = packet(0x21, 78, [900, 5]);
        for played in [
            &[(CLIENT, &syn[..])][..],
            &[(CLIENT, &syn), (SERVER, &other)],
        ] {
            assert!(protocols(&datagrams(played)).is_empty());
        }
        let carried = [packet(0x01, 78, [6, 1]), greeting(b"-UT3530-")].concat();
        let recorder = datagrams(&[(CLIENT, &carried)]);
        assert_eq!(values(&recorder, "bittorrent", "program"), ["-UT3530-"]);
    }

    #[test]
    fn trackers_and_the_local_link_are_told_by_their_openings() {
        let connect = b"\0\0\x04\x17\x27\x10\x19\x80\0\0\0\0abcd";
        let recorder = datagrams(&[(CLIENT, connect)]);
        assert_eq!(values(&recorder, "bittorrent", "kind"), ["tracker"]);
        let search = b"BT-SEARCH * HTTP/1.1\r\nHost: 239.192.152.143:6771\r\nPort: 6881\r\nInfohash: ABCD\r\n\r\n";
        let recorder = datagrams(&[(CLIENT, search)]);
        assert_eq!(protocols(&recorder), ["lsd"]);
        assert!(protocols(&datagrams(&[(CLIENT, &search[..30])])).is_empty());
    }
}
