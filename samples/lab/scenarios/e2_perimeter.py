"""Services that no document lists, through the perimeter."""

from lab.hosts import chat

TITLE = "undocumented services through the perimeter: SSH to Edge, SSH on 443, IRC to the Internet"
TAP = "dmz"
DECODE_AS = ["tcp.port==443,ssh"]


def prepare(lab, stack):
    lab["home1"]
    for port in (22, 443):
        stack.callback(lab["edge1"].stop, chat.sshd(lab["edge1"], port))
    stack.callback(lab["swarm1"].stop, chat.ngircd(lab["swarm1"]))


def run(s, lab):
    ssh = "ssh -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o BatchMode=yes -p {} root@192.0.2.25 true"
    with s.step("SSH to Edge from the Internet"):
        flow = s.flow("home1", "edge1", 22, protocols=["ssh"], verdict="unattributed", encryption="unknown", findings=["EXW102"])
        lab["home1"].run(ssh.format(22), check=False)
        s.cause("SSH is open to the Internet on Edge", "EXW102", [flow])
    with s.step("SSH to Edge on 443"):
        flow = s.flow("home1", "edge1", 443, protocols=["ssh"], verdict="contradicted", encryption="unknown", findings=["EXW103"])
        lab["home1"].run(ssh.format(443), check=False)
        s.cause("SSH hides behind 443 of Edge", "EXW103", [flow])
    with s.step("IRC from Edge to the Internet"):
        # The documents know IRC of an Exchange server that listens.
        s.flow("edge1", "swarm1", 6667, service="irc", protocols=["irc"], verdict="undocumented", findings=["EXW105"])
        talk = r"printf 'NICK edge\r\nUSER edge 0 * :edge\r\n'; sleep 1; printf 'JOIN #lab\r\nPRIVMSG #lab :hello\r\nQUIT\r\n'; sleep 1"
        lab["edge1"].run(["bash", "-c", f"exec 3<>/dev/tcp/198.51.100.99/6667; ({talk}) >&3; timeout 1 cat <&3"], check=False)
