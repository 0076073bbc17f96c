"""EdgeSync on a healthy day, from the wrong host, and the wrong way round."""

from lab.hosts import directory

TITLE = "EdgeSync from Hub, EdgeSync from a Client Access server, and Edge that opens it towards Hub"
TAP = "dmz"


def prepare(lab, stack):
    lab.names
    for name in ("hub1", "cas1"):
        lab[name]
    stack.callback(lab["edge1"].stop, directory.start(lab["edge1"], lab.authority))


def run(s, lab):
    trust = f"LDAPTLS_REQCERT=demand LDAPTLS_CACERT={lab.authority.path}"
    tls = {"protocols": ["tls"], "encryption": "tls"}
    with s.step("Hub writes recipients to Edge by LDAPS"):
        s.flow("hub1", "edge1", 50636, count=2, service="edgesync", verdict="unproven", **tls)
        lab["hub1"].run(directory.update("ldaps://edge1.example.com:50636", "grace", trust))
    with s.step("a Client Access server does the same: EdgeSync from the wrong host"):
        wrong = s.flow("cas1", "edge1", 50636, count=2, service="edgesync", verdict="unproven", findings=["EXW104"], **tls)
        lab["cas1"].run(directory.update("ldaps://edge1.example.com:50636", "heidi", trust))
        s.cause("EdgeSync comes from a host that is no Hub Transport server", "EXW104", [wrong])
    with s.step("Edge opens the port towards Hub, and the firewall does not let it"):
        turned = s.flow("edge1", "hub1", 50636, service="edgesync", verdict="unproven", encryption="unknown",
                        findings=["EXW105"])
        lab["edge1"].run("timeout 3 openssl s_client -connect 10.20.0.20:50636", check=False)
        s.cause("EdgeSync is opened by Edge, the wrong way round", "EXW105", [turned])
