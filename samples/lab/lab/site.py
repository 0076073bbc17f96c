"""The daemons of the lab, started when a scenario first needs them, and left running until the end."""

from functools import cached_property
from pathlib import Path

from .hosts import domain, mail, names
from .network import WORK, Network, wait_until
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

    def settle(self, *names):
        """Waits until these servers have nothing more to send."""
        for name in names:
            server = getattr(self, name)
            wait_until(lambda: server.queued() == 0, f"{name} has sent its mail", every=0.3)

    @cached_property
    def dc1(self):
        """The domain controller."""
        names.start(self.network, "ns1")
        return domain.DomainController(self["dc1"])

    def joined(self, name, udp_limit=1465):
        """Makes a host use the domain: its Kerberos, its DNS. (No host has an account of its own in the domain.)"""
        host = self[name]
        dc = self.dc1.host
        host.file("krb5.conf", domain.krb5(dc.fqdn, udp_limit))
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

    def rpc(self, name, interface, level, auth, user="outlook", check=True):
        """An RPC call from this host to the domain controller."""
        credentials = [] if auth == "none" else [user, domain.USERS[user]]
        script = Path(__file__).parent / "clients/rpc.py"
        command = ["/usr/bin/python3", script, self.client_smb(name), self.dc1.host.fqdn, interface, level, auth, *credentials]
        return self[name].run(command, check=check, env={"PYTHONDONTWRITEBYTECODE": "1"})
