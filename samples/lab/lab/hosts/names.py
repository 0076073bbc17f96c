"""DNS: bind9, for the site (`ns1`) and for the Internet of the lab (`ns2`)."""

from ..inventory import DOMAIN, MACHINES, REALM


def zone_text(origin, server, extra=()):
    """A zone with every machine of that domain, by IPv4 and IPv6."""
    lines = ["$TTL 300", f"@ IN SOA {server}.{origin}. root.{origin}. 1 3600 600 86400 300", f"@ IN NS {server}.{origin}."]
    for machine in MACHINES.values():
        if machine.domain == origin:
            lines += [f"{machine.name} IN A {machine.address}", f"{machine.name} IN AAAA {machine.address6}"]
    return "\n".join([*lines, *extra]) + "\n"


def start(network, name):
    """Starts bind9 on `ns1` or `ns2`, once."""
    host = network[name]
    if getattr(host, "named", None):
        return host.named
    inside = name == "ns1"
    other = MACHINES["ns2" if inside else "ns1"].address
    zones = {DOMAIN: ["@ IN MX 10 edge1", "mail IN CNAME cas1", "autodiscover IN CNAME cas1",
                      "meet IN A 192.0.2.30", "_sip._tcp IN SRV 0 0 5060 um1"]}
    if not inside:
        zones["example.net"] = ["@ IN MX 10 mx1", "@ IN MX 20 mx2"]
    config = [f"""
options {{
    directory "{host.folder}"; pid-file none; session-keyfile "{host.folder}/session.key";
    listen-on {{ {host.address}; }}; listen-on-v6 {{ {host.address6}; }};
    recursion yes; allow-query {{ any; }}; allow-recursion {{ any; }}; dnssec-validation no;
    empty-zones-enable no; minimal-responses yes; managed-keys-directory "{host.folder}";
}};
controls {{ }};
zone "." {{ type hint; file "/dev/null"; }};
"""]
    for origin, extra in zones.items():
        server = "ns1" if origin == DOMAIN else "ns2"
        (host.folder / f"{origin}.zone").write_text(zone_text(origin, server, extra))
        config.append(f'zone "{origin}" {{ type master; file "{host.folder}/{origin}.zone"; }};')
    if inside:
        config.append(f'zone "example.net" {{ type forward; forward only; forwarders {{ {other}; }}; }};')
        config.append(f'zone "{REALM.lower()}" {{ type forward; forward only; '
                      f'forwarders {{ {MACHINES["dc1"].address}; }}; }};')
    (host.folder / "named.conf").write_text("\n".join(config))
    host.folder.chmod(0o777)
    host.named = host.start(
        ["named", "-f", "-u", "bind", "-n", "1", "-c", host.folder / "named.conf"],
        ready=["udp:53", "tcp:53"],
    )
    return host.named
