"""Calls over a line that loses, delays and shuffles."""

from lab.hosts import voice

TITLE = "calls over bad lines: 5 per cent of loss, jitter of 30 ms, datagrams out of order"
TAP = "core"


def run(s, lab):
    s.dialogues()
    for label, line in (("loss", {"loss": 0.05}), ("jitter", {"jitter_ms": 30}), ("shuffled", {"shuffle": 0.05})):
        with s.step(f"a call over a bad line: {label}"), lab.bad_line("gw1", **line):
            about = {"media": {"findings": ["EXW311"]}, "rtcp": {"findings": []}} if label == "loss" else {}
            media = voice.call(s, lab, "tcp", talk=5, **about)
        s.cause(f"the line between gateway and switch is bad: {label} {line}", "EXW311" if label == "loss" else None, [media[0]])
