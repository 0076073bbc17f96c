"""Calls with real audio: SIP over UDP, TCP and TLS, RTP and SRTP with RTCP."""

from lab.hosts import voice

TITLE = "calls between a gateway and Unified Messaging: real audio over RTP and SRTP, SIP over UDP, TCP and TLS, IPv4 and IPv6"
TAP = "core"


def run(s, lab):
    s.dialogues()
    # The documents know SIP to Unified Messaging over TCP and TLS only.
    over_udp = {"service": "sip", "verdict": "undocumented", "findings": ["EXW104"]}
    with s.step("SIP over UDP, audio in RTP"):
        voice.call(s, lab, "udp", signalling=over_udp)
    with s.step("SIP over TCP, audio in RTP"):
        voice.call(s, lab, "tcp")
    with s.step("SIP over TCP, audio in SRTP with keys in SDP"):
        voice.call(s, lab, "tcp", srtp=True)
    with s.step("SIP over TLS, audio in SRTP"):
        voice.call(s, lab, "tls", srtp=True)
    with s.step("SIP over TCP, audio in RTP, over IPv6"):
        voice.call(s, lab, "tcp", is_v6=True)
