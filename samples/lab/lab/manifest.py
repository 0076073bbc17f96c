"""What a capture holds: declared by the scenario that made it, found again and counted by tshark.

A scenario says before each thing it does which connections that makes, between which hosts, to which port, and what they
are. Afterwards tshark lists the connections of the capture. Each must have been declared, and each declaration must have
come true; packets, bytes and states are tshark's. Nothing here asks exwire.
"""

import ipaddress
from collections import defaultdict
from dataclasses import dataclass, field

from . import taps
from .inventory import MACHINES

# How tshark's dissectors are called, where the name differs; the first that is found will do.
DISSECTORS = {
    "pop3": ["pop"], "rtp": ["rtp", "srtp"], "rtcp": ["rtcp", "srtcp"], "stun": ["stun", "classicstun"],
    "smb": ["smb2", "smb"], "netbios_ssn": ["nbss"], "cldap": ["cldap"], "xmpp": ["xmpp"], "tls": ["tls", "ssl"],
    "sunrpc": ["rpc"], "bittorrent": ["bittorrent", "bt-dht", "bt-utp"],
    "x400": ["p1", "x411", "rtse"],
}
# Ports that tshark does not know, or knows as something else.
DECODE_AS = [
    "tcp.port==50389,ldap", "tcp.port==50636,tls", "tcp.port==5062,sip", "tcp.port==5065,sip",
    "tcp.port==2525,smtp", "tcp.port==2222,ssh", "tcp.port==3268,ldap",
]
FIELDS = [
    "frame.number", "frame.time_epoch", "ip.src", "ip.dst", "ipv6.src", "ipv6.dst", "ip.proto", "ipv6.nxt", "tcp.stream",
    "tcp.srcport", "tcp.dstport", "tcp.flags", "udp.stream", "udp.srcport", "udp.dstport", "ip.len", "ipv6.plen",
    "frame.protocols", "dns.flags.rcode", "kerberos.error_code",
]
# What an answer says that is a finding in itself: NXDOMAIN, clock skew, an option that is not allowed.
TELLING = {("dns.flags.rcode", "3"): "EXW701", ("kerberos.error_code", "37"): "EXW703", ("kerberos.error_code", "13"): "EXW702"}
SYN, RST, FIN, ACK = 0x02, 0x04, 0x01, 0x10


@dataclass
class Declared:
    """Connections that a scenario makes, and what they are."""

    client: str
    server: str
    port: object
    transport: str
    about: dict
    count: tuple
    window: object = None
    parity: int | None = None  # of the server's port: even for RTP, odd for RTCP
    client_parity: int | None = None
    found: list = field(default_factory=list)

    def fits(self, conversation):
        ends = conversation.client[0], conversation.server[0]
        if conversation.transport != self.transport or not self.has_port(conversation.server[1]):
            return False
        if self.client_parity is not None and conversation.client[1] % 2 != self.client_parity:
            return False
        if self.window and not self.window[0] <= conversation.start < self.window[1]:
            return False
        if len(self.found) >= self.count[1]:
            return False
        return all(is_host(address, name) for address, name in zip(ends, (self.client, self.server)))

    def has_port(self, port):
        if isinstance(self.port, int):
            return port == self.port
        if self.parity is not None and port % 2 != self.parity:
            return False
        return self.port[0] <= port <= self.port[1]


def is_host(address, name):
    machine = MACHINES.get(name)
    return name == "*" or address in {ipaddress.ip_address(name_or.strip()) for name_or in addresses(machine, name)}


def addresses(machine, name):
    return (machine.address, machine.address6) if machine else (name,)


class Conversation:
    """One connection or exchange of datagrams, as tshark sees it."""

    def __init__(self, transport, start, sender, receiver):
        self.transport = transport
        self.start = start
        self.client, self.server = sender, receiver
        self.packets, self.bytes = defaultdict(int), defaultdict(int)
        self.flags = defaultdict(set)
        self.dissectors = set()
        # Errors of ICMP quote a packet of it.
        self.has_errors = False
        # Codes of what its answers say.
        self.told = set()

    def add(self, sender, receiver, length, flags, protocols):
        self.packets[sender] += 1
        self.bytes[sender] += length
        self.dissectors.update(protocols.split(":"))
        if self.transport == "tcp":
            self.flags[sender].add(flags & (SYN | RST | FIN | ACK))
            if flags & SYN:
                self.client, self.server = (receiver, sender) if flags & ACK else (sender, receiver)

    def turn(self):
        self.client, self.server = self.server, self.client

    @property
    def state(self):
        """As the contract of exwire's output names states."""
        if self.transport != "tcp":
            return "two_way" if len(self.packets) == 2 else "one_way"
        client, server = self.flags[self.client], self.flags[self.server]

        def has(flags, bits):
            return any(each & bits == bits for each in flags)

        if not any(each & SYN for each in client):
            return "midstream"
        if not has(server, SYN | ACK):
            return "refused" if has(server, RST) else "attempted"
        if has(client, FIN) and has(server, FIN):
            return "closed"
        return "reset" if has(client | server, RST) else "established"

    def __str__(self):
        return f"{self.transport} {endpoint(self.client)} to {endpoint(self.server)} ({','.join(sorted(self.dissectors))})"


def endpoint(end):
    address, port = end
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"


def conversations(path, decode_as=()):
    """All connections and exchanges of a capture, by their start; errors of ICMP are told with what they quote."""
    arguments = ["--enable-heuristic", "rtp_udp", "--enable-heuristic", "rtp_stun", "-o", "ip.defragment:FALSE"]
    arguments += ["-T", "fields", "-E", "separator=|", "-E", "occurrence=f"]
    for port in [*DECODE_AS, *decode_as]:
        arguments += ["-d", port]
    for name in FIELDS:
        arguments += ["-e", name]
    found = {}
    for line in taps.read(path, *arguments):
        row = dict(zip(FIELDS, line.split("|")))
        if row["ip.proto"] == "1" or row["ipv6.nxt"] == "58" or not (row["ip.src"] or row["ipv6.src"]):
            continue
        transport = "tcp" if row["tcp.stream"] else "udp"
        if not row[f"{transport}.stream"]:
            continue
        source, target = (ipaddress.ip_address(row[f"ip.{end}"] or row[f"ipv6.{end}"]) for end in ("src", "dst"))
        sender, receiver = ((address, int(row[f"{transport}.{end}port"])) for address, end in
                            ((source, "src"), (target, "dst")))
        # tshark tells datagrams after a new announcement from those before; here only their ends count.
        key = ("tcp", row["tcp.stream"]) if transport == "tcp" else frozenset((sender, receiver))
        if key not in found:
            found[key] = Conversation(transport, float(row["frame.time_epoch"]), sender, receiver)
        length = int(row["ip.len"]) if row["ip.len"] else int(row["ipv6.plen"]) + 40
        flags = int(row["tcp.flags"], 16) if row["tcp.flags"] else 0
        found[key].told.update(code for (name, value), code in TELLING.items() if row[name] == value)
        found[key].add(sender, receiver, length, flags, row["frame.protocols"])
    for quoted in errors(path):
        for conversation in found.values():
            ends = {conversation.client, conversation.server}
            conversation.has_errors |= ends == set(quoted[1:]) and conversation.transport == quoted[0]
    return sorted(found.values(), key=lambda each: each.start)


def errors(path):
    """What errors of ICMP quote: the last addresses and ports of their packets."""
    fields = ["ip.src", "ip.dst", "ipv6.src", "ipv6.dst", "tcp.srcport", "tcp.dstport", "udp.srcport", "udp.dstport"]
    arguments = ["-Y", "icmp.type == 3 || icmpv6.type == 1 || icmpv6.type == 2", "-T", "fields", "-E", "separator=|",
                 "-E", "occurrence=l"]
    for name in fields:
        arguments += ["-e", name]
    for line in taps.read(path, *arguments):
        row = dict(zip(fields, line.split("|")))
        transport = "tcp" if row["tcp.srcport"] else "udp"
        if row[f"{transport}.srcport"]:
            yield transport, *((ipaddress.ip_address(row[f"ip.{end}"] or row[f"ipv6.{end}"]),
                                int(row[f"{transport}.{end}port"])) for end in ("src", "dst"))


def assign(declared, found, is_partial=False):
    """Gives every conversation to its declaration. Answers what does not agree, in words.

    Of a capture that `is_partial` tshark is not asked for the protocols: it follows no switch to TLS that it sees from one side.
    """
    wrong = []
    # What a step declares comes before what holds for the whole scenario.
    ordered = sorted(declared, key=lambda each: each.window is None)
    for conversation in found:
        home = next((each for each in ordered if each.fits(conversation)), None)
        if home is None and conversation.state in ("midstream", "one_way", "two_way"):
            conversation.turn()
            home = next((each for each in ordered if each.fits(conversation)), None)
            if home is None:
                conversation.turn()
        if home is None:
            wrong.append(f"not declared: {conversation}")
            continue
        home.found.append(conversation)
        for protocol in [] if is_partial else home.about.get("protocols", []):
            if not conversation.dissectors.intersection(DISSECTORS.get(protocol, [protocol])):
                wrong.append(f"tshark sees no {protocol}: {conversation}")
    for each in declared:
        if not each.count[0] <= len(each.found) <= each.count[1]:
            wrong.append(
                f"{len(each.found)} instead of {each.count}: {each.client} to {each.server}:{each.port} {each.about['note']}"
            )
    return wrong


def toml(value):
    """A value as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(toml(each) for each in value) + "]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(each)}" for key, each in value.items()) + " }"
    text = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def table(name, values):
    """An entry of a list of tables."""
    lines = [f"[[{name}]]"] + [f"{key} = {toml(value)}" for key, value in values.items() if value is not None]
    return "\n".join(lines) + "\n"
