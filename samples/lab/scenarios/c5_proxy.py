"""SIP through a proxy: registration, a call that the proxy routes and stays in, and calls that it cannot route."""

import time

from lab.hosts import proxy

TITLE = "Lync clients register with their Front End and call each other through it, over UDP, TCP and TLS; calls that fail"
TAP = "office"


def prepare(lab, stack):
    front = lab["fe1"]
    stack.callback(front.stop, proxy.start(front, lab.authority, f"sip:{lab['med1'].address}:5060;transport=tcp"))
    lab["client2"], lab["client3"]


def range_of(number):
    """Media ports of one phone, in the range that the documents give Lync."""
    return 50100 + 20 * number, 50100 + 20 * number + 19


def talk(lab, transport, called, name, own, other):
    """A call to `called`, which `name` answers."""
    callee = proxy.client(lab, "client3", name, transport, other)
    time.sleep(1)
    caller = proxy.client(lab, "client2", f"to-{called}", transport, own, call=called)
    time.sleep(4)
    caller.stop()
    time.sleep(0.5)
    callee.stop()


def run(s, lab):
    s.dialogues()
    hidden = {"protocols": ["tls"], "encryption": "tls", "verdict": "unproven"}
    plain = {"protocols": ["sip"]}
    for number, transport in enumerate(("udp", "tcp", "tls")):
        ports = range_of(2 * number), range_of(2 * number + 1)
        port, carrier = 5061 if transport == "tls" else 5060, "udp" if transport == "udp" else "tcp"
        with s.step(f"two clients register over {transport.upper()}, and one calls the other"):
            about = {"service": "sip", **(hidden if transport == "tls" else plain)}
            known = {} if transport == "tls" else {"authentication": ["digest"]}
            for name in ("client2", "client3"):
                s.flow(name, "fe1", port, carrier, **about, **known)
            if carrier == "tcp":
                # Towards the place that was registered.
                s.flow("fe1", "client3", port, carrier, **about)
            media = {"service": "media", "encryption": "unknown" if transport == "tls" else "none"}
            s.flow("client2", "client3", ports[1], "udp", protocols=["rtp"], parity=0, **media)
            s.flow("client2", "client3", ports[1], "udp", (0, 2), protocols=["rtcp"], parity=1, **media)
            talk(lab, transport, f"bert{number}", f"bert{number}", *ports)
    with s.step("a call to a user who has moved: 302, and the caller follows it"):
        ports = range_of(6), range_of(7)
        for name in ("client2", "client3"):
            s.flow(name, "fe1", 5060, service="sip", authentication=["digest"], **plain)
        s.flow("fe1", "client3", 5060, service="sip", **plain)
        s.flow("client2", "client3", ports[1], "udp", protocols=["rtp"], parity=0, service="media")
        s.flow("client2", "client3", ports[1], "udp", (0, 2), protocols=["rtcp"], parity=1, service="media")
        talk(lab, "tcp", "moved", proxy.MOVED, *ports)
    with s.step("a call to a user who is not known"):
        failed = s.flow("client2", "fe1", 5060, service="sip", authentication=["digest"], findings=["EXW305"], **plain)
        caller = proxy.client(lab, "client2", "carl", "tcp", range_of(8), call="nobody")
        time.sleep(2)
        caller.stop()
        s.cause("nobody has registered under that name: the proxy answers 404", "EXW305", [failed])
