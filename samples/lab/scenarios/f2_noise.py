"""What does not belong: a client that chats, shares files, keeps time, copies backups and logs in."""

from lab.hosts import chat, swarm

TITLE = "a noisy client: XMPP, IRC, SSH, NTP, SNMP, rsync, a file share, a BitTorrent tracker"
TAP = "office"


def prepare(lab, stack):
    lab.names
    for name, server in (("swarm1", chat.ngircd), ("swarm1", swarm.opentracker), ("files1", chat.sshd), ("files1", chat.chronyd),
                         ("files1", chat.snmpd), ("files1", chat.rsyncd), ("files1", chat.smbd)):
        stack.callback(lab[name].stop, server(lab[name]))
    stack.callback(lab["swarm1"].stop, chat.prosody(lab["swarm1"], lab.authority))
    lab["noisy"]


def run(s, lab):
    noisy, files = lab["noisy"], lab["files1"].address
    swarm = lab["swarm1"].address
    other = {"verdict": "unattributed"}
    with s.step("SSH"):
        s.flow("noisy", "files1", 22, protocols=["ssh"], encryption="unknown", **other)
        noisy.run(f"ssh -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o BatchMode=yes root@{files} true", check=False)
    with s.step("time"):
        s.flow("noisy", "files1", 123, "udp", protocols=["ntp"], **other)
        noisy.run(f"chronyd -Q -t 3 'server {files} iburst maxsamples 1'", check=False)
    with s.step("SNMP"):
        s.flow("noisy", "files1", 161, "udp", protocols=["snmp"], **other)
        noisy.run(f"snmpget -v2c -c public {files} 1.3.6.1.2.1.1.5.0")
    with s.step("rsync"):
        s.flow("noisy", "files1", 873, protocols=["rsync"], **other)
        noisy.run(f"rsync -q rsync://{files}/backup/store.edb copied.edb", check=False)
    with s.step("a file share"):
        s.flow("noisy", "files1", 445, service="smb_file", protocols=["netbios_ssn", "smb"], verdict="undocumented",
               authentication=["guest", "ntlm"], findings=["EXW101"])
        noisy.run(f"smbclient -s {lab.client_smb('noisy')} -N //{files}/share -c 'put /etc/hosts hosts; ls'")
    with s.step("IRC"):
        s.flow("noisy", "swarm1", 6667, service="irc", protocols=["irc"], verdict="undocumented")
        talk = r"printf 'NICK noisy\r\nUSER noisy 0 * :noisy\r\n'; sleep 1; printf 'JOIN #lab\r\nPRIVMSG #lab :hello\r\nQUIT\r\n'; sleep 1"
        noisy.run(["bash", "-c", f"exec 3<>/dev/tcp/{swarm}/6667; ({talk}) >&3; timeout 1 cat <&3"], check=False)
    with s.step("XMPP"):
        s.flow("noisy", "swarm1", 5222, protocols=["xmpp"], **other)
        open_stream = "<?xml version='1.0'?><stream:stream to='example.net' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>"
        noisy.run(["bash", "-c", f"exec 3<>/dev/tcp/{swarm}/5222; echo \"{open_stream}\" >&3; sleep 1; echo '</stream:stream>' >&3; timeout 1 cat <&3"], check=False)
    with s.step("a BitTorrent tracker"):
        s.flow("noisy", "swarm1", 6969, protocols=["http"], service="web", verdict="undocumented")
        noisy.run(f"curl -s 'http://{swarm}:6969/announce?info_hash=12345678901234567890&peer_id=-LB0001-123456789012&port=6881&uploaded=0&downloaded=0&left=0&compact=1' -o /dev/null")
