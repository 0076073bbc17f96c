//! Services, what proves them, and RPC interfaces by name.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use uuid::Uuid;

use super::row::ServiceId;
use super::vocabulary::vocabulary;

/// A service that the documents name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Service {
    /// Stable id.
    pub id: ServiceId,
    /// Name for people.
    pub name: Arc<str>,
    /// Protocols that it is spoken in, outermost first; a flow that proves another one contradicts it.
    pub protocols: Vec<Arc<str>>,
    /// A generic service gives way to a more special one that is as strongly supported (`web` to `owa`).
    pub generic: bool,
    /// Where this service and the named one are as strongly supported, it is this one: it is a part of that.
    pub part_of: Option<ServiceId>,
    /// Conditions of which each alone proves the service.
    pub proof: Vec<Condition>,
    /// Conditions of which each alone indicates it.
    pub indicates: Vec<Condition>,
    /// Where the knowledge comes from.
    pub source: Arc<str>,
}

/// Something that facts of a flow can fulfil.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Condition {
    /// The flow proves this protocol.
    pub protocol: Arc<str>,
    /// An accepted bind of this RPC interface (any version).
    pub interface: Option<Uuid>,
    /// An attribute of the protocol ...
    pub attribute: Option<Arc<str>>,
    /// ... whose value passes this test.
    pub test: Option<Test>,
    /// Further conditions that the same flow must fulfil, all of them.
    pub with: Vec<Condition>,
}

impl Condition {
    /// This condition, and those that it comes with.
    pub fn all(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(&self.with)
    }
}

/// A test of an attribute's value: what is given holds, all of it. Letters of either case are equal; the texts are lower
/// case, so that a test costs no conversion of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Test {
    /// The value is one of these.
    pub equals: Vec<Arc<str>>,
    /// The value begins with one of these.
    pub prefix: Vec<Arc<str>>,
    /// The value contains one of these.
    pub contains: Vec<Arc<str>>,
    /// The value ends with one of these.
    pub suffix: Vec<Arc<str>>,
}

impl Test {
    /// Whether `value` passes.
    pub fn passes(&self, value: &str) -> bool {
        let is_lower = |byte: u8| byte.is_ascii() && !byte.is_ascii_uppercase();
        let value = if value.bytes().all(is_lower) {
            Cow::Borrowed(value)
        } else {
            Cow::Owned(value.to_lowercase())
        };
        let any = |texts: &[Arc<str>], holds: &dyn Fn(&str) -> bool| {
            texts.is_empty() || texts.iter().any(|text| holds(text))
        };
        any(&self.equals, &|text| *value == *text)
            && any(&self.prefix, &|text| value.starts_with(text))
            && any(&self.contains, &|text| value.contains(text))
            && any(&self.suffix, &|text| value.ends_with(text))
    }
}

/// All services, by id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalog {
    pub(super) services: BTreeMap<ServiceId, Service>,
}

impl Catalog {
    /// The service of that id.
    pub fn service(&self, id: &ServiceId) -> Option<&Service> {
        self.services.get(id)
    }

    /// All services, by id.
    pub fn services(&self) -> impl Iterator<Item = &Service> {
        self.services.values()
    }
}

vocabulary! {
    /// What an RPC interface is for.
    InterfaceKind, "kind of interface" {
        /// It serves something.
        Service = "service",
        /// It is a transfer syntax: never reported as an interface.
        TransferSyntax = "transfer_syntax",
        /// It manages RPC itself.
        Management = "management",
    }
}

/// An RPC interface by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Interface {
    /// The identifier.
    pub uuid: Uuid,
    /// Versions as (major, minor); empty where unknown.
    pub versions: Vec<(u16, u16)>,
    /// Its usual name.
    pub name: Arc<str>,
    /// The service that it belongs to.
    pub service: Option<ServiceId>,
    /// What it is for.
    pub kind: InterfaceKind,
    /// Names of its operations by number from 0; empty where a number has none.
    pub operations: Vec<Arc<str>>,
}

impl Interface {
    /// Numbers above this are no operations of a documented interface (clusapi, the largest, ends below 200).
    pub const MAX_OPERATIONS: usize = 512;

    /// The documented name of an operation.
    pub fn operation(&self, number: u16) -> Option<&str> {
        let name = self.operations.get(usize::from(number))?;
        Some(&**name).filter(|name| !name.is_empty())
    }
}

/// All known RPC interfaces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interfaces {
    pub(super) by_uuid: BTreeMap<Uuid, Vec<Interface>>,
}

impl Interfaces {
    /// The interface of that identifier and version, else of that identifier alone.
    pub fn find(&self, uuid: Uuid, major: u16, minor: u16) -> Option<&Interface> {
        let known = self.by_uuid.get(&uuid)?;
        known
            .iter()
            .find(|interface| interface.versions.contains(&(major, minor)))
            .or_else(|| {
                known
                    .iter()
                    .find(|interface| interface.versions.iter().any(|version| version.0 == major))
            })
            .or_else(|| known.first())
    }

    /// All interfaces, by identifier.
    pub fn iter(&self) -> impl Iterator<Item = &Interface> {
        self.by_uuid.values().flatten()
    }
}
