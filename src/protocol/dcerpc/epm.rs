//! The endpoint mapper (C706 appendix O): which interface a client wants, and the towers that it is given.
//!
//! Reads the stubs of `ept_lookup` and `ept_map` in NDR and NDR64.

use std::net::IpAddr;

use uuid::{Uuid, uuid};

use super::super::Reject;
use super::bind::Syntax;
use super::ndr::{Encoding, Ndr};
use super::tower::{Tower, TowerEndpoint};
use super::{EPT_STATUS, EPT_WANTED, PIPE, status};
use crate::evidence::{Notes, Offered};
use crate::net::{Endpoint, Transport};

/// The mapper's interface.
pub(super) const INTERFACE: Uuid = uuid!("e1af8308-5d1f-11c9-91a4-08002b14a0fa");
/// Bytes of replies that one connection may have put together from fragments: `ept_lookup` of 500 entries with annotations needs some 100 KiB.
pub(super) const MAX_REPLY_BYTES: usize = 256 * 1024;
/// Bytes of the context handle that opens every answer.
const HANDLE: usize = 20;
/// Characters of an annotation, its NUL included (C706 appendix O, `ept_max_annotation_size`).
const MAX_ANNOTATION: u64 = 64;

/// Operations whose answers hold towers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Lookup,
    Map,
}

impl Operation {
    pub(super) const fn of(opnum: u16) -> Option<Self> {
        match opnum {
            2 => Some(Self::Lookup),
            3 => Some(Self::Map),
            _ => None,
        }
    }
}

/// A `twr_t`: conformance, length, bytes.
fn twr<'a>(ndr: &mut Ndr<'a>) -> Result<&'a [u8], Reject> {
    let conformance = ndr.count()?;
    let length = ndr.long()?;
    if u64::from(length) != conformance {
        return Err(Reject::Invalid("tower length"));
    }
    let length = usize::try_from(length).map_err(|_| Reject::Invalid("tower length"))?;
    Ok(ndr.cursor.take(length)?)
}

/// The interface that an `ept_map` request asks for.
pub(super) fn wanted(stub: &[u8], encoding: Encoding) -> Result<Syntax, Reject> {
    let mut ndr = Ndr::new(stub, encoding);
    if ndr.count()? != 0 {
        ndr.cursor.align(4);
        ndr.cursor.skip(16)?;
    }
    if ndr.count()? == 0 {
        return Err(Reject::Invalid("no tower"));
    }
    Ok(Tower::parse(twr(&mut ndr)?)?.interface)
}

/// An entry of an answer: a tower, and the server's own name for the interface.
type Entry<'a> = (Tower<'a>, Option<&'a [u8]>);

/// An answer of the mapper.
#[derive(Debug, Default)]
pub(super) struct Reply<'a> {
    entries: Vec<Entry<'a>>,
    /// The closing status; `None` where the bytes ended or broke before it.
    status: Option<u32>,
    /// Nothing followed the status.
    exact: bool,
}

impl<'a> Reply<'a> {
    /// Reads `stub` as far as it goes.
    pub(super) fn parse(stub: &'a [u8], operation: Operation, encoding: Encoding) -> Self {
        let mut reply = Self::default();
        let mut ndr = Ndr::new(stub, encoding);
        if let Ok(status) = reply.read(&mut ndr, operation) {
            reply.status = Some(status);
            // Stubs may be padded to eight bytes.
            reply.exact = ndr.cursor.len() < 8;
        }
        reply
    }

    fn read(&mut self, ndr: &mut Ndr<'a>, operation: Operation) -> Result<u32, Reject> {
        ndr.cursor.skip(HANDLE)?;
        let count = u64::from(ndr.long()?);
        let most = ndr.count()?;
        let offset = ndr.count()?;
        let actual = ndr.count()?;
        if offset != 0 || actual > most || actual < count {
            return Err(Reject::Invalid("array of towers"));
        }
        let pointer = if ndr.encoding.wide { 8 } else { 4 };
        let annotations = match operation {
            Operation::Map => {
                if !ndr.fits(actual, pointer) {
                    return Err(Reject::Invalid("array of towers"));
                }
                let mut present = Vec::new();
                for _ in 0..actual {
                    if ndr.count()? != 0 {
                        present.push(None);
                    }
                }
                present
            }
            Operation::Lookup => annotations(ndr, actual)?,
        };
        for annotation in annotations {
            let tower = twr(ndr)?;
            // One strange tower does not take the others with it.
            if let Ok(tower) = Tower::parse(tower) {
                self.entries.push((tower, annotation));
            }
        }
        Ok(ndr.long()?)
    }

    /// The stub was an answer from its first to its last byte.
    pub(super) const fn is_exact(&self) -> bool {
        self.exact
    }

    /// Turns towers into offers.
    pub(super) fn note(&self, notes: &mut Notes<'_>) {
        for (tower, annotation) in &self.entries {
            offer(tower, *annotation, notes);
        }
        if let Some(code) = self.status.filter(|&code| code != 0) {
            notes.text(EPT_STATUS, &status::text(code));
        }
    }
}

/// The entries of `ept_lookup` (`ept_entry_t`): one annotation for each entry that has a tower.
fn annotations<'a>(ndr: &mut Ndr<'a>, count: u64) -> Result<Vec<Option<&'a [u8]>>, Reject> {
    // Object, pointer, offset and length of the annotation.
    if !ndr.fits(count, 28) {
        return Err(Reject::Invalid("array of entries"));
    }
    let mut annotations = Vec::new();
    for _ in 0..count {
        ndr.cursor.align(if ndr.encoding.wide { 8 } else { 4 });
        ndr.cursor.skip(16)?;
        let tower = ndr.count()?;
        let offset = ndr.count()?;
        let length = ndr.count()?;
        if offset != 0 || length > MAX_ANNOTATION {
            return Err(Reject::Invalid("annotation"));
        }
        let length = usize::try_from(length).unwrap_or_default();
        let text = ndr.cursor.take(length)?;
        let text = text.split(|&byte| byte == 0).next().unwrap_or_default();
        if tower != 0 {
            annotations.push(Some(text).filter(|text| !text.is_empty()));
        }
    }
    Ok(annotations)
}

/// Notes the interface that a client asks for.
pub(super) fn note_wanted(interface: Syntax, notes: &mut Notes<'_>) {
    notes.value(EPT_WANTED, interface.value());
}

fn offer(tower: &Tower<'_>, annotation: Option<&[u8]>, notes: &mut Notes<'_>) {
    let Some(endpoint) = tower.endpoint else {
        return;
    };
    let (transport, protocol_sequence, port) = match endpoint {
        TowerEndpoint::Tcp(port) => (Transport::TCP, "ncacn_ip_tcp", port),
        TowerEndpoint::Udp(port) => (Transport::UDP, "ncadg_ip_udp", port),
        TowerEndpoint::Http(port) => (Transport::TCP, "ncacn_http", port),
        TowerEndpoint::Pipe(name) => {
            notes.bytes(PIPE, name);
            return;
        }
    };
    if port == 0 || tower.interface.is_transfer() {
        return;
    }
    let annotation: Option<Box<str>> = annotation.and_then(|text| {
        let value = crate::evidence::Value::text(&String::from_utf8_lossy(text));
        value.as_text().map(Box::from)
    });
    let mapper = notes.sender().address;
    let named = tower.address.map(IpAddr::V4);
    let stated = named.filter(|address| !address.is_unspecified());
    let Syntax { uuid, major, minor } = tower.interface;
    let mut put = |address: IpAddr| {
        let offered = Offered::Rpc {
            uuid,
            major,
            minor,
            protocol_sequence,
            annotation: annotation.clone(),
            tower_address: named.filter(|&named| named != address),
        };
        notes.offer(transport, Endpoint::new(address, port), offered);
    };
    // A server behind NAT or with several cards may name an address that its clients cannot use.
    put(mapper);
    if let Some(address) = stated.filter(|&address| address != mapper) {
        put(address);
    }
}
