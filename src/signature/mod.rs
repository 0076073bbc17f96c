//! The documented matrix and the catalog of services, read from `signatures/`.
//!
//! Data, strictly loaded: an unknown word, a duplicate or an impossible port stops the run before the first packet, with
//! file and line. Compiled in, replaceable and extendable at run time. Nothing here looks at a packet or a flow.

mod catalog;
mod entry;
mod error;
mod load;
mod overrides;
mod row;
mod search;
pub(crate) mod vocabulary;

pub use catalog::{Catalog, Condition, Interface, InterfaceKind, Interfaces, Service, Test};
pub use error::SignatureError;
pub use overrides::PortOverride;
pub use row::{
    Direction, Dynamic, Encryption, Kind, Polarity, Ports, Product, Role, Row, RowId, RowPort,
    RowTransport, ServiceId,
};
pub use search::Query;
pub use vocabulary::UnknownWord;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use foldhash::fast::RandomState;

use crate::net::Transport;

/// Documents in the order of the matrix.
pub const DOCUMENTS: &[&str] = &["um2013", "ref2010", "blog", "legacy", "mail2013"];

/// Codes of the audit checks that rows may name.
pub const CHECKS: &[&str] = &[
    "EXW101", "EXW102", "EXW103", "EXW104", "EXW105", "EXW106", "EXW107", "EXW108", "EXW109",
    "EXW110", "EXW201", "EXW202", "EXW203", "EXW204", "EXW205", "EXW206", "EXW207", "EXW301",
    "EXW302", "EXW303", "EXW304", "EXW305", "EXW306", "EXW307", "EXW308", "EXW309", "EXW310",
    "EXW311", "EXW312", "EXW313", "EXW314", "EXW315", "EXW401", "EXW402", "EXW403", "EXW404",
    "EXW405", "EXW406", "EXW407", "EXW408", "EXW410", "EXW411", "EXW412", "EXW413", "EXW414",
    "EXW415", "EXW416", "EXW501", "EXW502", "EXW503", "EXW504", "EXW505", "EXW506", "EXW507",
    "EXW508", "EXW509", "EXW601", "EXW602", "EXW603", "EXW604", "EXW605", "EXW606", "EXW607",
    "EXW608", "EXW701", "EXW702", "EXW703", "EXW704", "EXW705", "EXW706", "EXW801", "EXW802",
    "EXW803", "EXW804", "EXW805", "EXW901", "EXW902", "EXW903", "EXW904", "EXW905", "EXW990",
];

/// The signature files that are compiled in.
const BUILTIN: &[(&str, &str)] = &[
    (
        "signatures/matrix/um2013.toml",
        include_str!("../../signatures/matrix/um2013.toml"),
    ),
    (
        "signatures/matrix/ref2010-transport.toml",
        include_str!("../../signatures/matrix/ref2010-transport.toml"),
    ),
    (
        "signatures/matrix/ref2010-mailbox.toml",
        include_str!("../../signatures/matrix/ref2010-mailbox.toml"),
    ),
    (
        "signatures/matrix/ref2010-client-access.toml",
        include_str!("../../signatures/matrix/ref2010-client-access.toml"),
    ),
    (
        "signatures/matrix/ref2010-unified-messaging.toml",
        include_str!("../../signatures/matrix/ref2010-unified-messaging.toml"),
    ),
    (
        "signatures/matrix/ref2010-firewall.toml",
        include_str!("../../signatures/matrix/ref2010-firewall.toml"),
    ),
    (
        "signatures/matrix/ref2010-rules.toml",
        include_str!("../../signatures/matrix/ref2010-rules.toml"),
    ),
    (
        "signatures/matrix/blog.toml",
        include_str!("../../signatures/matrix/blog.toml"),
    ),
    (
        "signatures/matrix/legacy.toml",
        include_str!("../../signatures/matrix/legacy.toml"),
    ),
    (
        "signatures/matrix/mail2013.toml",
        include_str!("../../signatures/matrix/mail2013.toml"),
    ),
    (
        "signatures/services.toml",
        include_str!("../../signatures/services.toml"),
    ),
    (
        "signatures/rpc-interfaces.toml",
        include_str!("../../signatures/rpc-interfaces.toml"),
    ),
];

/// The protocols and attributes that decoders register: what conditions may name.
#[derive(Clone, Copy, Debug)]
pub struct Vocabulary<'a> {
    /// Protocols with their attributes.
    pub protocols: &'a [(&'a str, &'a [&'a str])],
}

impl Vocabulary<'_> {
    fn check(&self, service: &Service) -> Result<(), String> {
        let names = || self.protocols.iter().map(|(name, _)| *name);
        let conditions = service.proof.iter().chain(&service.indicates);
        for condition in conditions.flat_map(Condition::all) {
            let wanted: &str = &condition.protocol;
            let Some((_, attributes)) = self.protocols.iter().find(|(name, _)| *name == wanted)
            else {
                return Err(UnknownWord::new("protocol", wanted, names()).to_string());
            };
            if let Some(attribute) = condition.attribute.as_deref()
                && !attributes.contains(&attribute)
            {
                let known = attributes.iter().copied();
                let unknown = UnknownWord::new("attribute", attribute, known);
                return Err(format!("protocol `{wanted}`: {unknown}"));
            }
        }
        Ok(())
    }
}

/// What the user changes at run time.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// Folders of further signature files.
    pub directories: Vec<PathBuf>,
    /// Changed ports.
    pub ports: Vec<PortOverride>,
}

/// Everything that the signature files say.
#[derive(Clone, Debug, Default)]
pub struct Signatures {
    /// Services.
    pub catalog: Catalog,
    /// Rows.
    pub matrix: Matrix,
    /// RPC interfaces.
    pub interfaces: Interfaces,
}

impl Signatures {
    /// The compiled-in files, with the user's changes on top.
    ///
    /// # Errors
    /// The first thing that is wrong, with file and line.
    pub fn load(overrides: &Overrides, known: &Vocabulary<'_>) -> Result<Self, SignatureError> {
        let mut loader = load::Loader::default();
        for (name, text) in BUILTIN {
            loader.text(name, text)?;
        }
        for folder in &overrides.directories {
            loader.folder(folder)?;
        }
        let (mut rows, services, interfaces) = loader.finish(known)?;
        for change in &overrides.ports {
            change.apply(&mut rows, &services)?;
        }
        let mut by_uuid: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for interface in interfaces {
            by_uuid.entry(interface.uuid).or_default().push(interface);
        }
        Ok(Self {
            catalog: Catalog { services },
            matrix: Matrix::new(rows),
            interfaces: Interfaces { by_uuid },
        })
    }
}

/// The documented matrix: all rows, in order of document and id, and an index by port.
#[derive(Clone, Debug, Default)]
pub struct Matrix {
    rows: Vec<Row>,
    by_id: HashMap<RowId, usize, RandomState>,
    by_port: HashMap<(Transport, u16), Vec<u32>, RandomState>,
    by_service: HashMap<ServiceId, Vec<u32>, RandomState>,
}

impl Matrix {
    /// Ranges wider than this are not indexed port by port: they would make every high port documented.
    pub const WIDE_RANGE: u16 = 1_000;

    fn new(mut rows: Vec<Row>) -> Self {
        let place = |row: &Row| {
            let known = DOCUMENTS
                .iter()
                .position(|document| **document == *row.document);
            (known.unwrap_or(DOCUMENTS.len()), row.id.clone())
        };
        rows.sort_by_cached_key(place);
        let mut matrix = Self::default();
        for (index, row) in rows.iter().enumerate() {
            let short = u32::try_from(index).unwrap_or(u32::MAX);
            matrix.by_id.insert(row.id.clone(), index);
            for service in &row.services {
                matrix
                    .by_service
                    .entry(service.clone())
                    .or_default()
                    .push(short);
            }
            // A rule may be all that documents a path (AD LDS, MAPI to Client Access); a prohibition never does.
            if row.kind == Kind::Rule && row.polarity == Some(Polarity::MustNot) {
                continue;
            }
            for entry in row.ports.iter().filter(|entry| !entry.reversed) {
                let (first, last) = match entry.ports {
                    Ports::Single(port) => (port, port),
                    Ports::Range(first, last) if last.saturating_sub(first) <= Self::WIDE_RANGE => {
                        (first, last)
                    }
                    Ports::Range(..) | Ports::Dynamic(_) => continue,
                };
                for transport in [Transport::TCP, Transport::UDP] {
                    if entry.transport.admits(transport) {
                        for port in first..=last {
                            let list = matrix.by_port.entry((transport, port)).or_default();
                            if list.last() != Some(&short) {
                                list.push(short);
                            }
                        }
                    }
                }
            }
        }
        matrix.rows = rows;
        matrix
    }

    /// All rows, in order.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The row of that id.
    pub fn row(&self, id: &RowId) -> Option<&Row> {
        self.by_id.get(id).and_then(|&index| self.rows.get(index))
    }

    /// Rows other than prohibitions whose fixed ports (or ranges up to [`Self::WIDE_RANGE`]) hold the port, in order.
    pub fn by_port(&self, transport: Transport, port: u16) -> impl Iterator<Item = &Row> {
        self.pick(self.by_port.get(&(transport, port)))
    }

    /// Rows of a service, in order.
    pub fn by_service(&self, service: &ServiceId) -> impl Iterator<Item = &Row> {
        self.pick(self.by_service.get(service))
    }

    fn pick<'a>(&'a self, indexes: Option<&'a Vec<u32>>) -> impl Iterator<Item = &'a Row> {
        indexes
            .into_iter()
            .flatten()
            .filter_map(|&index| self.rows.get(index as usize))
    }
}

#[cfg(test)]
mod tests;
