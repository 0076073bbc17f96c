//! A sketched network as a topology file: what is known as keys, what is to be confirmed as comments, the evidence of each.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::attribution::{Name, Sketch, Sketched, private};
use crate::evidence::Strength;
use crate::signature::Role;

/// Characters of a comment's line: what hosts say of themselves may be long.
const MAX_COMMENT: usize = 220;

/// Writes a topology file that `--topology` reads as it is.
///
/// # Errors
/// What the output says.
pub fn write_topology(sketch: &Sketch, captures: &[&str], out: &mut dyn Write) -> io::Result<()> {
    let mut file = File { out };
    file.comment("", "A topology, sketched from what captures show. Every key stands on the evidence beside it; what is only a")?;
    file.comment("", "comment waits for you. Correct it, and give it to `--topology`. What the captures do not show is not here.")?;
    file.comment("", &format!("Captures: {}", captures.join(", ")))?;
    writeln!(file.out)?;
    file.edge(sketch)?;
    file.zones(sketch)?;
    for (address, host) in sketch.hosts.iter().filter(|(_, host)| host.is_server()) {
        file.host(*address, host)?;
    }
    file.clients(sketch)?;
    let others = |(_, host): &(&IpAddr, &Sketched)| !host.is_server() && !host.serves.is_empty();
    if sketch.hosts.iter().any(|host| others(&host)) {
        writeln!(file.out)?;
        file.comment(
            "",
            "Hosts that serve something, and whose role nothing proves:",
        )?;
    }
    for (address, host) in sketch.hosts.iter().filter(others) {
        file.comment("", "")?;
        file.comment("", &format!("{address}{}", called(&host.names)))?;
        file.seen(host)?;
    }
    Ok(())
}

struct File<'a> {
    out: &'a mut dyn Write,
}

impl File<'_> {
    fn comment(&mut self, indent: &str, text: &str) -> io::Result<()> {
        let mut line: String = text.chars().take(MAX_COMMENT).collect();
        if text.chars().nth(MAX_COMMENT).is_some() {
            line.push_str(" ...");
        }
        // A comment of TOML ends with its line, and holds no other control characters.
        let line = line.replace(|c: char| c.is_control(), "\u{fffd}");
        writeln!(self.out, "{}", format!("# {indent}{line}").trim_end())
    }

    fn edge(&mut self, sketch: &Sketch) -> io::Result<()> {
        if let Some((flow, because)) = &sketch.edge_sync {
            self.comment("", &format!("EdgeSync in flow {flow}: {because}"))?;
            writeln!(self.out, "edge_subscribed = true\n")?;
        }
        Ok(())
    }

    /// Private addresses are internal, hosts with the role of an Edge are the perimeter: only where both say all that is
    /// known of servers, since a file with zones calls everything else the Internet.
    fn zones(&mut self, sketch: &Sketch) -> io::Result<()> {
        let internal: BTreeSet<IpNet> = sketch
            .hosts
            .keys()
            .filter_map(|address| private(*address))
            .collect();
        let is_edge = |host: &Sketched| {
            let edges = [Role::EdgeTransport, Role::LyncEdge, Role::LyncEdgeExternal];
            edges.iter().any(|role| host.roles.contains_key(role))
        };
        let perimeter: Vec<IpAddr> = sketch
            .hosts
            .iter()
            .filter(|(_, host)| is_edge(host))
            .map(|(address, _)| *address)
            .collect();
        let unplaced: Vec<String> = sketch
            .hosts
            .iter()
            .filter(|(address, host)| {
                let ours = host
                    .roles
                    .keys()
                    .any(|role| role.is_exchange() || role.is_lync());
                ours && !is_edge(host) && private(**address).is_none()
            })
            .map(|(address, _)| address.to_string())
            .collect();
        let list = |networks: Vec<String>| {
            let quoted: Vec<String> = networks.iter().map(|network| quoted(network)).collect();
            quoted.join(", ")
        };
        let mark = if unplaced.is_empty() && !internal.is_empty() {
            self.comment("", "Private addresses, and hosts with the role of an Edge. Everything else is the Internet.")?;
            ""
        } else {
            let why = if unplaced.is_empty() {
                "no private address was seen".to_owned()
            } else {
                format!(
                    "these servers have public addresses: {}",
                    unplaced.join(", ")
                )
            };
            self.comment("", &format!("Zones are for you to tell: {why}."))?;
            "# "
        };
        writeln!(self.out, "{mark}[zones]")?;
        let internal = internal.iter().map(ToString::to_string).collect();
        writeln!(self.out, "{mark}internal = [{}]", list(internal))?;
        let perimeter = perimeter.iter().map(ToString::to_string).collect();
        writeln!(self.out, "{mark}perimeter = [{}]", list(perimeter))
    }

    fn host(&mut self, address: IpAddr, host: &Sketched) -> io::Result<()> {
        writeln!(self.out, "\n[[host]]")?;
        self.names(&host.names)?;
        writeln!(self.out, "addresses = [{}]", quoted(&address.to_string()))?;
        let roles: Vec<String> = host.roles.keys().map(|role| quoted(role.word())).collect();
        writeln!(self.out, "roles = [{}]", roles.join(", "))?;
        for (role, clues) in &host.roles {
            for clue in clues {
                self.comment("  ", &format!("{role}: {clue}"))?;
            }
        }
        let mark = if host.products.len() == 1 { "" } else { "# " };
        for (product, because) in &host.products {
            writeln!(self.out, "{mark}product = {}", quoted(product.word()))?;
            self.comment("  ", because)?;
        }
        self.moved(host)?;
        self.seen(host)
    }

    /// The host's own name is a key; what others say is for a person to take over.
    fn names(&mut self, names: &[Name]) -> io::Result<()> {
        let own = names.iter().find(|name| name.source.mark().is_empty());
        for name in names {
            let is_key = own == Some(name);
            if !is_key && own.is_some_and(|own| own.text == name.text) {
                continue;
            }
            let mark = if is_key { "" } else { "# " };
            writeln!(
                self.out,
                "{mark}name = {}  # {}",
                quoted(&name.text),
                name.source
            )?;
        }
        Ok(())
    }

    fn moved(&mut self, host: &Sketched) -> io::Result<()> {
        let mut moved: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for ((_, port), served) in &host.serves {
            if let Some(service) = &served.moved {
                moved
                    .entry(service.as_str())
                    .or_default()
                    .push(port.to_string());
            }
        }
        if moved.is_empty() {
            return Ok(());
        }
        let ports: Vec<String> = moved
            .iter()
            .map(|(service, ports)| format!("{service} = [{}]", ports.join(", ")))
            .collect();
        self.comment("", "Proven where no row lists them; if that is meant:")?;
        self.comment("", &format!("ports = {{ {} }}", ports.join(", ")))
    }

    fn seen(&mut self, host: &Sketched) -> io::Result<()> {
        for ((transport, port), served) in &host.serves {
            let strength = served.strength.map_or("no service", Strength::name);
            let flows = match served.flows {
                1 => format!("flow {}", served.flow),
                flows => format!("{flows} flows, first {}", served.flow),
            };
            let text = format!(
                "serves {} on {port}/{transport}, {strength}, {flows}: {}",
                served.what, served.because
            );
            self.comment("  ", &text)?;
        }
        for saying in &host.says {
            self.comment("  ", saying)?;
        }
        Ok(())
    }

    /// Private networks in which hosts were seen to ask for services of end users, and none to play another part.
    fn clients(&mut self, sketch: &Sketch) -> io::Result<()> {
        let mut networks: BTreeMap<IpNet, Vec<String>> = BTreeMap::new();
        for (address, host) in &sketch.hosts {
            if host.asks.is_empty() || host.is_server() || private(*address).is_none() {
                continue;
            }
            let asks: Vec<String> = host
                .asks
                .iter()
                .map(|(service, flow)| format!("{service} in flow {flow}"))
                .collect();
            let clients = networks.entry(neighbours(*address)).or_default();
            clients.push(format!(
                "{address}{}: {}",
                called(&host.names),
                asks.join(", ")
            ));
        }
        let holds_server = |network: &IpNet| {
            let servers = sketch.hosts.iter().filter(|(_, host)| host.is_server());
            servers
                .into_iter()
                .any(|(address, _)| network.contains(address))
        };
        for (network, clients) in networks
            .iter()
            .filter(|(network, _)| !holds_server(network))
        {
            writeln!(self.out, "\n[[network]]")?;
            writeln!(self.out, "network = {}", quoted(&network.to_string()))?;
            writeln!(self.out, "roles = [{}]", quoted(Role::Client.word()))?;
            for client in clients {
                self.comment("  ", client)?;
            }
        }
        Ok(())
    }
}

fn called(names: &[Name]) -> String {
    names.first().map_or_else(String::new, |name| {
        format!(" ({} by {})", name.text, name.source)
    })
}

/// A string of TOML.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// The network of an address and its neighbours, as networks of offices mostly are.
fn neighbours(address: IpAddr) -> IpNet {
    let network = match address {
        IpAddr::V4(address) => Ipv4Net::new(address, 24).map(IpNet::V4),
        IpAddr::V6(address) => Ipv6Net::new(address, 64).map(IpNet::V6),
    };
    network.map_or_else(|_| IpNet::from(address), |network| network.trunc())
}
