"""Mail over a line that loses segments: TCP repairs it, and the capture shows how much it had to."""

TITLE = "mail over a line that loses segments in both directions, seen at the sender"
TAP = "host:hub2"


def prepare(lab, stack):
    lab.hub2, lab.hub1, lab.edge1, lab.mx1


def run(s, lab):
    s.dns("hub2")
    with s.step("Hub sends a large message to Hub; one data segment of eight is lost"), lab.bad_line("hub2", loss=0.12, carrier="tcp"):
        s.flow("hub2", "hub2", 25, service="smtp", count=(0, 1), protocols=["smtp", "tls"], encryption="starttls")
        slow = s.flow("hub2", "hub1", 25, service="smtp", protocols=["smtp", "tls"], encryption="starttls", findings=["EXW410"])
        body = lab["hub2"].folder / "large.txt"
        body.write_text("a line of a large message\n" * 4000)
        lab["hub2"].run(["swaks", "--server", "hub2.example.com:25", "--from", "bob@example.com", "--to", "alice@example.com",
                         "--body", f"@{body}"])
        lab.settle("hub2")
        s.cause("the line between Hub and its switch loses one data segment of eight", "EXW410", [slow])
