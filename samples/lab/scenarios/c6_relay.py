"""TURN and STUN: mapped addresses, allocations with permissions and channels, relayed media, a wrong password."""

import time

from lab.hosts import relay, voice

TITLE = "TURN on the A/V Edge: mapped address, allocation, permission, channel data and send indications, a wrong password"
TAP = "dmz"
DECODE_AS = ["tcp.port==443,stun"]


def prepare(lab, stack):
    for name, server in (("lyncedge1", relay.start), ("home1", relay.echo)):
        stack.callback(lab[name].stop, server(lab[name]))
    lab["client2"], lab["med1"]


def run(s, lab):
    s.dialogues()
    edge, peer = lab["lyncedge1"].address, lab["home1"].address
    client = lab["client2"]
    # Free TURN servers do not speak Microsoft's dialect: that this is the A/V Edge, only the port says.
    about = {"service": "stun_turn", "protocols": ["stun"], "encryption": "unknown", "verdict": "unproven"}
    # What is no RTP stays unnamed; the allocation tells that its port is a relay.
    relayed = {"service": "media", "encryption": "unknown", "verdict": "unattributed"}
    with s.step("a client asks for its mapped address"):
        s.flow("client2", "lyncedge1", 3478, "udp", **about)
        client.run(["turnutils_stunclient", edge])
    for label, options in (("channel data", []), ("send indications", ["-s"])):
        with s.step(f"an allocation, and {label} to a peer on the Internet"):
            # The client asks for a mapped address first.
            s.flow("client2", "lyncedge1", 3478, "udp", count=2, **about)
            s.flow("home1", "lyncedge1", relay.RELAYED, "udp", **relayed)
            client.run(relay.client(edge, peer, *options))
    with s.step("the same over TCP on 443"):
        s.flow("client2", "lyncedge1", 443, count=2, **about)
        s.flow("home1", "lyncedge1", relay.RELAYED, "udp", **relayed)
        client.run(relay.client(edge, peer, "-t", "-p", "443"))
    with s.step("a call whose media the relay carries"):
        for parity, protocol in enumerate(("rtp", "rtcp")):
            carried = {**about, "protocols": ["stun", protocol]}
            s.flow("client2", "lyncedge1", 3478, "udp", client_parity=parity, **carried)
        # Relayed ports are even and odd by chance: the ends of the call are not.
        media = {"service": "media", "encryption": "unknown"}
        s.flow("lyncedge1", "med1", (50300, 50319), "udp", protocols=["rtp"], parity=0, **media)
        s.flow("lyncedge1", "med1", (50300, 50319), "udp", (0, 2), protocols=["rtcp"], parity=1, **media)
        media = f";medianat=turn;stunserver=turn:{edge};stunuser={relay.USER};stunpass={relay.PASSWORD}"
        callee = voice.Phone(lab["med1"], lab.authority, "desk", 5060, "tcp", (50300, 50319))
        caller = voice.Phone(client, lab.authority, "anna", 5060, "tcp", (50320, 50339), media, modules=("turn",),
                             call=f"sip:desk@{lab['med1'].address}:5060;transport=tcp")
        time.sleep(5)
        caller.stop()
        time.sleep(0.5)
        callee.stop()
    with s.step("a wrong password"):
        failed = s.flow("client2", "lyncedge1", 3478, "udp", findings=["EXW313"], **about)
        done = client.run(relay.client(edge, peer, password="wrong"), check=False)
        assert done.returncode != 0, "the wrong password was accepted"
        s.cause("the password is wrong: TURN answers 401 again and again", "EXW313", [failed])
