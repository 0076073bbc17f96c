//! DNS messages (RFC 1035 section 4): strict reading of header, questions and records.

use super::super::Reject;
use super::name;
use crate::bytes::Cursor;

crate::open_enum! {
    /// Types of records and questions that are read or are common (IANA "Domain Name System Parameters").
    pub(super) struct Kind(u16) {
        A = 1 => "A",
        NS = 2 => "NS",
        CNAME = 5 => "CNAME",
        SOA = 6 => "SOA",
        NULL = 10 => "NULL",
        PTR = 12 => "PTR",
        HINFO = 13 => "HINFO",
        MX = 15 => "MX",
        TXT = 16 => "TXT",
        AAAA = 28 => "AAAA",
        SRV = 33 => "SRV",
        NAPTR = 35 => "NAPTR",
        DNAME = 39 => "DNAME",
        OPT = 41 => "OPT",
        DS = 43 => "DS",
        RRSIG = 46 => "RRSIG",
        NSEC = 47 => "NSEC",
        DNSKEY = 48 => "DNSKEY",
        NSEC3 = 50 => "NSEC3",
        TLSA = 52 => "TLSA",
        SVCB = 64 => "SVCB",
        HTTPS = 65 => "HTTPS",
        SPF = 99 => "SPF",
        TKEY = 249 => "TKEY",
        TSIG = 250 => "TSIG",
        IXFR = 251 => "IXFR",
        AXFR = 252 => "AXFR",
        ANY = 255 => "ANY",
        CAA = 257 => "CAA",
        WINS = 65281 => "WINS",
        WINS_R = 65282 => "WINS-R",
    }
}

impl Kind {
    /// Whether IANA assigned it, or Microsoft uses it: what a question of a real resolver may ask.
    const fn is_assigned(self) -> bool {
        matches!(self.0, 1..=67 | 99..=109 | 128 | 249..=262 | 32768 | 32769 | 65281 | 65282)
    }
}

crate::open_enum! {
    /// Response codes (RFC 1035, RFC 2136, RFC 8490).
    pub(super) struct Rcode(u16) {
        NO_ERROR = 0 => "NOERROR",
        FORMAT_ERROR = 1 => "FORMERR",
        SERVER_FAILURE = 2 => "SERVFAIL",
        NAME_ERROR = 3 => "NXDOMAIN",
        NOT_IMPLEMENTED = 4 => "NOTIMP",
        REFUSED = 5 => "REFUSED",
        YX_DOMAIN = 6 => "YXDOMAIN",
        YX_RRSET = 7 => "YXRRSET",
        NX_RRSET = 8 => "NXRRSET",
        NOT_AUTH = 9 => "NOTAUTH",
        NOT_ZONE = 10 => "NOTZONE",
        DSO_TYPE = 11 => "DSOTYPENI",
    }
}

/// Operation codes.
const QUERY: u16 = 0;
const STATUS: u16 = 2;
const NOTIFY: u16 = 4;
const UPDATE: u16 = 5;
const STATEFUL: u16 = 6;

/// The fixed header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) id: u16,
    pub(super) flags: u16,
    /// Questions, answers, authority and additional records.
    counts: [u16; 4],
}

impl Header {
    pub(super) const BYTES: usize = 12;
    /// Octets of the shortest question and the shortest record: a root name.
    const LEAST_QUESTION: usize = 5;
    const LEAST_RECORD: usize = 11;

    /// Reads a header and holds it against the `length` of the message; `multicast` allows what RFC 6762 allows.
    pub(super) fn parse(bytes: &[u8], length: usize, multicast: bool) -> Result<Self, Reject> {
        let mut cursor = Cursor::new(bytes);
        let header = Self {
            id: cursor.u16()?,
            flags: cursor.u16()?,
            counts: [cursor.u16()?, cursor.u16()?, cursor.u16()?, cursor.u16()?],
        };
        let [questions, answers, authorities, additional] = header.counts.map(usize::from);
        let records = answers
            .saturating_add(authorities)
            .saturating_add(additional);
        let least = Self::BYTES
            .saturating_add(questions.saturating_mul(Self::LEAST_QUESTION))
            .saturating_add(records.saturating_mul(Self::LEAST_RECORD));
        let is_bare = header.is_bare();
        let zero = header.flags & 0x40;
        let sane = match (header.is_response(), header.opcode()) {
            _ if multicast => header.opcode() == QUERY && !is_bare,
            (false, QUERY) => {
                questions == 1
                    && answers == 0
                    && authorities <= 1
                    && additional <= 4
                    && header.flags & 0x028f == 0
            }
            (false, STATUS | NOTIFY) => questions == 1 && answers <= 1 && header.rcode().0 == 0,
            (_, UPDATE) => questions <= 1 && header.rcode().name().is_some(),
            (true, QUERY | STATUS | NOTIFY) => questions <= 1 && header.rcode().name().is_some(),
            (_, STATEFUL) if is_bare => true,
            // Whatever was asked for, a refusal to do it gives the question back (RFC 1035 section 4.1.1).
            (true, _) => header.rcode() == Rcode::NOT_IMPLEMENTED && header.counts == [1, 0, 0, 0],
            _ => false,
        };
        if !sane || zero != 0 || least > length {
            return Err(Reject::Other);
        }
        Ok(header)
    }

    pub(super) const fn is_response(&self) -> bool {
        self.flags & 0x8000 != 0
    }

    /// Whether it is about a change of a zone, not about a question.
    pub(super) const fn is_update(&self) -> bool {
        self.opcode() == UPDATE
    }

    pub(super) const fn opcode(&self) -> u16 {
        self.flags >> 11 & 0xf
    }

    pub(super) const fn rcode(&self) -> Rcode {
        Rcode(self.flags & 0xf)
    }

    /// No section has an entry: nothing but the header can be held against the specification.
    pub(super) const fn is_bare(&self) -> bool {
        matches!(self.counts, [0, 0, 0, 0])
    }

    /// A stateful operation (RFC 8490), whose body is no sections.
    pub(super) const fn is_stateful(&self) -> bool {
        self.opcode() == STATEFUL && self.is_bare()
    }

    /// Answers, but neither authoritative, nor recursive, nor asked to be: only a responder of RFC 4795 does so.
    pub(super) const fn is_link_local(&self) -> bool {
        let [questions, answers, _, _] = self.counts;
        self.flags & 0xfdff == 0x8000 && questions == 1 && answers > 0
    }
}

/// A question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Question {
    /// Offset of its name.
    pub(super) name: usize,
    pub(super) kind: Kind,
}

/// Section of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    Answer,
    Authority,
    Additional,
}

/// A resource record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record<'a> {
    pub(super) section: Section,
    /// Offset of its owner's name.
    pub(super) name: usize,
    pub(super) kind: Kind,
    /// Offset of its data.
    pub(super) offset: usize,
    pub(super) data: &'a [u8],
}

/// A message whose sections were walked from end to end.
#[derive(Debug)]
pub(super) struct Message<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) header: Header,
    pub(super) question: Option<Question>,
    /// Answers and additional records worth reading.
    pub(super) records: Vec<Record<'a>>,
    /// The capture ends before the message does.
    pub(super) cut: bool,
}

/// Records kept for reading: zone transfers carry thousands a message, and nobody reads a report of them.
const MAX_RECORDS: usize = 64;

impl<'a> Message<'a> {
    /// Reads a message of `length` octets, of which `bytes` are there. A cut message must hold a question, a record, or
    /// enough of the first name.
    pub(super) fn parse(bytes: &'a [u8], length: usize, multicast: bool) -> Result<Self, Reject> {
        let header = Header::parse(bytes, length, multicast)?;
        let mut message = Self {
            bytes,
            header,
            question: None,
            records: Vec::new(),
            cut: bytes.len() < length,
        };
        if header.is_stateful() {
            return Ok(message);
        }
        let [questions, answers, authorities, additional] = header.counts;
        let mut at = Header::BYTES;
        // Nothing but a header proves nothing.
        let mut proved = false;
        for _ in 0..questions {
            match message.question(at, multicast) {
                Ok(behind) => at = behind,
                Err(Reject::Short(_))
                    if message.cut && (proved || name::begins(bytes, at, multicast)) =>
                {
                    return Ok(message);
                }
                Err(reject) => return Err(reject),
            }
            proved = true;
        }
        let sections = [
            (Section::Answer, answers),
            (Section::Authority, authorities),
            (Section::Additional, additional),
        ];
        for (section, count) in sections {
            for _ in 0..count {
                match message.record(at, section, multicast) {
                    Ok(behind) => at = behind,
                    Err(Reject::Short(_)) if message.cut && proved => return Ok(message),
                    Err(reject) => return Err(reject),
                }
                proved = true;
            }
        }
        if at < bytes.len() {
            return Err(Reject::Invalid("octets after the last record"));
        }
        Ok(message)
    }

    fn question(&mut self, start: usize, multicast: bool) -> Result<usize, Reject> {
        let at = name::skip(self.bytes, start)?;
        let mut cursor = Cursor::new(self.bytes);
        cursor.skip(at)?;
        let (kind, class) = (Kind(cursor.u16()?), cursor.u16()?);
        if name::is_netbios(self.bytes, start) && matches!(kind.0, 0x20 | 0x21) {
            return Err(Reject::Invalid("a NetBIOS name"));
        }
        if !kind.is_assigned() || !is_class(class, multicast) {
            return Err(Reject::Invalid("question type or class"));
        }
        self.question.get_or_insert(Question { name: start, kind });
        Ok(cursor.offset())
    }

    fn record(&mut self, start: usize, section: Section, multicast: bool) -> Result<usize, Reject> {
        let at = name::skip(self.bytes, start)?;
        let mut cursor = Cursor::new(self.bytes);
        cursor.skip(at)?;
        let (kind, class) = (Kind(cursor.u16()?), cursor.u16()?);
        cursor.skip(4)?;
        let length = usize::from(cursor.u16()?);
        let offset = cursor.offset();
        // The class of OPT is a buffer size, and its name the root (RFC 6891 section 6.1.2).
        let fits = if kind == Kind::OPT {
            self.bytes.get(start) == Some(&0)
        } else {
            is_class(class, multicast)
        };
        if !fits || (name::is_netbios(self.bytes, start) && matches!(kind.0, 0x20 | 0x21)) {
            return Err(Reject::Invalid("record class or owner"));
        }
        let data = cursor.take(length)?;
        let readable = section != Section::Authority
            && matches!(
                kind,
                Kind::A | Kind::AAAA | Kind::CNAME | Kind::SRV | Kind::MX
            );
        if readable && self.records.len() < MAX_RECORDS {
            self.records.push(Record {
                section,
                name: start,
                kind,
                offset,
                data,
            });
        }
        Ok(cursor.offset())
    }
}

/// Classes: IN, CHAOS, HESIOD, NONE, ANY; multicast DNS uses the top bit (RFC 6762 sections 5.4 and 10.2).
const fn is_class(class: u16, multicast: bool) -> bool {
    let class = if multicast { class & 0x7fff } else { class };
    matches!(class, 1 | 3 | 4 | 254 | 255)
}
