"""Instant messaging and everything that does not belong: ngircd, Prosody, sshd, snmpd, chrony, rsync."""

from pathlib import Path


def ngircd(host):
    config = host.folder / "ngircd.conf"
    config.write_text(f"""
[Global]
    Name = irc.{host.machine.domain}
    Info = IRC of the lab
    Listen = {host.address}
    Ports = 6667
    ServerUID = nobody
    ServerGID = nogroup
[Options]
    DNS = no
    Ident = no
    PAM = no
    ChrootDir =
""")
    return host.start(["ngircd", "-n", "-f", config], ready="tcp:6667")


def prosody(host, authority):
    certificate, key = authority.issue(host.fqdn, host.machine.domain)
    folder = host.folder / "prosody"
    folder.mkdir()
    folder.chmod(0o777)
    config = folder / "prosody.cfg.lua"
    config.write_text(f"""
run_as_root = true
daemonize = false
pidfile = "{folder}/pid"
data_path = "{folder}"
interfaces = {{ "{host.address}" }}
modules_enabled = {{ "roster", "saslauth", "tls", "disco", "register", "offline" }}
modules_disabled = {{ "s2s" }}
allow_registration = true
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
authentication = "internal_plain"
log = {{ {{ levels = {{ min = "info" }}, to = "file", filename = "{folder}/log" }} }}
ssl = {{ certificate = "{certificate}"; key = "{key}" }}
VirtualHost "{host.machine.domain}"
""")
    return host.start(["prosody", "-F", "--config", config], ready="tcp:5222")


def sshd(host, port=22):
    folder = host.folder / "ssh"
    folder.mkdir(exist_ok=True)
    key = folder / "host_key"
    if not key.exists():
        host.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key, "-C", "lab"])
    # Where it separates its privileges.
    Path("/run/sshd").mkdir(exist_ok=True)
    config = folder / f"sshd-{port}.conf"
    config.write_text(f"Port {port}\nHostKey {key}\nPidFile none\nUsePAM no\nUseDNS no\nListenAddress {host.address}\n")
    return host.start(["/usr/sbin/sshd", "-D", "-e", "-f", config], ready=f"tcp:{port}")


def chronyd(host):
    config = host.folder / "chrony.conf"
    config.write_text(f"local stratum 5\nallow all\nbindaddress {host.address}\ncmdport 0\nbindcmdaddress /\n"
                      f"pidfile {host.folder}/chrony.pid\n")
    return host.start(["chronyd", "-d", "-x", "-u", "root", "-f", config], ready="udp:123")


def snmpd(host):
    config = host.folder / "snmpd.conf"
    config.write_text("rocommunity public\nsysName files1\nsysLocation lab\nsysContact lab\n")
    command = ["snmpd", "-f", "-Lf", host.folder / "snmpd.log", "-C", "-c", config, "-p", host.folder / "snmpd.pid"]
    return host.start([*command, f"udp:{host.address}:161"], ready="udp:161")


def rsyncd(host):
    folder = host.folder / "backup"
    folder.mkdir()
    (folder / "store.edb").write_bytes(bytes(20000))
    config = host.folder / "rsyncd.conf"
    config.write_text(f"pid file = {host.folder}/rsyncd.pid\nuse chroot = no\nuid = root\ngid = root\n"
                      f"[backup]\npath = {folder}\nread only = yes\n")
    command = ["rsync", "--daemon", "--no-detach", f"--config={config}", f"--address={host.address}"]
    return host.start(command, ready="tcp:873")


def smbd(host):
    """A file server of its own, outside of the domain."""
    folder = host.folder / "smb"
    for part in ("share", "private", "state"):
        (folder / part).mkdir(parents=True)
    (folder / "share").chmod(0o777)
    config = folder / "smb.conf"
    places = ("lock directory", "state directory", "cache directory", "pid directory", "ncalrpc dir")
    config.write_text("[global]\n" + "".join(f"{place} = {folder}/state\n" for place in places) + f"""
private dir = {folder}/private
server role = standalone server
netbios name = {host.name}
workgroup = CORP
map to guest = bad user
interfaces = lo {host.address}/24
bind interfaces only = yes
disable netbios = yes
smb ports = 445
load printers = no
printing = bsd
log file = {folder}/log
[share]
path = {folder}/share
read only = no
guest ok = yes
force user = nobody
""")
    return host.start(["smbd", "-F", "--no-process-group", "-s", config], ready="tcp:445")
