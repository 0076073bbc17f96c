//! Ports that an organisation has changed: `--port log_shipping=64400`, or for one row alone
//! `--port um2013.listening.call-router=5080`.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::catalog::Service;
use super::error::SignatureError;
use super::row::{Dynamic, Kind, Ports, Row, RowPort, RowTransport, ServiceId};
use super::vocabulary::UnknownWord;

/// `service=port`, `service=first-last`, or with a transport: `service=tcp/64400`. The id of a row may stand in place of the
/// service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortOverride {
    /// The id of a service or of a row.
    target: Arc<str>,
    transport: Option<RowTransport>,
    ports: Ports,
}

impl fmt::Display for PortOverride {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=", self.target)?;
        if let Some(transport) = self.transport {
            write!(f, "{transport}/")?;
        }
        match self.ports {
            Ports::Single(port) => write!(f, "{port}"),
            Ports::Range(first, last) => write!(f, "{first}-{last}"),
            Ports::Dynamic(dynamic) => write!(f, "{dynamic}"),
        }
    }
}

impl FromStr for PortOverride {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected = || {
            format!("expected SERVICE=PORT, SERVICE=FIRST-LAST or SERVICE=tcp/PORT, found `{text}`")
        };
        let (target, ports) = text
            .split_once('=')
            .filter(|(target, _)| !target.trim().is_empty())
            .ok_or_else(expected)?;
        let (transport, ports) = match ports.split_once('/') {
            Some((transport, ports)) => (
                Some(
                    transport
                        .trim()
                        .parse::<RowTransport>()
                        .map_err(|e| e.to_string())?,
                ),
                ports,
            ),
            None => (None, ports),
        };
        let port = |text: &str| {
            text.trim()
                .parse::<u16>()
                .ok()
                .filter(|port| *port > 0)
                .ok_or_else(expected)
        };
        let ports = match ports.split_once('-') {
            Some((first, last)) => match (port(first)?, port(last)?) {
                (first, last) if first < last => Ports::Range(first, last),
                _ => return Err(expected()),
            },
            None => Ports::Single(port(ports)?),
        };
        Ok(Self {
            target: target.trim().into(),
            transport,
            ports,
        })
    }
}

impl PortOverride {
    /// Puts the port in place of the fixed ports of the service, in every row that documents it, or of the row.
    pub(super) fn apply(
        &self,
        rows: &mut [Row],
        services: &BTreeMap<ServiceId, Service>,
    ) -> Result<(), SignatureError> {
        if let Some(row) = rows.iter_mut().find(|row| *row.id.0 == *self.target) {
            self.move_row(row);
            return Ok(());
        }
        let wrong = |message: String| SignatureError::Port {
            text: self.to_string(),
            message,
        };
        let service = ServiceId(Arc::clone(&self.target));
        if !services.contains_key(&service) {
            let unknown = if self.target.contains('.') {
                UnknownWord::new("row", &self.target, rows.iter().map(|row| &*row.id.0))
            } else {
                let known = services.keys().map(ServiceId::as_str);
                UnknownWord::new("service", &self.target, known)
            };
            return Err(wrong(unknown.to_string()));
        }
        let mut changed = false;
        for row in rows
            .iter_mut()
            .filter(|row| row.kind != Kind::Rule && row.documents(&service))
        {
            changed |= self.move_service(row, &service);
        }
        if changed {
            Ok(())
        } else {
            Err(wrong(format!(
                "expected a service with a port in the matrix, found `{service}`, which has none"
            )))
        }
    }

    fn move_row(&self, row: &mut Row) {
        let fixed = row.ports.iter().find(|entry| is_fixed(entry)).cloned();
        row.ports.retain(|entry| !is_fixed(entry));
        row.ports.insert(0, self.entry(fixed.as_ref(), Vec::new()));
    }

    /// Fixed ports of the service alone give way; ports that it shares with others, and dynamic ones, stay beside the new
    /// port: what the row says of other services still holds.
    fn move_service(&self, row: &mut Row, service: &ServiceId) -> bool {
        let uses = |entry: &RowPort| row.services_at(entry).contains(service);
        let alone = |entry: &RowPort| row.services_at(entry) == [service.clone()];
        let may_be = |entry: &RowPort| uses(entry) && entry.ports != Ports::Dynamic(Dynamic::Any);
        let Some(model) = row
            .ports
            .iter()
            .position(|entry| uses(entry) && is_fixed(entry))
            .or_else(|| row.ports.iter().position(may_be))
        else {
            return false;
        };
        let gives_way: Vec<bool> = row
            .ports
            .iter()
            .map(|entry| is_fixed(entry) && alone(entry))
            .collect();
        let services = if row.services.len() > 1 {
            vec![service.clone()]
        } else {
            Vec::new()
        };
        let new = self.entry(row.ports.get(model), services);
        let shared = row
            .ports
            .get(model)
            .is_some_and(|entry| is_fixed(entry) && !alone(entry));
        let mut ports = Vec::with_capacity(row.ports.len().saturating_add(1));
        for (index, (entry, gives_way)) in row.ports.drain(..).zip(gives_way).enumerate() {
            let is_model = index == model;
            if is_model && !shared {
                ports.push(new.clone());
            }
            if !gives_way {
                ports.push(entry);
            }
            if is_model && shared {
                ports.push(new.clone());
            }
        }
        row.ports = ports;
        true
    }

    /// The new entry, with what `model` says besides the port.
    fn entry(&self, model: Option<&RowPort>, services: Vec<ServiceId>) -> RowPort {
        RowPort {
            transport: self
                .transport
                .or_else(|| model.map(|entry| entry.transport))
                .unwrap_or(RowTransport::Tcp),
            ports: self.ports,
            protocol: model.and_then(|entry| entry.protocol.clone()),
            secured: model.and_then(|entry| entry.secured),
            reversed: model.is_some_and(|entry| entry.reversed),
            services,
        }
    }
}

const fn is_fixed(entry: &RowPort) -> bool {
    !matches!(entry.ports, Ports::Dynamic(_))
}
