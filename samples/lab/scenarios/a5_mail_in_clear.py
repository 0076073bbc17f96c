"""Mail without TLS where the documents have it by default, and passwords that can be read."""

from lab.hosts import directory
from scenarios.a1_mail import USER, submit

TITLE = "clear text: submission with AUTH, Hub to Edge, POP3 and IMAP4 with passwords, AD LDS on 50389"
TAP = "core"


def prepare(lab, stack):
    hub, edge = lab.hub1, lab.edge1
    lab.cas1, lab.mx1
    stack.callback(hub.set, **hub.set(smtp_tls_security_level="none"))
    stack.callback(lab["edge1"].stop, directory.start(lab["edge1"], lab.authority))


def run(s, lab):
    for host in ("hub1", "client1"):
        s.dns(host)
    with s.step("client1 submits without TLS, with AUTH LOGIN; Hub sends on to Edge without TLS"):
        password = s.flow("client1", "hub1", 587, service="smtp_submission", protocols=["smtp"], authentication=["basic"],
                          findings=["EXW201", "EXW202", "EXW203"])
        clear = s.flow("hub1", "edge1", 25, service="smtp", protocols=["smtp"], findings=["EXW201"])
        lab["client1"].run(submit("hub1.example.com:587"))
        lab.settle("hub1", "edge1")
        s.cause("the client sends its password before any TLS", "EXW202", [password])
        s.cause("Hub has TLS switched off, which is the default between it and Edge", "EXW201", [clear])
    with s.step("POP3 and IMAP4 with a password in clear"):
        # One of the documents lists POP3 on 110 without a word about encryption: then only the password is a finding.
        s.flow("client1", "cas1", 110, service="pop3", protocols=["pop3"], authentication=["basic"], findings=["EXW202"])
        s.flow("client1", "cas1", 143, service="imap", protocols=["imap"], authentication=["basic"],
               findings=["EXW201", "EXW202"])
        lab["client1"].run(f"curl -s --login-options AUTH=PLAIN pop3://cas1.example.com/ {USER}")
        lab["client1"].run(f"curl -s imap://cas1.example.com/INBOX {USER}")
    with s.step("Hub reads AD LDS of Edge on 50389, in clear across the perimeter"):
        crossed = s.flow("hub1", "edge1", 50389, count=2, service="ad_lds", protocols=["ldap"], authentication=["basic"],
                         verdict="undocumented", findings=["EXW202", "EXW205"])
        lab["hub1"].run(directory.update("ldap://edge1.example.com:50389", "frank"))
        s.cause("AD LDS of Edge is asked in clear across the perimeter", "EXW205", [crossed])
