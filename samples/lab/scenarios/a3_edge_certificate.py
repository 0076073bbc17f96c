"""The certificate of Edge has expired: Hub, which requires it, does not send, and EdgeSync stops."""

from lab.hosts import directory
from scenarios.a1_mail import submit

TITLE = "the certificate of Edge expired ten days ago: mail waits in the queue of Hub, and EdgeSync fails"
TAP = "core"


def prepare(lab, stack):
    hub, edge = lab.hub1, lab.edge1
    certificate, key = lab.authority.issue(lab["edge1"].fqdn, expired=True)
    for server, settings in (
        (edge, {"smtpd_tls_cert_file": certificate, "smtpd_tls_key_file": key}),
        (hub, {"smtp_tls_security_level": "verify", "smtp_tls_verify_cert_match": "hostname"}),
    ):
        before = server.set(**settings)
        stack.callback(server.set, **before)
    stack.callback(hub.empty)
    slapd = directory.start(lab["edge1"], lab.authority, expired=True)
    stack.callback(lab["edge1"].stop, slapd)


def run(s, lab):
    for host in ("hub1", "client1"):
        s.dns(host)
    with s.step("Hub requires a valid certificate of Edge, and leaves after the handshake"):
        s.flow("client1", "hub1", 587, service="smtp_submission", protocols=["smtp", "tls"], encryption="starttls")
        mail = s.flow("hub1", "edge1", 25, count=(1, 2), service="smtp", protocols=["smtp", "tls"], encryption="starttls",
                      mutual=True, findings=["EXW504"])
        lab["client1"].run(submit("hub1.example.com:587", "-tls"))
        lab.deferred("hub1")
        s.cause("the certificate of Edge has expired: Hub does not deliver to it", "EXW504", [mail])
    with s.step("EdgeSync requires it as well, and leaves after the handshake"):
        sync = s.flow("hub1", "edge1", 50636, service="edgesync", protocols=["tls"], encryption="tls", verdict="unproven")
        trust = f"LDAPTLS_REQCERT=demand LDAPTLS_CACERT={lab.authority.path}"
        done = lab["hub1"].run(directory.update("ldaps://edge1.example.com:50636", "dave", trust), check=False)
        assert done.returncode != 0, "the expired certificate was accepted"
        # No alert is sent: the client's only sealed record is its Finished, then it closes. Who probes the port leaves like that,
        # and TLS 1.3 seals the certificate: nothing on the wire proves the cause.
        s.cause("the certificate of Edge has expired: EdgeSync leaves after the handshake, and asks nothing", None, [sync])
