//! What a signature file holds, table by table: as it is written, and what is made of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Deserialize;
use toml::Spanned;
use uuid::Uuid;

use super::CHECKS;
use super::catalog::{Condition, Interface, InterfaceKind, Service, Test};
use super::row::{
    Direction, Dynamic, Encryption, Kind, Polarity, Ports, Product, Role, Row, RowId, RowPort,
    RowTransport, ServiceId,
};
use super::vocabulary::UnknownWord;

/// A whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    document: Option<Arc<str>>,
    table: Option<Arc<str>>,
    products: Option<Vec<Product>>,
    #[serde(default)]
    pub(super) replace: bool,
    #[serde(default)]
    pub(super) row: Vec<Spanned<RowEntry>>,
    #[serde(default)]
    pub(super) service: Vec<Spanned<ServiceEntry>>,
    #[serde(default)]
    pub(super) interface: Vec<Spanned<InterfaceEntry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RowEntry {
    id: Arc<str>,
    table: Option<Arc<str>>,
    products: Option<Vec<Product>>,
    kind: Kind,
    title: Arc<str>,
    from_roles: Vec<Role>,
    to_roles: Vec<Role>,
    direction: Direction,
    ports: Vec<PortEntry>,
    #[serde(default)]
    auth_default: Vec<Arc<str>>,
    #[serde(default)]
    auth_supported: Vec<Arc<str>>,
    #[serde(default)]
    encryption: Encryption,
    configurable: Option<Arc<str>>,
    condition: Option<Arc<str>>,
    polarity: Option<Polarity>,
    program: Option<Arc<str>>,
    rule: Option<Arc<str>>,
    quote: Option<Arc<str>>,
    services: Vec<ServiceId>,
    check: Option<Arc<str>>,
    unchecked: Option<Arc<str>>,
    #[serde(default)]
    inferred: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PortEntry {
    transport: RowTransport,
    port: Option<i64>,
    range: Option<[i64; 2]>,
    dynamic: Option<Dynamic>,
    protocol: Option<Arc<str>>,
    secured: Option<bool>,
    #[serde(default)]
    reversed: bool,
    #[serde(default)]
    services: Vec<ServiceId>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ServiceEntry {
    id: ServiceId,
    name: Arc<str>,
    protocols: Vec<Arc<str>>,
    #[serde(default)]
    generic: bool,
    part_of: Option<ServiceId>,
    #[serde(default)]
    proof: Vec<ConditionEntry>,
    #[serde(default)]
    indicates: Vec<ConditionEntry>,
    source: Arc<str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConditionEntry {
    protocol: Arc<str>,
    interface: Option<Uuid>,
    attribute: Option<Arc<str>>,
    #[serde(default)]
    equals: Texts,
    #[serde(default)]
    prefix: Texts,
    #[serde(default)]
    contains: Texts,
    #[serde(default)]
    suffix: Texts,
    #[serde(default)]
    with: Vec<ConditionEntry>,
}

/// One text, or several of which any will do.
#[derive(Default, Deserialize)]
#[serde(untagged, expecting = "a text or a list of texts")]
enum Texts {
    #[default]
    None,
    One(Arc<str>),
    Several(Vec<Arc<str>>),
}

impl Texts {
    /// In lower case. An empty text, or no text at all, would pass every value.
    fn read(self) -> Result<Vec<Arc<str>>, String> {
        let texts = match self {
            Self::None => return Ok(Vec::new()),
            Self::One(text) => vec![text],
            Self::Several(texts) => texts,
        };
        if texts.is_empty() || texts.iter().any(|text| text.is_empty()) {
            return Err(
                "expected a text or a list of texts in a test, found an empty one".to_owned(),
            );
        }
        let lower = |text: &Arc<str>| Arc::from(text.to_lowercase());
        Ok(texts.iter().map(lower).collect())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InterfaceEntry {
    uuid: Uuid,
    versions: Vec<Arc<str>>,
    name: Arc<str>,
    service: Option<ServiceId>,
    #[serde(rename = "sure")]
    _sure: Option<Arc<str>>,
    kind: InterfaceKind,
    #[serde(rename = "note")]
    _note: Option<Arc<str>>,
    #[serde(default)]
    operations: Vec<Arc<str>>,
}

/// What a file says once for all of its rows.
pub(super) struct Defaults {
    document: Option<Arc<str>>,
    table: Option<Arc<str>>,
    products: Option<Vec<Product>>,
}

impl File {
    /// Takes out what it says for all of its rows.
    pub(super) fn defaults(&mut self) -> Defaults {
        Defaults {
            document: self.document.take(),
            table: self.table.take(),
            products: self.products.take(),
        }
    }
}

/// A table of a file, of which there may be many.
pub(super) trait Entry {
    /// What is made of it.
    type Value;
    /// What it is called.
    const WORD: &str;

    /// What tells it from others of its kind, for messages.
    fn id(&self) -> String;

    /// What it says.
    ///
    /// # Errors
    /// What was expected and what was found.
    fn read(self, defaults: &Defaults) -> Result<Self::Value, String>;

    /// Whether two of them speak of the same, so that only one may stand.
    fn is_same(one: &Self::Value, other: &Self::Value) -> bool;
}

impl Entry for RowEntry {
    type Value = Row;
    const WORD: &str = "row";

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn read(self, defaults: &Defaults) -> Result<Row, String> {
        row(self, defaults)
    }

    fn is_same(one: &Row, other: &Row) -> bool {
        one.id == other.id
    }
}

impl Entry for ServiceEntry {
    type Value = Service;
    const WORD: &str = "service";

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn read(self, _: &Defaults) -> Result<Service, String> {
        service(self)
    }

    fn is_same(one: &Service, other: &Service) -> bool {
        one.id == other.id
    }
}

impl Entry for InterfaceEntry {
    type Value = Interface;
    const WORD: &str = "interface";

    fn id(&self) -> String {
        self.uuid.to_string()
    }

    fn read(self, _: &Defaults) -> Result<Interface, String> {
        interface(self)
    }

    fn is_same(one: &Interface, other: &Interface) -> bool {
        let is_shared = |version| other.versions.contains(version);
        one.uuid == other.uuid
            && (one.versions == other.versions || one.versions.iter().any(is_shared))
    }
}

fn row(mut entry: RowEntry, defaults: &Defaults) -> Result<Row, String> {
    let is_plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-');
    if entry.id.is_empty() || !entry.id.bytes().all(is_plain) {
        return Err(format!(
            "expected an id of a-z, 0-9, `.` and `-`, found `{}`",
            entry.id
        ));
    }
    let document = defaults
        .document
        .clone()
        .ok_or("expected `document` at the head of the file, found none")?;
    let table = entry
        .table
        .take()
        .or_else(|| defaults.table.clone())
        .ok_or("expected `table`, found none")?;
    let products = entry
        .products
        .take()
        .or_else(|| defaults.products.clone())
        .filter(|products| !products.is_empty())
        .ok_or("expected `products`, found none")?;
    let ports = std::mem::take(&mut entry.ports)
        .into_iter()
        .map(port)
        .collect::<Result<Vec<_>, _>>()?;
    if entry.kind == Kind::DataPath && ports.is_empty() {
        return Err("expected at least one port in a data path, found none".to_owned());
    }
    if let Some(check) = entry
        .check
        .as_deref()
        .filter(|check| !CHECKS.contains(check))
    {
        return Err(UnknownWord::new("check", check, CHECKS.iter().copied()).to_string());
    }
    match (entry.kind, &entry.check, &entry.unchecked) {
        (_, Some(_), Some(_)) => {
            return Err("expected `check` or `unchecked`, found both".to_owned());
        }
        (Kind::Rule, None, None) => {
            return Err("expected `check` or `unchecked` in a rule, found neither".to_owned());
        }
        _ => {}
    }
    if entry.kind == Kind::Rule && entry.rule.is_none() {
        return Err("expected `rule` in words, found none".to_owned());
    }
    if entry.kind == Kind::Rule && entry.polarity.is_none() {
        return Err("expected `polarity` in a rule, found none".to_owned());
    }
    let stranger = ports
        .iter()
        .flat_map(|port| &port.services)
        .find(|service| !entry.services.contains(service));
    if let Some(service) = stranger {
        return Err(format!(
            "expected a service of the row at its port, found `{service}`"
        ));
    }
    let checks: Vec<Arc<str>> = match (&entry.check, entry.kind) {
        (Some(check), _) => vec![Arc::clone(check)],
        (None, Kind::DataPath | Kind::ListeningPort) => by_columns(&entry, &ports, &products)
            .into_iter()
            .map(Arc::from)
            .collect(),
        (None, Kind::Rule | Kind::FirewallRule) => Vec::new(),
    };
    let check_reason = match (&entry.check, entry.unchecked, entry.kind) {
        (Some(_), _, _) => None,
        (None, Some(reason), _) => Some(reason),
        (None, None, Kind::FirewallRule) => Some(Arc::from(
            "shows that a port is admitted, never that a flow is expected or forbidden",
        )),
        (None, None, _) => Some(Arc::from(format!(
            "flows are matched with it; its columns are applied by {}",
            checks.join(", ")
        ))),
    };
    let product: Vec<&str> = products.iter().map(|product| product.word()).collect();
    Ok(Row {
        id: RowId(entry.id),
        document,
        table,
        product: product.join("+").into(),
        products,
        kind: entry.kind,
        title: entry.title,
        from_roles: entry.from_roles,
        to_roles: entry.to_roles,
        direction: entry.direction,
        ports,
        auth_default: entry.auth_default,
        auth_supported: entry.auth_supported,
        encryption: entry.encryption,
        configurable: entry.configurable,
        condition: entry.condition,
        polarity: entry.polarity,
        program: entry.program,
        rule: entry.rule,
        check: entry.check,
        check_reason,
        checks,
        quote: entry.quote,
        services: entry.services,
        inferred: entry.inferred,
    })
}

/// The checks that apply the columns of a path.
fn by_columns(entry: &RowEntry, ports: &[RowPort], products: &[Product]) -> Vec<&'static str> {
    let has_dynamic = |wanted: Dynamic| {
        let is_wanted =
            |port: &RowPort| matches!(port.ports, Ports::Dynamic(kind) if kind == wanted);
        ports.iter().any(is_wanted)
    };
    let serves = |id: &str| entry.services.iter().any(|service| service.as_str() == id);
    let listed: Vec<&str> = entry
        .auth_default
        .iter()
        .chain(&entry.auth_supported)
        .map(|word| &**word)
        .collect();
    let is_mutual = |word: &&str| matches!(*word, "mutual_tls" | "direct_trust");
    let is_internal = |roles: &[Role]| {
        roles.iter().any(|role| {
            (role.is_exchange() && *role != Role::EdgeTransport)
                || role.is_lync()
                || *role == Role::DomainController
        })
    };
    let is_inside = is_internal(&entry.from_roles) && is_internal(&entry.to_roles);
    let has_roles = !entry.from_roles.is_empty() || !entry.to_roles.is_empty();
    let is_encrypted = entry.encryption.default == Some(true);
    let rpc = has_dynamic(Dynamic::Rpc);
    let checks = [
        ("EXW101", true),
        ("EXW103", !ports.is_empty()),
        ("EXW104", has_roles),
        (
            "EXW105",
            entry.direction == Direction::FromOpens && has_roles,
        ),
        ("EXW106", rpc),
        ("EXW110", !products.is_empty()),
        ("EXW201", is_encrypted),
        ("EXW203", !listed.is_empty()),
        ("EXW204", is_encrypted && rpc),
        ("EXW205", serves("ad_lds")),
        ("EXW206", !listed.is_empty() && listed.iter().all(is_mutual)),
        ("EXW301", serves("media")),
        ("EXW303", serves("media")),
        ("EXW401", true),
        ("EXW402", true),
        ("EXW403", true),
        ("EXW404", rpc),
        ("EXW405", is_inside),
        ("EXW901", serves("cluster_heartbeat")),
        ("EXW902", serves("cluster_heartbeat")),
        ("EXW903", serves("log_shipping")),
        ("EXW904", entry.to_roles.contains(&Role::DomainController)),
        ("EXW905", serves("edgesync")),
    ];
    let applied = checks.into_iter().filter(|(_, applies)| *applies);
    applied.map(|(check, _)| check).collect()
}

fn port(entry: PortEntry) -> Result<RowPort, String> {
    let number = |value: i64| match u16::try_from(value) {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(format!("expected a port from 1 to 65535, found {value}")),
    };
    let ports = match (entry.port, entry.range, entry.dynamic) {
        (Some(port), None, None) => Ports::Single(number(port)?),
        (None, Some([first, last]), None) => {
            let (first, last) = (number(first)?, number(last)?);
            if first >= last {
                return Err(format!(
                    "expected a range from a lower to a higher port, found {first} to {last}"
                ));
            }
            Ports::Range(first, last)
        }
        (None, None, Some(dynamic)) => Ports::Dynamic(dynamic),
        _ => return Err("expected exactly one of `port`, `range` and `dynamic`".to_owned()),
    };
    Ok(RowPort {
        transport: entry.transport,
        ports,
        protocol: entry.protocol,
        secured: entry.secured,
        reversed: entry.reversed,
        services: entry.services,
    })
}

fn service(entry: ServiceEntry) -> Result<Service, String> {
    let conditions = |entries: Vec<ConditionEntry>| {
        entries
            .into_iter()
            .map(condition)
            .collect::<Result<Vec<_>, _>>()
    };
    Ok(Service {
        id: entry.id,
        name: entry.name,
        protocols: entry.protocols,
        generic: entry.generic,
        part_of: entry.part_of,
        proof: conditions(entry.proof)?,
        indicates: conditions(entry.indicates)?,
        source: entry.source,
    })
}

fn condition(entry: ConditionEntry) -> Result<Condition, String> {
    let test = Test {
        equals: entry.equals.read()?,
        prefix: entry.prefix.read()?,
        contains: entry.contains.read()?,
        suffix: entry.suffix.read()?,
    };
    let test = (test != Test::default()).then_some(test);
    if test.is_some() && entry.attribute.is_none() {
        return Err("expected `attribute` beside a test, found none".to_owned());
    }
    let with = entry.with.into_iter().map(|further| {
        if further.with.is_empty() {
            condition(further)
        } else {
            Err("expected `with` once in a condition, found one inside another".to_owned())
        }
    });
    Ok(Condition {
        protocol: entry.protocol,
        interface: entry.interface,
        attribute: entry.attribute,
        test,
        with: with.collect::<Result<Vec<_>, _>>()?,
    })
}

fn interface(entry: InterfaceEntry) -> Result<Interface, String> {
    let version = |text: &Arc<str>| {
        text.split_once('.')
            .and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)))
            .ok_or_else(|| format!("expected a version such as `1.0`, found `{text}`"))
    };
    let versions = entry
        .versions
        .iter()
        .map(version)
        .collect::<Result<Vec<(u16, u16)>, _>>()?;
    check_operations(&entry.operations)?;
    Ok(Interface {
        uuid: entry.uuid,
        versions,
        name: entry.name,
        service: entry.service,
        kind: entry.kind,
        operations: entry.operations,
    })
}

/// Names of operations are identifiers, each once; a number without a name is empty, but the last one has one.
fn check_operations(names: &[Arc<str>]) -> Result<(), String> {
    let most = Interface::MAX_OPERATIONS;
    if names.len() > most {
        return Err(format!(
            "expected at most {most} operations, found {}",
            names.len()
        ));
    }
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if let Some(odd) = names.iter().find(|name| !name.bytes().all(is_plain)) {
        return Err(format!(
            "expected the name of an operation in letters, digits and `_`, found `{odd}`"
        ));
    }
    let mut seen = BTreeSet::new();
    if let Some(twice) = names
        .iter()
        .find(|name| !name.is_empty() && !seen.insert(*name))
    {
        return Err(format!(
            "expected each operation once, found `{twice}` twice"
        ));
    }
    if names.last().is_some_and(|name| name.is_empty()) {
        return Err("expected a name for the last operation, found none".to_owned());
    }
    Ok(())
}
