"""A device between Hub and Edge hides STARTTLS: mail goes on in clear."""

from pathlib import Path

from scenarios.a1_mail import submit

TITLE = "a device in between masks STARTTLS in the answers of Edge: Hub sends in clear"
TAP = "core"
PORT = 10025


def prepare(lab, stack):
    lab.hub1, lab.edge1, lab.mx1
    mask = lab.firewall_program(Path(__file__).parent.parent / "lab/clients/mask.py", PORT)
    stack.callback(mask)
    rule = f"iifname core ip daddr 192.0.2.25 tcp dport 25 redirect to :{PORT}"
    stack.enter_context(lab.network.redirect(rule))


def run(s, lab):
    for host in ("hub1", "client1"):
        s.dns(host)
    with s.step("Hub sends to Edge; EHLO is answered with XXXXXXXX in place of STARTTLS"):
        s.flow("client1", "hub1", 587, service="smtp_submission", protocols=["smtp", "tls"], encryption="starttls")
        masked = s.flow("hub1", "edge1", 25, service="smtp", protocols=["smtp"], findings=["EXW201", "EXW603"])
        lab["client1"].run(submit("hub1.example.com:587", "-tls"))
        lab.settle("hub1", "edge1")
        s.cause("a device between Hub and Edge masks the keyword STARTTLS as XXXXXXXX", "EXW603", [masked])
