"""SIP in clear and over TLS on the ports of worker processes and of the Mediation server; calls that are refused."""

import time

from lab.hosts import proxy, voice

TITLE = "SIP on 5065 to 5068: worker processes and the Mediation server, in clear and over TLS; calls that are busy or not found"
TAP = "core"
# The account of the Mediation server: who is called from outside the domain.
TRUNK = "line"


def prepare(lab, stack):
    router = lab["cas2"]
    stack.callback(router.stop, proxy.router(router, lab.authority, f"{lab['um2'].address}:5067"))
    front = lab["fe1"]
    trunk = f"sip:{TRUNK}@{lab['med1'].address}:5067;transport=tls"
    stack.callback(front.stop, proxy.start(front, lab.authority, trunk))


def run(s, lab):
    s.dialogues()
    gateway, um = lab["gw1"], lab["um1"]
    for port, transport in ((5065, "tcp"), (5066, "tls"), (5067, "tcp"), (5068, "tls")):
        with s.step(f"the gateway calls a worker process of Unified Messaging on {port}, over {transport.upper()}"):
            # Beside a port in clear, baresip serves the next one over TLS.
            voice.call(s, lab, transport, srtp=transport == "tls", port=port - (transport == "tls"), talk=2)
    hidden = {"protocols": ["tls"], "encryption": "tls", "verdict": "unproven"}
    with s.step("the call router redirects, all over TLS, to a worker process of a Mailbox server on 5067"):
        s.flow("gw1", "cas2", 5061, service="um_sip", mutual=True, **hidden)
        voice.call(s, lab, "tls", srtp=True, callee="um2", port=5066, talk=2, router=f"{lab['cas2'].address}:5061")
    with s.step("a Lync client calls a number; the Front End routes it to the Mediation server on 5067, over TLS"):
        s.flow("client2", "fe1", 5060, service="sip", protocols=["sip"], authentication=["digest"])
        s.flow("fe1", "med1", 5067, service="sip_mediation", **hidden)
        own, other = (50120, 50139), (50140, 50159)
        media = {"service": "media", "parity": 0, "protocols": ["rtp"]}
        s.flow("client2", "med1", other, "udp", **media)
        s.flow("client2", "med1", other, "udp", (0, 2), **{**media, "parity": 1, "protocols": ["rtcp"]})
        line = voice.Phone(lab["med1"], lab.authority, TRUNK, 5066, "tls", other)
        caller = proxy.client(lab, "client2", "emma", "tcp", own, call="+4930123456")
        time.sleep(4)
        caller.stop()
        time.sleep(0.5)
        line.stop()
    with s.step("a mailbox that Unified Messaging does not know: 404"):
        # Nobody has this name there.
        unknown = s.flow("gw1", "um1", 5060, service="um_sip", protocols=["sip"], findings=["EXW305"])
        server = voice.Phone(um, lab.authority, "um-known", 5060, "tcp")
        voice.refused(gateway, um.address, 404)
        server.stop()
        s.cause("Unified Messaging does not know who is called: 404", "EXW305", [unknown])
    with s.step("a line that is in use: 486"):
        s.flow("gw1", "um1", 5060, service="um_sip", protocols=["sip"])
        busy = voice.answering(um, 5060, "486 Busy Here")
        voice.refused(gateway, um.address, 486)
        um.stop(busy)
