"""Directory access on a healthy day: what Exchange servers and clients ask of a domain controller."""

from lab.hosts import domain

TITLE = "directory on a healthy day: DNS, Kerberos, LDAP, global catalog, endpoint mapper, dynamic RPC ports, SMB"
TAP = "core"
DC = "dc1.corp.example.com"


def prepare(lab, stack):
    lab.dc1
    for name in ("hub1", "client1"):
        lab.joined(name, stack)


def run(s, lab):
    hub = lab["hub1"]
    s.offers()
    s.dns("hub1", "dc1")
    s.kerberos("hub1")
    s.dns("client1", "dc1")
    # The documents name no path from a client to a domain controller.
    s.kerberos("client1", verdict="undocumented")
    s.dns("dc1", "ns1")
    with s.step("the server logs on over UDP"):
        # Without and with pre-authentication.
        hub.run("kinit hub1svc", stdin="Hub-In-The-Lab-1\n")
    with s.step("configuration read over LDAP, sealed after a Kerberos bind"):
        s.flow("hub1", "dc1", 389, service="ldap", protocols=["ldap"], encryption="gssapi", authentication=["kerberos"])
        hub.run(f"ldapsearch -N -Q -Y GSSAPI -H ldap://{DC} -b CN=Configuration,DC=corp,DC=example,DC=com -s base")
    with s.step("recipients read from the global catalog, sealed after a Kerberos bind"):
        s.flow("hub1", "dc1", 3268, service="global_catalog", protocols=["ldap"], encryption="gssapi",
               authentication=["kerberos"])
        hub.run(f"ldapsearch -N -Q -Y GSSAPI -H ldap://{DC}:3268 -b DC=corp,DC=example,DC=com '(sAMAccountName=outlook)' mail")
    with s.step("the locator's ping over UDP"):
        s.flow("hub1", "dc1", 389, "udp", (1, 4), service="ldap", protocols=["cldap"])
        hub.run(f"net ads lookup -S {DC} -s {lab.client_smb('hub1')}")
    with s.step("a call on a dynamic port, Kerberos, encrypted"):
        s.flow("hub1", "dc1", 135, service="endpoint_mapper", protocols=["dcerpc"], rpc=s.bound("epmapper"))
        s.flow("hub1", "dc1", (49152, 49200), service=None, verdict="unattributed", protocols=["dcerpc"], encryption="rpc_privacy",
               # Samba does not let this interface be called over TCP.
               findings=["EXW801"], authentication=["kerberos"], rpc=s.bound("lsarpc", "negotiate", "privacy"))
        lab.rpc("hub1", "lsarpc", "privacy", "spnego_kerberos")
    with s.step("the first call of netlogon, which has no authentication yet, on a dynamic port"):
        s.flow("hub1", "dc1", 135, service="endpoint_mapper", protocols=["dcerpc"], rpc=s.bound("epmapper"))
        s.flow("hub1", "dc1", (49152, 49200), service="netlogon", protocols=["dcerpc"], findings=["EXW204"],
               rpc=s.bound("netlogon"))
        lab.rpc("hub1", "netlogon", "none", "none")
    with s.step("a file read over SMB after Kerberos"):
        s.flow("client1", "dc1", 445, service="smb_file", protocols=["netbios_ssn", "smb"], verdict="undocumented",
               authentication=["kerberos"])
        lab["client1"].run("kinit outlook", stdin="Outlook-In-The-Lab-1\n")
        lab["client1"].run(f"smbclient -s {lab.client_smb('client1')} --use-kerberos=required -N //{DC}/share -c 'put /etc/hosts hosts; get hosts hosts.copy'")
