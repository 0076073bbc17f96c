"""NTLM where the documents have Kerberos, on the way to the directory and in RPC."""

TITLE = "NTLM where Kerberos is the default: LDAP and global catalog from an Exchange server"
TAP = "core"


def prepare(lab, stack):
    lab.dc1
    lab.joined("hub1", stack)


def run(s, lab):
    s.dns("hub1", "dc1")
    config = lab.client_smb("hub1")
    for service, port in (("ldap", 389), ("global_catalog", 3268)):
        with s.step(f"{service} read after an NTLM bind"):
            flow = s.flow("hub1", "dc1", port, service=service, protocols=["ldap"], encryption="gssapi",
                          authentication=["ntlm"], findings=["EXW203"])
            lab["hub1"].run(["ldbsearch", "-s", "base", "-b", "", "-H", f"ldap://dc1.corp.example.com:{port}",
                             "--use-kerberos=off", "-U", "hub1svc%Hub-In-The-Lab-1", f"--configfile={config}"])
            s.cause("NTLM authenticates where the documents have Kerberos only", "EXW203", [flow])
