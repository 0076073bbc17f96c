"""Mail on a healthy day, seen inside."""

TITLE = "mail on a healthy day, seen on the segment of the servers: submission, Edge both ways, POP3 and IMAP4"
TAP = "core"


def prepare(lab, stack):
    for name in ("hub1", "hub2", "edge1", "mx1"):
        getattr(lab, name)


def run(s, lab):
    for host in ("hub1", "hub2", "client1"):
        s.dns(host)
    tls = {"protocols": ["smtp", "tls"], "encryption": "starttls"}
    with s.step("client1 submits on 587 after STARTTLS, with AUTH; Hub sends on to Edge with both certificates"):
        s.flow("client1", "hub1", 587, service="smtp_submission", **tls)
        s.flow("hub1", "edge1", 25, service="smtp", mutual=True, **tls)
        lab["client1"].run(submit("hub1.example.com:587", "-tls"))
        lab.settle("hub1", "edge1")
    with s.step("mail from the Internet comes through Edge to Hub"):
        s.flow("edge1", "hub1", 25, service="smtp", mutual=True, **tls)
        lab["mx1"].run("swaks --server 192.0.2.25:25 --from carol@example.net --to alice@example.com -tls --body hello")
        lab.settle("edge1", "hub1")
    with s.step("Hub to Hub"):
        s.flow("hub2", "hub1", 25, service="smtp", **tls)
        lab["hub2"].run("swaks --server hub2.example.com:25 --from bob@example.com --to alice@example.com --body hello")
        lab.settle("hub2", "hub1")
    with s.step("POP3 and IMAP4 with TLS from the start"):
        s.flow("client1", "cas1", 995, service="pop3", protocols=["tls"], encryption="tls", verdict="unproven")
        s.flow("client1", "cas1", 993, service="imap", protocols=["tls"], encryption="tls", verdict="unproven")
        lab["client1"].run(f"curl -sk pop3s://cas1.example.com/1 {USER}")
        lab["client1"].run(f"curl -sk 'imaps://cas1.example.com/INBOX;UID=1' {USER}")
    with s.step("POP3 and IMAP4 with STLS and STARTTLS"):
        s.flow("client1", "cas1", 110, service="pop3", protocols=["pop3", "tls"], encryption="starttls")
        s.flow("client1", "cas1", 143, service="imap", protocols=["imap", "tls"], encryption="starttls")
        lab["client1"].run(f"curl -sk --ssl-reqd pop3://cas1.example.com/1 {USER}")
        lab["client1"].run(f"curl -sk --ssl-reqd 'imap://cas1.example.com/INBOX;UID=1' {USER}")


USER = "-u alice:alice-in-the-lab"


def submit(server, *more):
    return ["swaks", "--server", server, "--from", "alice@example.com", "--to", "carol@example.net", "--auth", "LOGIN",
            "--auth-user", "alice", "--auth-password", "alice-in-the-lab", "--body", "hello from the lab", *more]
