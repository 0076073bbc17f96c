"""The same traffic as seen in other ways: mirrors, rotated files, a short snap length, another tap."""

from lab.hosts import voice
from scenarios import a1_mail

TITLE = "mail and calls on a healthy day, captured in nine ways at once"
TAP = "core"
# `differs`: what such a capture cannot show, or shows otherwise. Copies come at other times; what is cut off is not seen.
MORE = {
    "vlan": {"title": "a trunk with two VLAN tags", "tap": {"where": "mirror:vlan"}, "tunnel": ["vlan:200", "vlan:12"],
             "differs": ["jitter"]},
    "erspan": {"title": "an ERSPAN type II mirror", "tap": {"where": "mirror:erspan"}, "tunnel": ["erspan"],
               "differs": ["jitter"]},
    "vxlan": {"title": "a VXLAN mirror", "tap": {"where": "mirror:vxlan"}, "tunnel": ["vxlan:5010"], "differs": ["jitter"],
              "carrier": "192.0.2.202:4789"},
    "rotated": {"title": "a series of files, as dumpcap rotates them", "tap": {"rotate": 120}, "differs": ["jitter"]},
    "leg": {"title": "the second tap: the leg of the firewall on the same segment", "tap": {"where": "device:fw:core"},
            "differs": ["jitter"]},
    "snap": {"title": "a snap length of 160 bytes", "tap": {"snap": 160},
             "differs": ["calls", "authentication", "mutual", "encryption", "findings"]},
    # How a connection ended and how a client authenticated is a matter of both its ends.
    "onesided": {"title": "a tap of one direction: what comes from the hosts of the segment, and nothing that comes to them",
                 "tap": {"where": "device:fw:core", "direction": "in"}, "is_partial": True,
                 "differs": ["state", "calls", "authentication", "mutual"]},
}
TOGETHER = {
    "taps": {"title": "both taps at once", "captures": ["d1-mirrors", "d1-mirrors-leg"], "differs": ["jitter"]},
}


def prepare(lab, stack):
    a1_mail.prepare(lab, stack)


def run(s, lab):
    s.dialogues()
    a1_mail.run(s, lab)
    with s.step("a call over TCP, audio in RTP"):
        voice.call(s, lab, "tcp", talk=2)
