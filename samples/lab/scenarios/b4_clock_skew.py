"""A clock that is wrong by hours: Kerberos refuses, and says why."""

from pathlib import Path

TITLE = "a server whose clock is two hours ahead logs on by Kerberos"
TAP = "core"


def prepare(lab, stack):
    host = lab.joined("cas1", stack)
    path = host.folder / "krb5-strict.conf"
    text = Path("/etc/netns/cas1/krb5.conf").read_text()
    # Without this, MIT's client takes the time from the error and tries again.
    path.write_text(text.replace("[libdefaults]", "[libdefaults]\n  kdc_timesync = 0"))
    lab.strict_kerberos = path


def run(s, lab):
    s.dns("cas1", "dc1")
    with s.step("AS-REQ with a time stamp that is two hours ahead: KRB_AP_ERR_SKEW"):
        skewed = s.flow("cas1", "dc1", 88, "udp", (1, 3), service="kerberos", protocols=["kerberos"],
                        encryption="unknown")
        done = lab["cas1"].run(["faketime", "-f", "+2h", "kinit", "cas1svc"], check=False, stdin="Cas-In-The-Lab-1\n",
                               env={"KRB5_CONFIG": str(lab.strict_kerberos)})
        assert done.returncode != 0, "the clock skew was accepted"
        s.cause("the client's clock is two hours ahead of the domain controller's: KRB_AP_ERR_SKEW", "EXW703", [skewed])
