"""The endpoint mapper answers, and the port that it gives out cannot be reached."""

TITLE = "the domain controller's own firewall drops the dynamic RPC range for an Exchange server"
TAP = "core"


def prepare(lab, stack):
    lab.dc1
    lab.joined("mbx1", stack)
    stack.enter_context(lab.network.rule("tcp dport 49152-65535 drop", at="dc1"))


def run(s, lab):
    s.dns("mbx1", "dc1")
    s.offers()
    for interface, service in (("netlogon", "netlogon"), ("drsuapi", None)):
        with s.step(f"a call to {interface}: the offered port does not answer"):
            s.flow("mbx1", "dc1", 135, service="endpoint_mapper", protocols=["dcerpc"], rpc=s.bound("epmapper"))
            # The documents know nothing of the second interface, but its port was offered all the same.
            about = {"verdict": "unproven" if service else "unattributed", "findings": ["EXW404", "EXW405"]}
            blocked = s.flow("mbx1", "dc1", (49152, 49200), count=(1, 2), service=service, encryption="unknown", **about)
            assert lab.rpc("mbx1", interface, "none", "none", check=False).returncode == 3
            s.cause("the firewall drops the dynamic RPC range: the endpoint mapper answers, the port that it offers "
                    "does not", "EXW404", [blocked])
