"""Zones and hosts of the lab: the one place where addresses and roles stand.

The topology file that exwire reads is written from the same tables, so the two cannot disagree.
"""

from dataclasses import dataclass

DOMAIN = "example.com"
REALM = "CORP.EXAMPLE.COM"


@dataclass(frozen=True)
class Zone:
    """One segment: a switch with a monitor port, and a leg of the firewall."""

    name: str
    network4: str  # first three octets
    network6: str  # /64 prefix up to `::`

    @property
    def gateway4(self):
        return f"{self.network4}.1"

    @property
    def gateway6(self):
        return f"{self.network6}::1"


ZONES = {
    zone.name: zone
    for zone in (
        Zone("core", "10.20.0", "2001:db8:20:0"),
        Zone("office", "10.20.1", "2001:db8:20:1"),
        Zone("dmz", "192.0.2", "2001:db8:2:0"),
        Zone("net", "198.51.100", "2001:db8:99:0"),
    )
}


@dataclass(frozen=True)
class Machine:
    """One host: where it stands, and what it is in the documents' words."""

    name: str
    zone: str
    number: int
    roles: tuple = ()
    product: str | None = None
    domain: str = DOMAIN

    @property
    def fqdn(self):
        return f"{self.name}.{self.domain}"

    @property
    def address(self):
        return f"{ZONES[self.zone].network4}.{self.number}"

    @property
    def address6(self):
        return f"{ZONES[self.zone].network6}::{self.number:x}"


MACHINES = {
    machine.name: machine
    for machine in (
        Machine("dc1", "core", 10, ("domain_controller", "dns_server"), domain=REALM.lower()),
        Machine("ns1", "core", 11, ("dns_server",)),
        Machine("hub1", "core", 20, ("hub_transport",), "exchange2010"),
        Machine("hub2", "core", 21, ("hub_transport",), "exchange2010"),
        Machine("old1", "core", 22, ("mailbox",), "exchange_legacy"),
        Machine("mbx1", "core", 30, ("mailbox", "cluster_node"), "exchange2010"),
        Machine("mbx2", "core", 31, ("mailbox", "cluster_node"), "exchange2010"),
        Machine("cas1", "core", 40, ("client_access",), "exchange2010"),
        Machine("cas2", "core", 45, ("client_access",), "exchange2013"),
        Machine("um2", "core", 46, ("mailbox",), "exchange2013"),
        Machine("um1", "core", 60, ("unified_messaging",), "exchange2010"),
        Machine("fe1", "core", 80, ("lync_front_end",), "lync2010"),
        Machine("med1", "core", 81, ("lync_mediation",), "lync2010"),
        Machine("files1", "core", 70),
        Machine("backup1", "core", 71, ("backup",)),
        Machine("mta1", "core", 72, ("x400_mta",)),
        Machine("gw1", "office", 5, ("ip_gateway",)),
        Machine("gw2", "office", 6, ("ip_gateway",)),
        Machine("client1", "office", 50, ("client",)),
        Machine("client2", "office", 51, ("client", "lync_client")),
        Machine("client3", "office", 52, ("client", "lync_client")),
        Machine("noisy", "office", 66, ("client",)),
        Machine("admin", "office", 90, ("admin",)),
        Machine("edge1", "dmz", 25, ("edge_transport",), "exchange2010"),
        Machine("lyncedge1", "dmz", 30, ("lync_edge",), "lync2010"),
        Machine("mx1", "net", 25, domain="example.net"),
        Machine("mx2", "net", 26, domain="example.net"),
        Machine("ns2", "net", 53, domain="example.net"),
        Machine("home1", "net", 77, domain="example.net"),
        Machine("swarm1", "net", 99, domain="example.net"),
    )
}


def topology():
    """The topology file: all hosts that have a role."""
    lines = [
        "# The hosts of the lab, written by its driver from its inventory. The format is explained in ../topology.toml.",
        "",
        "edge_subscribed = true",
        "",
        "[zones]",
        'internal  = ["10.20.0.0/16", "2001:db8:20::/48"]',
        'perimeter = ["192.0.2.0/24", "2001:db8:2::/48"]',
    ]
    for machine in MACHINES.values():
        if not machine.roles:
            continue
        roles = ", ".join(f'"{role}"' for role in machine.roles)
        lines += [
            "",
            "[[host]]",
            f'name = "{machine.fqdn}"',
            f'addresses = ["{machine.address}", "{machine.address6}"]',
            f"roles = [{roles}]",
        ]
        if machine.product:
            lines.append(f'product = "{machine.product}"')
    return "\n".join(lines) + "\n"
