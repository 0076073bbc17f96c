"""X.400 between an old Exchange server and a message transfer agent, and from a host that is neither."""

TITLE = "X.400 on port 102 (scripted peers): an Exchange server transfers a message, then a client does the same"
TAP = "core"
NOTE = "scripted peers: no distribution has an X.400 agent; association as the standards have it, invented message"


def prepare(lab, stack):
    for name in ("mta1", "old1"):
        command = ["/usr/bin/python3", lab.client_program("mta.py"), "serve"]
        stack.callback(lab[name].stop, lab[name].start(command, ready="tcp:102", name="mta"))
    lab["noisy"]


def run(s, lab):
    send = ["/usr/bin/python3", lab.client_program("mta.py"), "send"]
    about = {"service": "x400", "protocols": ["tpkt", "x400"], "note": NOTE}
    with s.step("an Exchange 2003 server transfers a message"):
        s.flow("old1", "mta1", 102, **about)
        lab["old1"].run([*send, lab["mta1"].address])
    with s.step("a client transfers a message: the service runs between the wrong roles"):
        wrong = s.flow("noisy", "old1", 102, findings=["EXW104"], verdict="undocumented", **about)
        lab["noisy"].run([*send, lab["old1"].address])
        s.cause("a client speaks X.400 to an Exchange server", "EXW104", [wrong])
