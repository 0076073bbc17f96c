"""Log shipping between Mailbox servers: on its port, and with the port changed on one side only."""

TITLE = "log shipping and cluster heartbeat (scripted peers), then the port is changed on one side only"
TAP = "core"
BEAT = "scripted peers: the format of the heartbeat is not published"
NOTE = "scripted peer: the format of log shipping is not published"


def prepare(lab, stack):
    peer = lab.client_program("peer.py")
    for name in ("mbx1", "mbx2"):
        lab[name]
    for port in (64327, 64400):
        process = lab["mbx2"].start(["/usr/bin/python3", peer, "serve", port], ready=f"tcp:{port}", name=f"peer-{port}")
        stack.callback(lab["mbx2"].stop, process)
        if port == 64327:
            lab.log_server = process


def run(s, lab):
    peer = lab.client_program("peer.py")
    with s.step("two cluster nodes tell each other that they live"):
        s.flow("mbx1", "mbx2", 3343, "udp", service="cluster_heartbeat", verdict="unproven", encryption="unknown", note=BEAT)
        beat = lab["mbx2"].start(["/usr/bin/python3", peer, "beat", lab["mbx1"].address, 3343], ready="udp:3343", name="beat")
        lab["mbx1"].run(["/usr/bin/python3", peer, "beat", lab["mbx2"].address, 3343])
        beat.wait(10)
    with s.step("logs are shipped on 64327"):
        s.flow("mbx1", "mbx2", 64327, service="log_shipping", verdict="unproven", encryption="unknown", note=NOTE)
        lab["mbx1"].run(["/usr/bin/python3", peer, "ship", lab["mbx2"].address, 64327])
    with s.step("the server moves to 64400, the other side does not know"):
        lab["mbx2"].stop(lab.log_server)
        refused = s.flow("mbx1", "mbx2", 64327, service="log_shipping", verdict="unproven", encryption="unknown",
                         findings=["EXW402"], note=NOTE)
        lab["mbx1"].run(["/usr/bin/python3", peer, "ship", lab["mbx2"].address, 64327], check=False)
        s.cause("the port of log shipping was changed on one side only: the old one refuses", "EXW402", [refused])
    with s.step("the other side knows the new port"):
        s.flow("mbx1", "mbx2", 64400, verdict="unattributed", encryption="unknown", findings=["EXW102"], note=NOTE)
        lab["mbx1"].run(["/usr/bin/python3", peer, "ship", lab["mbx2"].address, 64400])
