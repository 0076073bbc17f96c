"""Calls over a line that loses, delays and shuffles."""

from lab.hosts import voice

TITLE = "calls over bad lines: 8 per cent of loss, jitter of 30 ms, datagrams out of order"
TAP = "core"


def run(s, lab):
    s.dialogues()
    # A jitter of more than the 20 ms between two packets shuffles them; that it is 10 ms on average a call stands.
    for label, line, code in (
        ("loss", {"loss": 0.08}, "EXW311"),
        ("jitter", {"jitter_ms": 30}, "EXW315"),
        ("shuffled", {"shuffle": 0.05}, "EXW315"),
    ):
        with s.step(f"a call over a bad line: {label}"), lab.bad_line("gw1", **line):
            media = voice.call(s, lab, "tcp", talk=5, media={"findings": [code]}, rtcp={"findings": []})
        s.cause(f"the line between gateway and switch is bad: {label} {line}", code, [media[0]])
