//! The strict loader: text to typed rows, with file and line for everything that is wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use toml::Spanned;
use uuid::Uuid;

use super::catalog::{Condition, Interface, InterfaceKind, Service, Test};
use super::error::SignatureError;
use super::row::{
    Direction, Dynamic, Encryption, Kind, Polarity, Ports, Product, Role, Row, RowId, RowPort,
    RowTransport, ServiceId,
};
use super::vocabulary::nearest;
use super::{CHECKS, Vocabulary};

/// Files in one folder: nobody writes more by hand, so more of them are the wrong folder.
const MAX_FILES: usize = 1000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    document: Option<Arc<str>>,
    table: Option<Arc<str>>,
    products: Option<Vec<Product>>,
    #[serde(default)]
    replace: bool,
    #[serde(default)]
    row: Vec<Spanned<RowEntry>>,
    #[serde(default)]
    service: Vec<Spanned<ServiceEntry>>,
    #[serde(default)]
    interface: Vec<Spanned<InterfaceEntry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RowEntry {
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
struct ServiceEntry {
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
struct InterfaceEntry {
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

/// A value, and where it was read.
struct Placed<T> {
    value: T,
    file: usize,
    line: usize,
}

/// What the files hold so far, before references between them are checked.
#[derive(Default)]
pub(super) struct Loader {
    files: Vec<String>,
    rows: Vec<Placed<Row>>,
    services: Vec<Placed<Service>>,
    interfaces: Vec<Placed<Interface>>,
}

impl Loader {
    /// Reads every `.toml` file of a folder, in order of names.
    pub(super) fn folder(&mut self, folder: &Path) -> Result<(), SignatureError> {
        let failed = |source| SignatureError::Read {
            path: folder.to_owned(),
            source,
        };
        let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
            .map_err(failed)?
            .collect::<Result<Vec<_>, _>>()
            .map_err(failed)?
            .into_iter()
            .map(|entry| entry.path())
            .filter(|path| {
                path.extension()
                    .is_some_and(|extension| extension == "toml")
            })
            .collect();
        files.sort();
        if files.is_empty() || files.len() > MAX_FILES {
            let message = format!(
                "expected 1 to {MAX_FILES} .toml files, found {}",
                files.len()
            );
            let source = std::io::Error::new(std::io::ErrorKind::NotFound, message);
            return Err(SignatureError::Read {
                path: folder.to_owned(),
                source,
            });
        }
        for path in files {
            let text = std::fs::read_to_string(&path).map_err(|source| SignatureError::Read {
                path: path.clone(),
                source,
            })?;
            self.text(&path.display().to_string(), &text)?;
        }
        Ok(())
    }

    /// Reads one file's text.
    pub(super) fn text(&mut self, name: &str, text: &str) -> Result<(), SignatureError> {
        let index = self.files.len();
        self.files.push(name.to_owned());
        let ends: Vec<usize> = text.match_indices('\n').map(|(at, _)| at).collect();
        let line_of = |offset: usize| ends.partition_point(|end| *end < offset).saturating_add(1);
        let wrong = |line: usize, row: Option<&str>, message: String| SignatureError::Wrong {
            file: name.to_owned(),
            line,
            row: row.map(str::to_owned),
            message,
        };
        let file: File = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| line_of(span.start));
            let message = error.message().trim().replace('\n', ", ");
            wrong(line, id_around(text, line), message)
        })?;
        let defaults = Defaults {
            document: file.document,
            table: file.table,
            products: file.products,
        };
        for entry in file.row {
            let line = line_of(entry.span().start);
            let entry = entry.into_inner();
            let id = Arc::clone(&entry.id);
            let value = row(entry, &defaults).map_err(|message| wrong(line, Some(&id), message))?;
            place(
                &mut self.rows,
                Placed {
                    value,
                    file: index,
                    line,
                },
                file.replace,
                |old, new| old.id == new.id,
            )
            .map_err(|earlier| wrong(line, Some(&id), duplicate("row", earlier, &self.files)))?;
        }
        for entry in file.service {
            let line = line_of(entry.span().start);
            let entry = entry.into_inner();
            let id = entry.id.clone();
            let value = service(entry).map_err(|message| wrong(line, Some(&id.0), message))?;
            place(
                &mut self.services,
                Placed {
                    value,
                    file: index,
                    line,
                },
                file.replace,
                |old, new| old.id == new.id,
            )
            .map_err(|earlier| {
                wrong(
                    line,
                    Some(&id.0),
                    duplicate("service", earlier, &self.files),
                )
            })?;
        }
        for entry in file.interface {
            let line = line_of(entry.span().start);
            let entry = entry.into_inner();
            let id = entry.uuid.to_string();
            let value = interface(entry).map_err(|message| wrong(line, Some(&id), message))?;
            let same = |old: &Interface, new: &Interface| {
                old.uuid == new.uuid
                    && (old.versions == new.versions
                        || old
                            .versions
                            .iter()
                            .any(|version| new.versions.contains(version)))
            };
            place(
                &mut self.interfaces,
                Placed {
                    value,
                    file: index,
                    line,
                },
                file.replace,
                same,
            )
            .map_err(|earlier| {
                wrong(
                    line,
                    Some(&id),
                    duplicate("interface", earlier, &self.files),
                )
            })?;
        }
        Ok(())
    }

    /// Checks what files say of each other, and gives out the result.
    #[expect(
        clippy::type_complexity,
        reason = "three lists, taken apart by the only caller"
    )]
    pub(super) fn finish(
        self,
        known: &Vocabulary<'_>,
    ) -> Result<(Vec<Row>, BTreeMap<ServiceId, Service>, Vec<Interface>), SignatureError> {
        let ids: BTreeSet<&ServiceId> = self
            .services
            .iter()
            .map(|placed| &placed.value.id)
            .collect();
        let at = |file: usize, line: usize, row: &str, message: String| SignatureError::Wrong {
            file: self.files.get(file).cloned().unwrap_or_default(),
            line,
            row: Some(row.to_owned()),
            message,
        };
        let unknown_service = |id: &ServiceId| {
            let near = nearest(id.as_str(), ids.iter().map(|id| id.as_str()));
            format!("unknown service `{id}`{}", hint(near))
        };
        for Placed {
            value: row,
            file,
            line,
        } in &self.rows
        {
            if let Some(id) = row.services.iter().find(|id| !ids.contains(id)) {
                return Err(at(*file, *line, &row.id.0, unknown_service(id)));
            }
        }
        for Placed {
            value: interface,
            file,
            line,
        } in &self.interfaces
        {
            if let Some(id) = interface.service.as_ref().filter(|id| !ids.contains(id)) {
                return Err(at(
                    *file,
                    *line,
                    &interface.uuid.to_string(),
                    unknown_service(id),
                ));
            }
        }
        for Placed {
            value: service,
            file,
            line,
        } in &self.services
        {
            if let Some(id) = service.part_of.as_ref().filter(|id| !ids.contains(id)) {
                return Err(at(*file, *line, &service.id.0, unknown_service(id)));
            }
            known
                .check(service)
                .map_err(|message| at(*file, *line, &service.id.0, message))?;
        }
        let services = self
            .services
            .into_iter()
            .map(|placed| (placed.value.id.clone(), placed.value))
            .collect();
        let rows = self.rows.into_iter().map(|placed| placed.value).collect();
        let interfaces = self
            .interfaces
            .into_iter()
            .map(|placed| placed.value)
            .collect();
        Ok((rows, services, interfaces))
    }
}

/// The id of the table (row, service, interface) that the line is in, where the text could not be read as TOML of ours.
fn id_around(text: &str, line: usize) -> Option<&str> {
    let lines: Vec<&str> = text.lines().collect();
    let (before, after) = lines.split_at_checked(line)?;
    let is_header = |line: &&str| line.trim_start().starts_with("[[");
    let head = before.iter().rposition(is_header)?;
    before
        .iter()
        .skip(head)
        .chain(after.iter().take_while(|line| !is_header(line)))
        .find_map(|line| {
            let (key, value) = line.split_once('=')?;
            let value = value.trim().strip_prefix('"')?.split('"').next()?;
            matches!(key.trim(), "id" | "uuid").then_some(value)
        })
}

/// What a file says once for all of its rows.
struct Defaults {
    document: Option<Arc<str>>,
    table: Option<Arc<str>>,
    products: Option<Vec<Product>>,
}

/// Adds a value; the same one of another file is replaced where the file says so, else its place is the error.
fn place<T>(
    list: &mut Vec<Placed<T>>,
    new: Placed<T>,
    replace: bool,
    same: impl Fn(&T, &T) -> bool,
) -> Result<(), (usize, usize)> {
    match list.iter_mut().find(|old| same(&old.value, &new.value)) {
        None => list.push(new),
        Some(old) if replace && old.file != new.file => *old = new,
        Some(old) => return Err((old.file, old.line)),
    }
    Ok(())
}

fn duplicate(what: &str, (file, line): (usize, usize), files: &[String]) -> String {
    let file = files.get(file).map_or("", String::as_str);
    format!(
        "expected a new {what}, found one that {file}:{line} has already (set `replace = true` to replace it)"
    )
}

fn hint(near: Option<&str>) -> String {
    near.map(|word| format!(", the nearest known one is `{word}`"))
        .unwrap_or_default()
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
        return Err(format!(
            "unknown check `{check}`{}",
            hint(nearest(check, CHECKS.iter().copied()))
        ));
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
