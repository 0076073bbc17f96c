"""The call router of Exchange 2013 redirects to the Mailbox server; once that works, once the firewall does not let it."""

from lab.hosts import voice

TITLE = "the call router answers 302; the redirected call works, then the firewall blocks the port of the redirect"
TAP = "office"


def prepare(lab, stack):
    stack.callback(lab["cas2"].stop, voice.router(lab["cas2"], lab["um2"].address, 5062))


def run(s, lab):
    s.dialogues()
    with s.step("the call is redirected and answered"):
        s.flow("gw1", "cas2", 5060, service="um_sip", protocols=["sip"])
        voice.refused(lab["gw1"], lab["cas2"].address, 302)
        voice.call(s, lab, "tcp", callee="um2", port=5062)
    with s.step("the call is redirected, and nothing comes through"), lab.network.rule("tcp dport 5062 drop"):
        s.flow("gw1", "cas2", 5060, service="um_sip", protocols=["sip"])
        voice.refused(lab["gw1"], lab["cas2"].address, 302)
        blocked = s.flow("gw1", "um2", 5062, service="um_sip", verdict="unproven", encryption="unknown", findings=["EXW401"])
        lab["gw1"].run(f"timeout 3 bash -c '</dev/tcp/{lab['um2'].address}/5062'", check=False)
        s.cause("the firewall blocks the port that the call router redirects to", "EXW401", [blocked])
