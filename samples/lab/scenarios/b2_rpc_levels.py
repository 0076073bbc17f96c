"""Every authentication level of RPC on a dynamic port, by two independent clients."""

from lab.hosts import domain

TITLE = "ept_lookup, ept_map, and calls on dynamic ports with NTLM and Kerberos at each authentication level"
TAP = "core"
# Calls at level packet carry a verifier, too. Level call is that of connectionless RPC: Samba refuses to bind it over TCP.
LEVELS = {"connect": "none", "packet": "rpc_integrity", "integrity": "rpc_integrity", "privacy": "rpc_privacy"}
DC = "dc1.corp.example.com"


def prepare(lab, stack):
    lab.dc1
    lab.joined("hub2", stack)


def run(s, lab):
    hub = lab["hub2"]
    s.dns("hub2", "dc1")
    s.kerberos("hub2")
    s.offers()
    with s.step("impacket lists everything that is registered (ept_lookup)"):
        s.flow("hub2", "dc1", 135, service="endpoint_mapper", protocols=["dcerpc"], rpc=s.bound("epmapper"))
        hub.run(f"impacket-rpcdump {DC}")
    for auth, mechanism, kind in (("ntlm", "ntlm", "ntlm"), ("spnego_ntlm", "ntlm", "negotiate"),
                                  ("spnego_kerberos", "kerberos", "negotiate"), ("kerberos", "kerberos", "kerberos")):
        for level, encryption in LEVELS.items():
            bound = s.bound("drsuapi", kind, level)
            if auth == "ntlm" and level == "packet":
                # impacket binds at this level, and then sends calls without a verifier.
                encryption, bound = "none", s.bound("drsuapi")
            # Samba answers what is not sealed with "access denied".
            findings = [] if level == "privacy" else ["EXW801"]
            attempt(s, lab, level, auth, authentication=[mechanism], encryption=encryption, rpc=bound, findings=findings)
    hub.run(f"kinit outlook && kvno -q host/{DC}", stdin=domain.USERS["outlook"] + "\n")
    for auth, mechanism in (("ntlm", "ntlm"), ("gss_kerberos", "kerberos")):
        refused = attempt(s, lab, "call", auth, authentication=[mechanism], encryption="unknown", findings=["EXW802"])
        s.cause("the server refuses a bind at level call", "EXW802", [refused])
    with s.step("samr bound anonymously"):
        s.flow("hub2", "dc1", 135, service="endpoint_mapper", protocols=["dcerpc"], rpc=s.bound("epmapper"))
        s.flow("hub2", "dc1", (49152, 49200), service=None, verdict="unattributed", protocols=["dcerpc"], rpc=s.bound("samr"))
        lab.rpc("hub2", "samr", "none", "none", check=False)


def attempt(s, lab, level, auth, **about):
    """One bind and one call of an interface that no document knows; answers the declaration of its flow."""
    with s.step(f"drsuapi bound with {auth} at level {level}"):
        s.flow("hub2", "dc1", 135, service="endpoint_mapper", protocols=["dcerpc"], rpc=s.bound("epmapper"))
        flow = s.flow("hub2", "dc1", (49152, 49200), service=None, verdict="unattributed", protocols=["dcerpc"], **about)
        lab.rpc("hub2", "drsuapi", level, auth, check=False)
    return flow
