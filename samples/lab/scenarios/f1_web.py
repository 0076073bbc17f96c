"""Web clients of Exchange and Lync on a healthy day, over IPv4 and IPv6, and the first step of Autodiscover."""

from lab.hosts import web

TITLE = "web on a healthy day: the paths of Exchange over HTTPS, Autodiscover by way of port 80, IPv4 and IPv6"
TAP = "core"


def prepare(lab, stack):
    lab.names
    stack.callback(lab["cas1"].stop, web.start(lab["cas1"], lab.authority, "mail.example.com", "autodiscover.example.com"))


def run(s, lab):
    s.dns("client1")
    ca = lab.authority.path
    tls = {"service": "web", "protocols": ["tls"], "encryption": "tls", "verdict": "unproven"}
    for family in (4, 6):
        for path in ("owa/", "EWS/Exchange.asmx", "Microsoft-Server-ActiveSync"):
            with s.step(f"client1 asks for {path} over IPv{family}"):
                s.flow("client1", "cas1", 443, **tls)
                lab["client1"].run(f"curl -s{family} --cacert {ca} https://mail.example.com/{path}")
    with s.step("a client of the Internet, TLS 1.2"):
        s.flow("home1", "cas1", 443, **tls)
        lab["home1"].run(f"curl -s4 --tls-max 1.2 --cacert {ca} --resolve mail.example.com:443:10.20.0.40 https://mail.example.com/owa/")
    with s.step("Autodiscover on 80 is redirected to HTTPS"):
        s.flow("client1", "cas1", 80, service="autodiscover", protocols=["http"])
        lab["client1"].run("curl -s4 http://autodiscover.example.com/Autodiscover/Autodiscover.xml")
