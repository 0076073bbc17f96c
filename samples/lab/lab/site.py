"""The daemons of the lab, started when a scenario first needs them, and left running until the end."""

import subprocess
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from .hosts import domain, mail, names
from .network import WORK, Network, shell, wait_until
from .pki import Authority


class Lab:
    """Network, authority and servers."""

    def __init__(self):
        self.network = Network()
        self.authority = Authority()

    def __getitem__(self, name):
        return self.network[name]

    @cached_property
    def names(self):
        """DNS, inside and outside."""
        return [names.start(self.network, name) for name in ("ns1", "ns2")]

    @cached_property
    def mailboxes(self):
        """Folder of the mailboxes, which Hub Transport fills and Client Access reads."""
        return WORK / "mailboxes"

    @cached_property
    def cas1(self):
        """Dovecot on Client Access."""
        mail.mailbox(self.authority, self.mailboxes)
        return mail.dovecot(self["cas1"], self.authority, self.mailboxes)

    @cached_property
    def hub1(self):
        """Postfix on Hub Transport: everything outward goes to Edge."""
        self.names, self.cas1
        settings = {**mail.mailbox(self.authority, self.mailboxes), "relayhost": "[edge1.example.com]:25"}
        return mail.Postfix(self["hub1"], self.authority, settings, submission={})

    @cached_property
    def hub2(self):
        """A second Hub Transport, which sends to the first."""
        self.names
        return mail.Postfix(self["hub2"], self.authority, {
            # Between Hub Transport servers there is TLS, but no client certificate.
            "relayhost": "[hub1.example.com]:25", "smtp_tls_cert_file": "", "smtp_tls_key_file": "",
        })

    @cached_property
    def edge1(self):
        """Postfix on Edge Transport: mail for the site goes to Hub, all other to the Internet, by MX."""
        self.names
        settings = {"relay_domains": "example.com", "transport_maps": "inline:{example.com=relay:[10.20.0.20]:25}"}
        return mail.Postfix(self["edge1"], self.authority, settings)

    @cached_property
    def mx1(self):
        """A mail server of the Internet, which keeps nothing."""
        return self.foreign("mx1")

    @cached_property
    def mx2(self):
        """The second choice for the same domain."""
        return self.foreign("mx2")

    def foreign(self, name):
        self.names
        settings = {"relay_domains": "example.net", "transport_maps": "inline:{example.net=discard:, *=smtp:[192.0.2.25]:25}",
                    "mynetworks": "198.51.100.0/24"}
        return mail.Postfix(self[name], self.authority, settings)

    def deferred(self, name, seconds=60):
        """Waits until this server has given up for now on all that it has to send, and forgets it."""
        server = getattr(self, name)

        def is_deferred():
            listed = server.host.run(["postqueue", "-c", server.folder / "conf", "-j"]).stdout.splitlines()
            return listed and all('"queue_name": "deferred"' in line for line in listed)

        wait_until(is_deferred, f"{name} has deferred its mail", seconds, every=0.3)
        server.empty()

    def client_program(self, name):
        """Path of a program of the lab's own."""
        return Path(__file__).parent / "clients" / name

    def firewall_program(self, *command):
        """Starts a program on the firewall itself; answers what ends it."""
        process = subprocess.Popen(["ip", "netns", "exec", "fw", "/usr/bin/python3", *map(str, command)],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return process.kill

    @contextmanager
    def bad_line(self, name, loss=0.0, jitter_ms=0, shuffle=0.0, carrier="udp"):
        """Puts a bad line between a host and its switch (`impair.py`)."""
        zone = self[name].machine.zone
        shell(f"""
            ip -n switch link add bad-near type veth peer name bad-far
            ip -n switch link set {name} nomaster
            ip -n switch link set bad-far master {zone}
            for device in bad-near bad-far; do
                ip netns exec switch ethtool -K $device tx off tso off gso off gro off
                ip -n switch link set $device up
            done
        """)
        log = self[name].folder / "bad-line.log"
        process = subprocess.Popen(
            ["ip", "netns", "exec", "switch", "/usr/bin/python3", self.client_program("impair.py"), name, "bad-near",
             str(loss), str(jitter_ms), str(shuffle), carrier],
            stdin=subprocess.DEVNULL, stdout=log.open("w"), stderr=subprocess.STDOUT,
        )
        wait_until(lambda: "impairing" in log.read_text(), "the bad line works")
        try:
            yield
        finally:
            process.kill()
            shell(f"ip -n switch link del bad-near; ip -n switch link set {name} master {zone}")

    def settle(self, *names):
        """Waits until these servers have nothing more to send."""
        for name in names:
            server = getattr(self, name)
            wait_until(lambda: server.queued() == 0, f"{name} has sent its mail", every=0.3)

    def hang_up(self, *names):
        """Ends the connections of these hosts that still send. A kernel that cannot be told to (`ss -K`) takes its time."""
        for name in names:
            host = self[name]
            states = "state connected exclude time-wait"
            host.run(f"ss -HKt {states}")
            wait_until(lambda: not host.run(f"ss -Ht {states}").stdout, f"{name} has no connections", seconds=120)

    @cached_property
    def dc1(self):
        """The domain controller."""
        names.start(self.network, "ns1")
        return domain.DomainController(self["dc1"])

    def joined(self, name, stack):
        """Makes a host use the domain, its Kerberos and its DNS, until `stack` ends. (No host has an account of its own.)"""
        host = self[name]
        dc = self.dc1.host
        resolver = Path(f"/etc/netns/{name}/resolv.conf")
        stack.callback(host.file, "resolv.conf", resolver.read_text())
        host.file("krb5.conf", domain.krb5(dc.fqdn))
        host.file("resolv.conf", f"nameserver {dc.address}\nsearch corp.example.com\n")
        return host

    def client_smb(self, name):
        """Samba's configuration for the clients of a host: nothing of the machine's own."""
        host = self[name]
        folder = host.folder / "smb-client"
        folder.mkdir(exist_ok=True)
        config = folder / "smb.conf"
        places = ("private dir", "lock directory", "state directory", "cache directory", "pid directory")
        config.write_text("[global]\n" + "".join(f"{place} = {folder}\n" for place in places) + f"""
            workgroup = CORP
            realm = CORP.EXAMPLE.COM
            netbios name = {name}
            client min protocol = SMB2
        """)
        return config

    def rpc(self, name, interface, level, auth, user="outlook", check=True, server=None):
        """An RPC call from this host to the domain controller, or to another server."""
        credentials = [] if auth == "none" else [user, domain.USERS[user]]
        script = Path(__file__).parent / "clients/rpc.py"
        command = ["/usr/bin/python3", script, self.client_smb(name), server or self.dc1.host.fqdn, interface, level, auth, *credentials]
        return self[name].run(command, check=check, env={"PYTHONDONTWRITEBYTECODE": "1"})
