//! The whole chain of one flow, from packets to the verdict, as text: what was seen, what follows from it, and why.

use std::io::{self, Write};

use crate::attribution::{Attribution, Fit, Flow, Judged, Listener, Sight, Standing};
use crate::audit::Finding;
use crate::evidence::Offered;
use crate::net::Side;
use crate::signature::{Role, Row, RowId};

/// The chain of one flow.
pub struct Chain<'a> {
    judged: &'a Judged<'a>,
    flow: &'a Flow,
    attribution: &'a Attribution,
    findings: Vec<&'a Finding>,
}

impl<'a> Chain<'a> {
    /// The chain of a flow; of `findings` those count that name it.
    pub fn new(
        judged: &'a Judged<'a>,
        flow: &'a Flow,
        attribution: &'a Attribution,
        findings: &'a [Finding],
    ) -> Self {
        let names = |finding: &&Finding| finding.flows.contains(flow.number);
        Self {
            judged,
            flow,
            attribution,
            findings: findings.iter().filter(names).collect(),
        }
    }

    /// Writes it.
    ///
    /// # Errors
    /// What the output says.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        self.packets(out)?;
        self.facts(out)?;
        self.offers(out)?;
        self.evidence(out)?;
        self.rows(out)?;
        self.verdict(out)
    }

    fn packets(&self, out: &mut dyn Write) -> io::Result<()> {
        let (flow, ends) = (self.flow, &self.attribution.ends);
        let tracker = &flow.tracker;
        let (client, server) = (flow.client, flow.client.other());
        writeln!(
            out,
            "Flow {}: {} from {} to {}, {}",
            flow.number,
            flow.key.transport,
            Listener(&ends.client),
            Listener(&ends.server),
            flow.state().word()
        )?;
        writeln!(out, "\nPackets")?;
        writeln!(out, "  {} to {}", tracker.first_seen, tracker.last_seen)?;
        for (side, end) in [(client, "client"), (server, "server")] {
            writeln!(
                out,
                "  from the {end}: {} packets, {} bytes, of these {} bytes of payload",
                tracker.packets[side], tracker.bytes[side], tracker.payload_bytes[side]
            )?;
        }
        writeln!(out, "  first packet: frame {}", tracker.first_number)?;
        writeln!(out, "  in {}", flow.captures.join(", "))?;
        if !flow.tunnel.is_empty() {
            writeln!(out, "  inside {}", flow.tunnel.join(", "))?;
        }
        let why = match flow.orientation.word() {
            "handshake" => "the handshake shows who opened it",
            "protocol" => "the protocol shows who asks",
            "offer" => "the other end had been offered",
            "port" => "the other end's port is documented or well known",
            _ => "it sent the first packet seen",
        };
        writeln!(out, "  the client is {}: {why}", ends.client.endpoint)?;
        for (end, party) in [("client", &ends.client), ("server", &ends.server)] {
            writeln!(out, "  the {end} is {}", who(party))?;
        }
        for (error, seen) in &flow.errors {
            writeln!(
                out,
                "  frame {}: {} reports ICMP type {} code {}",
                seen.frame, error.reporter, error.kind, error.code
            )?;
        }
        Ok(())
    }

    fn facts(&self, out: &mut dyn Write) -> io::Result<()> {
        let flow = self.flow;
        let mut lines: Vec<(Sight, String)> = flow
            .protocols
            .iter()
            .map(|(name, (layer, tap))| {
                let sight = Sight {
                    seen: layer.seen,
                    tap: *tap,
                };
                let depth = layer.depth;
                (
                    sight,
                    format!("{name} is proven, {depth} layers above the transport"),
                )
            })
            .collect();
        lines.extend(flow.facts.iter().map(|(fact, sight)| {
            let end = self.end(fact.side);
            (
                *sight,
                format!("{end}: {} `{}`", fact.attribute, fact.value),
            )
        }));
        lines.sort_by(|one, other| (one.0.seen.time, &one.1).cmp(&(other.0.seen.time, &other.1)));
        writeln!(out, "\nFacts, by time")?;
        if lines.is_empty() {
            writeln!(out, "  none: no decoder proved anything")?;
        }
        for (sight, text) in lines {
            let frame = self.judged.flows.frame(sight);
            writeln!(out, "  {frame}, {}: {text}", sight.seen.time)?;
        }
        Ok(())
    }

    fn end(&self, side: Side) -> &'static str {
        if side == self.flow.client {
            "client"
        } else {
            "server"
        }
    }

    fn offers(&self, out: &mut dyn Write) -> io::Result<()> {
        let offers = &self.judged.offers;
        let mut used: Vec<&Standing> = offers.of_server(self.flow).collect();
        used.extend(offers.protocols(self.flow).map(|(standing, ..)| standing));
        used.extend(offers.media(self.flow));
        used.sort_by(|one, other| (one.sight, &one.offer).cmp(&(other.sight, &other.offer)));
        used.dedup_by(|one, other| one.offer == other.offer);
        if !used.is_empty() {
            writeln!(out, "\nOffers of its endpoints, made elsewhere")?;
        }
        for standing in used {
            writeln!(
                out,
                "  {} (flow {}): {} announced {} at {} to {}",
                self.judged.flows.frame(standing.sight),
                standing.flow,
                standing.offer.by,
                self.offered(&standing.offer.offered),
                standing.offer.endpoint,
                standing.offer.to
            )?;
        }
        Ok(())
    }

    fn offered(&self, offered: &Offered) -> String {
        match offered {
            Offered::Rpc {
                uuid, major, minor, ..
            } => {
                let interfaces = &self.judged.signatures().interfaces;
                match interfaces.find(*uuid, *major, *minor) {
                    Some(known) => format!("the RPC interface {} {major}.{minor}", known.name),
                    None => format!("the RPC interface {uuid} {major}.{minor}"),
                }
            }
            Offered::Dcom { operation, .. } => format!("an object exporter ({operation})"),
            Offered::Media(media) => format!("{} {}", media.media, media.profile),
            Offered::Candidate { kind, .. } => format!("a {kind} candidate"),
            Offered::Relay => "a relay".to_owned(),
            Offered::Host { name } => format!("the host {name}"),
            Offered::Protocol { protocol, name } => format!("{protocol} {name}"),
            Offered::Data { protocol } => format!("a connection for {protocol}"),
        }
    }

    fn evidence(&self, out: &mut dyn Write) -> io::Result<()> {
        let Attribution {
            service,
            strength,
            because,
            protocols,
            encryption,
            authentication,
            ..
        } = self.attribution;
        writeln!(out, "\nEvidence, strongest first")?;
        if because.is_empty() {
            writeln!(out, "  none")?;
        }
        for sentence in because.iter() {
            writeln!(out, "  {sentence}")?;
        }
        let service = service
            .as_ref()
            .map_or("no service", |service| service.as_str());
        let strength = strength.map_or("nothing speaks for one", |strength| strength.name());
        writeln!(out, "  so it is {service}: {strength}")?;
        if !protocols.is_empty() {
            writeln!(out, "  protocols, by layer: {}", protocols.join(", "))?;
        }
        write!(out, "  encryption: {}", encryption.kind.word())?;
        let mechanisms = authentication.join(", ");
        let mechanisms = if mechanisms.is_empty() {
            "none seen"
        } else {
            &mechanisms
        };
        writeln!(out, "; authentication: {mechanisms}")
    }

    fn rows(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "\nRows that fit, best first")?;
        if self.attribution.rows.is_empty() {
            writeln!(out, "  none")?;
        }
        for row in self.attribution.rows.iter().filter_map(|id| self.row(id)) {
            describe(row, out)?;
            writeln!(out, "    {}", self.why(row))?;
        }
        if !self.attribution.misfits.is_empty() {
            writeln!(out, "\nRows of the same port or service that contradict it")?;
        }
        for (id, fit) in self.attribution.misfits.iter() {
            let Some(row) = self.row(id) else { continue };
            describe(row, out)?;
            let why = match fit {
                Fit::OtherProduct => {
                    let products: Vec<&str> =
                        row.products.iter().map(|known| known.word()).collect();
                    format!("is of another product: {}", products.join(", "))
                }
                Fit::Reversed => {
                    "joins these roles the other way round: the other end opens it".to_owned()
                }
                Fit::OtherRoles => format!("joins other roles: {}", self.why(row)),
                Fit::Matches | Fit::Unknown => self.why(row),
            };
            writeln!(out, "    {why}")?;
        }
        Ok(())
    }

    fn row(&self, id: &RowId) -> Option<&'a Row> {
        self.judged.signatures().matrix.row(id)
    }

    /// The roles that a row wants, beside those of the ends.
    fn why(&self, row: &Row) -> String {
        let ends = &self.attribution.ends;
        let end = |name: &str, wanted: &[Role], has: &[Role]| match (wanted, has) {
            ([], _) => format!("any {name}"),
            (wanted, []) => format!("{name} {}, here of unknown role", words(wanted)),
            (wanted, has) => format!("{name} {}, here {}", words(wanted), words(has)),
        };
        let client = end("client", &row.from_roles, &ends.client.roles);
        let server = end("server", &row.to_roles, &ends.server.roles);
        format!("wants {client}; {server}")
    }

    fn verdict(&self, out: &mut dyn Write) -> io::Result<()> {
        let verdict = self.attribution.verdict.word();
        let meaning = match verdict {
            "documented" => "a row lists this service here, and the payload proves it",
            "unproven" => "a row lists the port, and nothing seen proves or refutes the claim",
            "undocumented" => "a service is proven where no row lists it",
            "contradicted" => "a row lists one service, another protocol is proven",
            _ => "no row lists the port, and no service is proven",
        };
        writeln!(out, "\nVerdict: {verdict} ({meaning})")?;
        writeln!(out, "\nFindings")?;
        if self.findings.is_empty() {
            writeln!(out, "  none")?;
        }
        for finding in &self.findings {
            writeln!(
                out,
                "  {} {}: {}",
                finding.severity.word(),
                finding.code,
                finding.message
            )?;
        }
        Ok(())
    }
}

fn describe(row: &Row, out: &mut dyn Write) -> io::Result<()> {
    let ports: Vec<String> = row.ports.iter().map(ToString::to_string).collect();
    writeln!(
        out,
        "  {}: {} ({}; {}, {})",
        row.id,
        row.title,
        ports.join(" "),
        row.document,
        row.table
    )
}

fn who(party: &crate::attribution::Party) -> String {
    let roles = if party.roles.is_empty() {
        "of unknown role".to_owned()
    } else {
        words(&party.roles)
    };
    let told = match (party.is_known, party.roles.is_empty()) {
        (true, _) => ", by the topology file",
        (false, false) => ", inferred from flows",
        (false, true) => "",
    };
    let zone = party
        .zone
        .map_or_else(String::new, |zone| format!(", zone {}", zone.word()));
    format!("{party}: {roles}{told}{zone}")
}

fn words(roles: &[Role]) -> String {
    let words: Vec<&str> = roles.iter().map(|role| role.word()).collect();
    words.join(" or ")
}
