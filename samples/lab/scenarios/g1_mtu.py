"""A path whose largest packet shrinks, and a firewall that does not say so."""

from scenarios.a1_mail import submit

TITLE = "a black hole for large packets: the perimeter takes 1300 bytes at most, and the firewall sends no ICMP about it"
TAP = "core"


def prepare(lab, stack):
    hub = lab.hub1
    lab.edge1
    # What never arrived would come in the next capture, when the line is good again.
    stack.callback(lab.hang_up, "hub1", "edge1")
    stack.callback(hub.empty)
    stack.enter_context(lab.network.small_packets("dmz", 1300))


def run(s, lab):
    for host in ("hub1", "client1"):
        s.dns(host)
    with s.step("Hub sends a large message to Edge; the first full segments never arrive"):
        s.flow("client1", "hub1", 587, service="smtp_submission", protocols=["smtp", "tls"], encryption="starttls")
        about = {"service": "smtp", "protocols": ["smtp", "tls"], "encryption": "starttls", "mutual": True}
        stuck = s.flow("hub1", lab["edge1"].address, 25, findings=["EXW410", "EXW415"], **about)
        # Then Postfix tries the other address.
        s.flow("hub1", lab["edge1"].address6, 25, count=(0, 2), findings=["EXW415"], **about)
        body = lab["client1"].folder / "large.txt"
        body.write_text("a line of a large message\n" * 2000)
        lab["client1"].run([*submit("hub1.example.com:587", "-tls"), "--body", f"@{body}"])
        lab.deferred("hub1")
        s.cause("packets above 1300 bytes are dropped on the way without an ICMP error: path MTU discovery fails", "EXW415", [stuck])
