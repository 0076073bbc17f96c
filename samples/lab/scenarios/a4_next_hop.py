"""The next hop: a name that does not resolve, a server that is down and its stand-in, a server that does not answer."""

TITLE = "Edge sends to the Internet: DNS failure of the next hop, failover to the second MX, a next hop that does not answer"
TAP = "dmz"


def prepare(lab, stack):
    edge = lab.edge1
    lab.hub1, lab.mx2
    # The first MX of example.net is down: its host is up, and refuses.
    stack.enter_context(lab.network.rule("tcp dport 25 reject with tcp reset", at="mx1"))
    stack.callback(edge.empty)


def send(lab, recipient):
    lab["edge1"].run(["swaks", "--server", "192.0.2.25:25", "--from", "alice@example.com", "--to", recipient, "--body", "x"])


def run(s, lab):
    edge = lab["edge1"]
    s.dns("edge1", "ns2")
    with s.step("no such domain"):
        # Edge tells the sender.
        s.flow("edge1", "hub1", 25, service="smtp", protocols=["smtp", "tls"], encryption="starttls", mutual=True)
        send(lab, "erin@no-such-domain.example.net")
        lab.settle("edge1")
        s.cause("the domain of the recipient does not exist: DNS answers NXDOMAIN, and no connection is tried", "EXW701")
    with s.step("the first MX refuses, the second takes the message"):
        refused = s.flow("edge1", "mx1", 25, count=(1, 2), service="smtp", verdict="unproven", encryption="unknown", findings=["EXW402"])
        s.flow("edge1", "mx2", 25, service="smtp", protocols=["smtp", "tls"], encryption="starttls", mutual=True)
        send(lab, "carol@example.net")
        lab.settle("edge1")
        s.cause("the first mail server of the next domain refuses: its host answers with RST", "EXW402", [refused])
    with s.step("neither answers"), lab.network.rule("iifname dmz oifname net tcp dport 25 drop"):
        silent = [s.flow("edge1", name, 25, count=(1, 2), service="smtp", verdict="unproven", encryption="unknown", findings=["EXW401"])
                  for name in ("mx1", "mx2")]
        send(lab, "carol@example.net")
        lab.deferred("edge1")
        s.cause("the firewall drops what Edge sends to port 25 of the Internet", "EXW401", silent)
