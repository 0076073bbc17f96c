//! Ports that an organisation has changed: `--port log_shipping=64400`.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::catalog::Service;
use super::error::SignatureError;
use super::row::{Kind, Ports, Row, RowTransport, ServiceId};
use super::vocabulary::nearest;

/// `service=port`, `service=first-last`, or with a transport: `service=tcp/64400`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortOverride {
    service: ServiceId,
    transport: Option<RowTransport>,
    ports: Ports,
}

impl fmt::Display for PortOverride {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=", self.service)?;
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
        let (service, ports) = text.split_once('=').ok_or_else(expected)?;
        let (transport, ports) = match ports.split_once('/') {
            Some((transport, ports)) => (
                Some(
                    transport
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
            service: ServiceId(service.trim().into()),
            transport,
            ports,
        })
    }
}

impl PortOverride {
    /// Puts the port in place of the fixed ports of every row that documents the service.
    pub(super) fn apply(
        &self,
        rows: &mut [Row],
        services: &BTreeMap<ServiceId, Service>,
    ) -> Result<(), SignatureError> {
        let wrong = |message: String| SignatureError::Port {
            text: self.to_string(),
            message,
        };
        if !services.contains_key(&self.service) {
            let near = nearest(
                self.service.as_str(),
                services.keys().map(ServiceId::as_str),
            );
            let hint = near
                .map(|word| format!(", the nearest known one is `{word}`"))
                .unwrap_or_default();
            return Err(wrong(format!("unknown service `{}`{hint}", self.service)));
        }
        let mut changed = false;
        for row in rows
            .iter_mut()
            .filter(|row| row.kind != Kind::Rule && row.documents(&self.service))
        {
            let fixed = |ports: Ports| !matches!(ports, Ports::Dynamic(_));
            let Some(first) = row.ports.iter().position(|entry| fixed(entry.ports)) else {
                continue;
            };
            let Some(mut entry) = row.ports.get(first).cloned() else {
                continue;
            };
            entry.ports = self.ports;
            entry.transport = self.transport.unwrap_or(entry.transport);
            row.ports.retain(|entry| !fixed(entry.ports));
            row.ports.insert(0, entry);
            changed = true;
        }
        if changed {
            Ok(())
        } else {
            Err(wrong(format!(
                "expected a service with a fixed port, found `{}`, which has none",
                self.service
            )))
        }
    }
}
