//! DCOM (MS-DCOM): which ports an object exporter is reached at, as the OXID resolver and the activators answer.
//!
//! Reads the answers of `IObjectExporter`, `IActivation` and `IRemoteSCMActivator`, no further than the string
//! bindings of the exporter. A binding names a port with `IRemUnknown` and whatever objects live there: no interface.

use std::net::IpAddr;

use uuid::{Uuid, uuid};

use super::super::Reject;
use super::ndr::{Encoding, Ndr};
use super::pdu::Order;
use super::{BINDING, DCOM_CALL};
use crate::bytes::Cursor;
use crate::evidence::{Notes, Offered};
use crate::net::{Endpoint, Transport};

/// `IObjectExporter`, the OXID resolver (MS-DCOM 1.9).
const RESOLVER: Uuid = uuid!("99fcfec4-5260-101b-bbcb-00aa0021347a");
/// `IActivation`.
const ACTIVATION: Uuid = uuid!("4d9f4ab8-7d1c-11cf-861e-0020af6e7c57");
/// `IRemoteSCMActivator`.
const ACTIVATOR: Uuid = uuid!("000001a0-0000-0000-c000-000000000046");
/// Identifies the property of an activation's answer that holds the bindings (MS-DCOM 2.2.22.2.8).
const SCM_REPLY: Uuid = uuid!("000001b6-0000-0000-c000-000000000046");

/// Properties of one activation: eight are documented.
const MAX_PROPERTIES: u32 = 64;
/// Bindings that one answer may name: one for each protocol sequence and address of a server.
const MAX_BINDINGS: usize = 256;
/// Characters of a host's name in a binding, port included: a DNS name has 253.
const MAX_ADDRESS: usize = 264;

/// Operations whose answers hold bindings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    ResolveOxid,
    ResolveOxid2,
    ServerAlive2,
    RemoteActivation,
    RemoteGetClassObject,
    RemoteCreateInstance,
}

impl Operation {
    pub(super) fn of(interface: Uuid, opnum: u16) -> Option<Self> {
        Some(match (interface, opnum) {
            (RESOLVER, 0) => Self::ResolveOxid,
            (RESOLVER, 4) => Self::ResolveOxid2,
            (RESOLVER, 5) => Self::ServerAlive2,
            (ACTIVATION, 0) => Self::RemoteActivation,
            (ACTIVATOR, 3) => Self::RemoteGetClassObject,
            (ACTIVATOR, 4) => Self::RemoteCreateInstance,
            _ => return None,
        })
    }

    const fn name(self) -> &'static str {
        match self {
            Self::ResolveOxid => "ResolveOxid",
            Self::ResolveOxid2 => "ResolveOxid2",
            Self::ServerAlive2 => "ServerAlive2",
            Self::RemoteActivation => "RemoteActivation",
            Self::RemoteGetClassObject => "RemoteGetClassObject",
            Self::RemoteCreateInstance => "RemoteCreateInstance",
        }
    }
}

/// A string binding (MS-DCOM 2.2.19.3): how, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Binding {
    tower: u16,
    /// The host as it is named: an address, or a name.
    host: String,
    port: Option<u16>,
}

impl Binding {
    /// The protocol sequence of a tower identifier (MS-DCOM 2.2.19.3), and its transport.
    const fn sequence(&self) -> Option<(&'static str, Transport)> {
        Some(match self.tower {
            0x07 => ("ncacn_ip_tcp", Transport::TCP),
            0x08 => ("ncadg_ip_udp", Transport::UDP),
            0x1f => ("ncacn_http", Transport::TCP),
            _ => return None,
        })
    }

    /// `host[port]`: what stands in the last brackets is the port.
    fn parse(tower: u16, text: &str) -> Self {
        let port = text
            .strip_suffix(']')
            .and_then(|text| text.rsplit_once('['))
            .and_then(|(host, port)| Some((host, port.parse().ok()?)));
        let (host, port) = match port {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        };
        Self {
            tower,
            host: host.to_owned(),
            port: port.filter(|&port| port != 0),
        }
    }
}

/// Notes the answer of `operation`: every binding with a port becomes an offer. An answer that cannot be read says nothing.
pub(super) fn note(stub: &[u8], operation: Operation, encoding: Encoding, notes: &mut Notes<'_>) {
    let Ok(bindings) = read(stub, operation, encoding) else {
        return;
    };
    notes.text(DCOM_CALL, operation.name());
    // A server names itself by name and by address: one of them tells of each port.
    let mut told = Vec::new();
    for binding in bindings {
        let place = (binding.tower, binding.port);
        offer(&binding, !told.contains(&place), operation, notes);
        told.push(place);
    }
}

/// The bindings in an answer; none where the call failed.
fn read(stub: &[u8], operation: Operation, encoding: Encoding) -> Result<Vec<Binding>, Reject> {
    let mut ndr = Ndr::new(stub, encoding);
    match operation {
        Operation::ResolveOxid | Operation::ResolveOxid2 => pointed(&mut ndr),
        // The version of COM comes first.
        Operation::ServerAlive2 => {
            ndr.cursor.skip(4)?;
            pointed(&mut ndr)
        }
        Operation::RemoteActivation => {
            orpc_that(&mut ndr)?;
            ndr.cursor.align(8);
            ndr.cursor.skip(8)?;
            pointed(&mut ndr)
        }
        Operation::RemoteGetClassObject | Operation::RemoteCreateInstance => {
            orpc_that(&mut ndr)?;
            activated(&mut ndr)
        }
    }
}

/// ORPCTHAT (MS-DCOM 2.2.13.4): flags, and extensions, which servers do not send here.
fn orpc_that(ndr: &mut Ndr<'_>) -> Result<(), Reject> {
    ndr.long()?;
    match ndr.count()? {
        0 => Ok(()),
        _ => Err(Reject::Invalid("extensions of ORPCTHAT")),
    }
}

/// A pointer to a DUALSTRINGARRAY and what it points to; null where the call failed.
fn pointed(ndr: &mut Ndr<'_>) -> Result<Vec<Binding>, Reject> {
    match ndr.count()? {
        0 => Ok(Vec::new()),
        _ => bindings(ndr),
    }
}

/// A DUALSTRINGARRAY (MS-DCOM 2.2.19): string bindings, an empty one, security bindings, an empty one, in units of two
/// bytes.
fn bindings(ndr: &mut Ndr<'_>) -> Result<Vec<Binding>, Reject> {
    let conformance = ndr.count()?;
    let units = ndr.short()?;
    let security = ndr.short()?;
    if conformance != u64::from(units) || security > units {
        return Err(Reject::Invalid("string bindings"));
    }
    let whole = ndr.cursor.take(usize::from(units).saturating_mul(2))?;
    let strings = whole.get(..usize::from(security).saturating_mul(2));
    let mut strings = Cursor::new(strings.unwrap_or_default());
    let order = ndr.encoding.order;
    let mut found = Vec::new();
    while found.len() < MAX_BINDINGS && !strings.is_empty() {
        let tower = order.u16(&mut strings)?;
        if tower == 0 {
            break;
        }
        let mut text = Vec::new();
        loop {
            match order.u16(&mut strings)? {
                0 => break,
                unit if text.len() < MAX_ADDRESS => text.push(unit),
                _ => return Err(Reject::Invalid("length of a string binding")),
            }
        }
        found.push(Binding::parse(tower, &String::from_utf16_lossy(&text)));
    }
    Ok(found)
}

/// The bindings in the properties of an activation (MS-DCOM 2.2.22): an object reference that wraps them, a header that
/// lists them with their sizes, and the one that the resolver filled in.
fn activated(ndr: &mut Ndr<'_>) -> Result<Vec<Binding>, Reject> {
    const SIGNATURE: u32 = 0x574f_454d;
    const CUSTOM: u32 = 4;
    if ndr.count()? == 0 {
        return Ok(Vec::new());
    }
    let conformance = ndr.count()?;
    let length = ndr.long()?;
    if u64::from(length) != conformance {
        return Err(Reject::Invalid("interface pointer"));
    }
    let length = usize::try_from(length).map_err(|_| Reject::Invalid("interface pointer"))?;
    // Object references are little-endian, whatever the call says.
    let mut object = ndr.cursor.sub(length)?;
    if object.u32_le()? != SIGNATURE || object.u32_le()? != CUSTOM {
        return Err(Reject::Invalid("object reference"));
    }
    // Interface, class, size of extensions, reserved; size of the properties, reserved.
    object.skip(40 + 8)?;
    properties(object.rest())
}

fn properties(blob: &[u8]) -> Result<Vec<Binding>, Reject> {
    let order = Order::Little;
    // Serialized types open with a common and a private header (MS-RPCE 2.2.6).
    const SERIALIZED: usize = 16;
    let mut cursor = Cursor::new(blob);
    cursor.skip(SERIALIZED)?;
    let _total = cursor.u32_le()?;
    let mut offset = usize::try_from(cursor.u32_le()?).unwrap_or(usize::MAX);
    // Reserved, destination context.
    cursor.skip(8)?;
    let count = cursor.u32_le()?;
    // Class information, three pointers.
    cursor.skip(16 + 12)?;
    if count > MAX_PROPERTIES || cursor.u32_le()? != count {
        return Err(Reject::Invalid("activation properties"));
    }
    let classes = (0..count)
        .map(|_| order.uuid(&mut cursor))
        .collect::<Result<Vec<_>, _>>()?;
    if cursor.u32_le()? != count {
        return Err(Reject::Invalid("activation properties"));
    }
    for class in classes {
        let size = usize::try_from(cursor.u32_le()?).unwrap_or(usize::MAX);
        let end = offset.saturating_add(size);
        if class == SCM_REPLY {
            let property = blob.get(offset..end).unwrap_or_default();
            return reply(property.get(SERIALIZED..).unwrap_or_default());
        }
        offset = end;
    }
    Ok(Vec::new())
}

/// ScmReplyInfoData (MS-DCOM 2.2.22.2.8): a reserved pointer, and one to the resolver's answer: OXID, bindings, IPID,
/// hint, version.
fn reply(property: &[u8]) -> Result<Vec<Binding>, Reject> {
    let encoding = Encoding {
        order: Order::Little,
        wide: false,
    };
    let mut ndr = Ndr::new(property, encoding);
    let reserved = ndr.count()?;
    if ndr.count()? == 0 {
        return Ok(Vec::new());
    }
    if reserved != 0 {
        ndr.long()?;
    }
    ndr.cursor.align(8);
    ndr.cursor.skip(8)?;
    let pointer = ndr.count()?;
    ndr.cursor.skip(16 + 8)?;
    match pointer {
        0 => Ok(Vec::new()),
        _ => bindings(&mut ndr),
    }
}

fn offer(binding: &Binding, is_new: bool, operation: Operation, notes: &mut Notes<'_>) {
    let Some((protocol_sequence, transport)) = binding.sequence() else {
        return;
    };
    let Some(port) = binding.port else {
        notes.text(BINDING, &format!("{protocol_sequence}:{}", binding.host));
        return;
    };
    let resolver = notes.sender().address;
    let literal = binding.host.trim_matches(['[', ']']).parse::<IpAddr>().ok();
    let mut put = |address: IpAddr| {
        let offered = Offered::Dcom {
            protocol_sequence,
            host: binding.host.as_str().into(),
            operation: operation.name(),
        };
        notes.offer(transport, Endpoint::new(address, port), offered);
    };
    // The resolver answers for exporters of its own machine, whatever card or name a binding gives.
    if is_new {
        put(resolver);
    }
    if let Some(address) =
        literal.filter(|&address| address != resolver && !address.is_unspecified())
    {
        put(address);
    }
}
