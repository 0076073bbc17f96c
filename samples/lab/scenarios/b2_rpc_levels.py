"""Every authentication level of RPC on a dynamic port, by two independent clients."""

TITLE = "ept_lookup, ept_map, and calls on dynamic ports with NTLM and Kerberos at each authentication level"
TAP = "core"
# Calls at level packet carry a verifier, too.
LEVELS = {"connect": "none", "packet": "rpc_integrity", "integrity": "rpc_integrity", "privacy": "rpc_privacy"}


def prepare(lab, stack):
    lab.dc1
    lab.joined("hub2", stack)


def run(s, lab):
    s.dns("hub2", "dc1")
    s.kerberos("hub2")
    s.offers()
    with s.step("impacket lists everything that is registered (ept_lookup)"):
        s.flow("hub2", "dc1", 135, service="endpoint_mapper", protocols=["dcerpc"], rpc=s.bound("epmapper"))
        lab["hub2"].run("impacket-rpcdump dc1.corp.example.com")
    for auth, mechanism, kind in (("ntlm", "ntlm", "ntlm"), ("spnego_ntlm", "ntlm", "negotiate"),
                                  ("spnego_kerberos", "kerberos", "negotiate"), ("kerberos", "kerberos", "kerberos")):
        for level, encryption in LEVELS.items():
            with s.step(f"drsuapi bound with {auth} at level {level}"):
                s.flow("hub2", "dc1", 135, service="endpoint_mapper", protocols=["dcerpc"], rpc=s.bound("epmapper"))
                bound = s.bound("drsuapi", kind, level)
                if auth == "ntlm" and level == "packet":
                    # impacket binds at this level, and then sends calls without a verifier.
                    encryption, bound = "none", s.bound("drsuapi")
                s.flow("hub2", "dc1", (49152, 49200), service=None, verdict="unattributed", protocols=["dcerpc"],
                       encryption=encryption, authentication=[mechanism], rpc=bound,
                       # Samba answers what is not sealed with "access denied".
                       findings=[] if level == "privacy" else ["EXW801"])
                lab.rpc("hub2", "drsuapi", level, auth, check=False)
    with s.step("samr bound anonymously"):
        s.flow("hub2", "dc1", 135, service="endpoint_mapper", protocols=["dcerpc"], rpc=s.bound("epmapper"))
        s.flow("hub2", "dc1", (49152, 49200), service=None, verdict="unattributed", protocols=["dcerpc"], rpc=s.bound("samr"))
        lab.rpc("hub2", "samr", "none", "none", check=False)
