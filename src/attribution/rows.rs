//! Matching a flow with rows of the matrix: port, protocol, roles, product.

use super::flow::Flow;
use super::{Ends, Judge, Party, any_satisfies};
use crate::evidence::{Offered, Strength};
use crate::net::Transport;
use crate::signature::{
    Direction, Dynamic, Kind, Polarity, Product, Role, Row, RowPort, ServiceId,
};

/// How an aspect of a flow stands to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fit {
    /// It is what the row says.
    Matches,
    /// The row or the evidence is silent.
    Unknown,
    /// The row's product is not that of the hosts.
    OtherProduct,
    /// The roles fit the other way round: the wrong end opened it.
    Reversed,
    /// The roles are others.
    OtherRoles,
}

/// A row that may be meant, and how well the flow fits it.
#[derive(Clone, Debug)]
pub struct RowFit<'a> {
    /// The row.
    pub row: &'a Row,
    /// The port entry that holds the flow's port, unless it fits by a dynamic port.
    pub entry: Option<&'a RowPort>,
    /// A fixed port of the row holds the flow's port.
    pub at_port: bool,
    /// A service of the row is spoken in a protocol that the flow proves (or it proves none).
    pub speaks: bool,
    /// Roles of the client.
    pub from: Fit,
    /// Roles of the server.
    pub to: Fit,
    /// Product.
    pub product: Fit,
    /// The roles of both ends come from the topology file.
    pub is_known: bool,
}

impl RowFit<'_> {
    /// Services that the row documents at the flow's port.
    pub fn services(&self) -> &[ServiceId] {
        self.entry
            .map_or(&*self.row.services, |entry| self.row.services_at(entry))
    }

    /// Whether roles or product say that the row is not meant.
    pub fn contradicts(&self) -> bool {
        self.worst() > Fit::Unknown
    }

    /// The least fitting aspect.
    pub fn worst(&self) -> Fit {
        self.from.max(self.to).max(self.product)
    }

    /// Whether the row calls the port secured, or says encrypted by default.
    pub fn is_secured(&self) -> bool {
        self.entry
            .and_then(|entry| entry.secured)
            .unwrap_or(self.row.encryption.default == Some(true))
    }

    /// How well it fits: roles count most, then what kind of row it is.
    pub fn score(&self) -> u32 {
        let fit = |fit: Fit, points: u32| if fit == Fit::Matches { points } else { 0 };
        let kind = match self.row.kind {
            Kind::DataPath => 8,
            Kind::ListeningPort => 6,
            Kind::FirewallRule => 2,
            Kind::Rule => 0,
        };
        // The vendor's reference wins over a blog and an article; what is read into a row weighs less than what it says.
        let vendor = u32::from(!matches!(&*self.row.document, "blog" | "legacy"));
        let stated = u32::from(!self.row.inferred);
        kind + vendor + stated + fit(self.from, 32) + fit(self.to, 32) + fit(self.product, 16)
    }
}

impl<'a> Judge<'a> {
    /// Whether something that only this flow shows can mean rows as well, apart from those of its port.
    pub(super) fn has_own_rows(&self, flow: &Flow, protocols: &[&'static str]) -> bool {
        protocols
            .iter()
            .any(|protocol| matches!(*protocol, "dcerpc" | "rtp" | "rtcp"))
            || self.offers.of_server(flow).next().is_some()
    }

    /// Rows whose port, dynamic port or announced service can mean this flow, in order of the matrix.
    pub(super) fn rows(
        &self,
        flow: &Flow,
        ends: &Ends,
        protocols: &[&'static str],
        spoken: &[&'static str],
    ) -> Vec<RowFit<'a>> {
        let matrix = &self.signatures.matrix;
        let (transport, port) = (flow.key.transport, flow.server().port);
        let mut fits: Vec<RowFit<'a>> = Vec::new();
        for row in matrix.by_port(transport, port) {
            fits.push(self.fit(row, row.port_entry(transport, port), true, ends, spoken));
        }
        // A port that the topology file gives to a service of this host stands for those that its rows list.
        if let Some(service) = self.moved(flow) {
            for row in matrix.by_service(service) {
                let is_its = |entry: &&RowPort| {
                    entry.transport.admits(transport)
                        && !entry.reversed
                        && row.services_at(entry).contains(service)
                };
                let entry = row.ports.iter().find(is_its);
                let may_be = entry.is_some()
                    && row.kind != Kind::Rule
                    && row.polarity != Some(Polarity::MustNot)
                    && !fits.iter().any(|fit| fit.row.id == row.id);
                if may_be {
                    fits.push(self.fit(row, entry, true, ends, spoken));
                }
            }
        }
        let mut dynamic: Vec<&ServiceId> = Vec::new();
        if protocols.contains(&"dcerpc") || self.offers.of_server(flow).next().is_some() {
            dynamic.extend(self.rpc_services(flow));
        }
        for service in dynamic {
            for row in matrix.by_service(service) {
                let is_dynamic = row.polarity != Some(Polarity::MustNot)
                    && row.has_dynamic(Dynamic::Rpc, transport);
                if is_dynamic && fits.is_empty() | !fits.iter().any(|fit| fit.row.id == row.id) {
                    fits.push(self.fit(row, None, false, ends, protocols));
                }
            }
        }
        if transport == Transport::UDP
            && spoken
                .iter()
                .any(|protocol| matches!(*protocol, "rtp" | "rtcp"))
        {
            for row in matrix.by_service(&ServiceId("media".into())) {
                let entry = [flow.server().port, flow.client().port]
                    .into_iter()
                    .find_map(|port| row.port_entry(transport, port));
                let is_media = row.polarity != Some(Polarity::MustNot)
                    && (entry.is_some() || row.has_dynamic(Dynamic::Media, transport));
                if is_media && !fits.iter().any(|fit| fit.row.id == row.id) {
                    fits.push(self.fit(row, entry, false, ends, protocols));
                }
            }
        }
        fits
    }

    /// The service that the topology file moved to the server's port.
    pub(super) fn moved(&self, flow: &Flow) -> Option<&'a ServiceId> {
        let server = flow.server();
        self.topology.moved_to(server.address, server.port)
    }

    /// Services of the interfaces that the flow bound, or that were offered at its server's endpoint.
    pub(super) fn rpc_services(&self, flow: &Flow) -> Vec<&ServiceId> {
        use crate::evidence::Value;
        let interfaces = &self.signatures.interfaces;
        let bound = flow
            .facts_of("dcerpc", "bound")
            .filter_map(|(fact, _)| match fact.value {
                Value::Interface { uuid, major, minor } => interfaces.find(uuid, major, minor),
                _ => None,
            });
        let offered =
            self.offers
                .of_server(flow)
                .filter_map(|standing| match standing.offer.offered {
                    Offered::Rpc {
                        uuid, major, minor, ..
                    } => interfaces.find(uuid, major, minor),
                    _ => None,
                });
        let mut services: Vec<&ServiceId> = bound
            .chain(offered)
            .filter_map(|known| known.service.as_ref())
            .collect();
        services.sort();
        services.dedup();
        services
    }

    fn fit(
        &self,
        row: &'a Row,
        entry: Option<&'a RowPort>,
        at_port: bool,
        ends: &Ends,
        protocols: &[&'static str],
    ) -> RowFit<'a> {
        let catalog = &self.signatures.catalog;
        let spoken = |service: &ServiceId| {
            catalog.service(service).is_some_and(|service| {
                service
                    .protocols
                    .iter()
                    .any(|spoken| protocols.contains(&&**spoken))
            })
        };
        let services = entry.map_or(&*row.services, |entry| row.services_at(entry));
        let speaks = protocols.is_empty() || services.is_empty() || services.iter().any(spoken);
        let (from, to) = roles(row, ends);
        RowFit {
            row,
            entry,
            at_port,
            speaks,
            from,
            to,
            product: product(row, ends),
            is_known: ends.client.is_known && ends.server.is_known,
        }
    }

    /// Rows that the flow fits, best first.
    pub(super) fn order<'f, 'r>(
        &self,
        flow: &Flow,
        fits: &'f [RowFit<'r>],
        service: Option<&ServiceId>,
        strength: Option<Strength>,
    ) -> Vec<&'f RowFit<'r>> {
        let dynamic_only = !fits.iter().any(|fit| fit.at_port) && flow.key.transport.has_ports();
        let wanted = |fit: &&RowFit<'_>| {
            fit.speaks
                && !fit.contradicts()
                && (fit.at_port || dynamic_only || strength >= Some(Strength::Indicated))
        };
        let names =
            |fit: &RowFit<'_>| service.is_some_and(|service| fit.services().contains(service));
        let mut rows: Vec<&RowFit<'_>> = fits.iter().filter(wanted).collect();
        rows.sort_by_cached_key(|fit| std::cmp::Reverse((names(fit), fit.score())));
        rows
    }
}

/// How the roles of the two ends stand to a row.
fn roles(row: &Row, ends: &Ends) -> (Fit, Fit) {
    let one = |party: &Party, wanted: &[Role]| {
        if wanted.is_empty() || party.roles.is_empty() {
            Fit::Unknown
        } else if any_satisfies(&party.roles, wanted) {
            Fit::Matches
        } else if party.is_known {
            Fit::OtherRoles
        } else {
            Fit::Unknown
        }
    };
    let straight = (
        one(&ends.client, &row.from_roles),
        one(&ends.server, &row.to_roles),
    );
    if straight.0 != Fit::OtherRoles && straight.1 != Fit::OtherRoles {
        return straight;
    }
    let reversed = (
        one(&ends.server, &row.from_roles),
        one(&ends.client, &row.to_roles),
    );
    let refuted = reversed.0 == Fit::OtherRoles || reversed.1 == Fit::OtherRoles;
    match (row.direction, refuted, reversed) {
        (Direction::Either | Direction::NotStated, false, _) => reversed,
        (Direction::FromOpens, _, (Fit::Matches, Fit::Matches)) => (Fit::Reversed, Fit::Reversed),
        _ => straight,
    }
}

/// How the products of the two ends stand to a row: known products of one family must be among the row's.
fn product(row: &Row, ends: &Ends) -> Fit {
    let is_lync = |product: &Product| product.is(Product::Lync);
    let family = |product: &Product| {
        row.products
            .iter()
            .any(|wanted| is_lync(wanted) == is_lync(product))
    };
    let known: Vec<Product> = [&ends.client, &ends.server]
        .into_iter()
        .filter_map(|party| party.product)
        .filter(family)
        .collect();
    // Name resolution is documented for every product (contradictions C31).
    let is_dns = row.services.iter().all(|service| service.as_str() == "dns");
    if known.is_empty() || row.products.is_empty() || is_dns {
        Fit::Unknown
    } else if known
        .iter()
        .any(|product| row.products.iter().any(|wanted| product.is(*wanted)))
    {
        Fit::Matches
    } else {
        Fit::OtherProduct
    }
}
