"""A call that is answered, and of which only one end hears the other."""

from lab.hosts import voice

TITLE = "one-way audio: the firewall drops what Unified Messaging sends to the media ports of the gateway"
TAP = "office"


def run(s, lab):
    s.dialogues()
    with s.step("the call is answered; audio comes through in one direction only"):
        with lab.network.rule("iifname core oifname office udp dport 20000-20999 drop"):
            # RTP and RTCP of one direction never reach this side of the firewall.
            media = voice.call(s, lab, "tcp", signalling={"findings": ["EXW308"]}, media={"findings": ["EXW308"]},
                               rtcp={"findings": []})
        s.cause("the firewall drops the media from Unified Messaging to the gateway: one-way audio", "EXW308", [media[0]])
