"""Domain controller: Samba as Active Directory, with endpoint mapper, RPC, LDAP, global catalog, Kerberos, DNS and SMB."""

from ..inventory import REALM

ADMINISTRATOR = "Administrator"
PASSWORD = "Only-In-The-Lab-1"
WORKGROUP = "CORP"
USERS = {"hub1svc": "Hub-In-The-Lab-1", "cas1svc": "Cas-In-The-Lab-1", "outlook": "Outlook-In-The-Lab-1"}

# What runs for itself (replication, dynamic updates) would speak in captures without having been asked to.
SERVICES = "s3fs, rpc, ldap, cldap, kdc, winbindd, dns"

KRB5 = f"""\
[libdefaults]
  default_realm = {REALM}
  dns_lookup_kdc = false
  dns_lookup_realm = false
  dns_canonicalize_hostname = false
  rdns = false
[realms]
  {REALM} = {{{{
    kdc = {{kdc}}
    admin_server = {{kdc}}
  }}}}
[domain_realm]
  .{REALM.lower()} = {REALM}
  {REALM.lower()} = {REALM}
"""


class DomainController:
    """Samba on `dc1`."""

    def __init__(self, host):
        self.host = host
        self.folder = host.folder / "samba"
        options = [
            f"server services = {SERVICES}", f"interfaces = lo {host.address}/24 {host.address6}/64",
            "bind interfaces only = yes", "ldap server require strong auth = no", "allow dns updates = disabled",
            "dns forwarder = 10.20.0.11", "log level = 1", f"log file = {host.folder}/samba.%m.log",
            "disable netbios = yes", "printing = bsd", "load printers = no", "rpc server dynamic port range = 49152-49200",
            "nsupdate command = /bin/true", "samba kcc command = /bin/true", "kccsrv:periodic_interval = 86400",
        ]
        provision = [
            "samba-tool", "domain", "provision", f"--targetdir={self.folder}", f"--realm={REALM}",
            f"--domain={WORKGROUP}", "--server-role=dc", f"--adminpass={PASSWORD}", "--dns-backend=SAMBA_INTERNAL",
            "--host-name=dc1", f"--host-ip={host.address}", f"--host-ip6={host.address6}",
            *[f"--option={option}" for option in options],
        ]
        host.run(provision, timeout=300)
        self.config = self.folder / "etc/smb.conf"
        text = self.config.read_text()
        share = host.folder / "share"
        share.mkdir()
        share.chmod(0o777)
        text = text.replace("[global]", "[global]\n\t" + "\n\t".join(options), 1)
        self.config.write_text(f"{text}\n[share]\n\tpath = {share}\n\tread only = no\n")
        host.file("krb5.conf", krb5(host.fqdn))
        host.file("resolv.conf", f"nameserver {host.address}\nsearch {REALM.lower()}\n")
        self.process = host.start(
            ["samba", "-F", "--no-process-group", "-s", self.config],
            ready=["tcp:135", "tcp:389", "tcp:3268", "tcp:445", "tcp:88", "udp:88", "udp:53"],
        )
        for user, password in USERS.items():
            self.tool("user", "create", user, password)
        for service in ("ldap", "GC", "cifs", "HTTP", "exchangeMDB", "SMTPSVC"):
            # Those that provisioning has added already are refused.
            self.tool("spn", "add", f"{service}/{host.fqdn}", "DC1$", check=False)
        self.tool("user", "setexpiry", "--noexpiry", "outlook")

    def tool(self, *arguments, check=True):
        """samba-tool on the directory itself, without the network."""
        return self.host.run(["samba-tool", *arguments, f"--configfile={self.config}"], check, timeout=60).stdout


def krb5(kdc):
    """Kerberos of a client."""
    return KRB5.format(kdc=kdc)
