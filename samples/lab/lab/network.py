"""Namespaces, switches, the firewall and the processes in them.

Everything lives in one private world (`isolate`): own mount, process, network, host name and IPC namespaces. Whatever is
started in it ends with the driver, whatever is mounted or configured in it is gone with it, and nothing in it can reach
a network outside. No other clean-up is needed, and none can be forgotten.
"""

import os
import shlex
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

from .inventory import MACHINES, ZONES

# Inside the private world only; a fixed path keeps configurations the same from run to run.
WORK = Path("/run/lab")
# Nothing in the lab takes longer than this, except provisioning a domain.
PATIENCE_SECONDS = 30


def isolate():
    """Runs this program again in a private world, and returns its exit status."""
    inner = [sys.executable, *sys.argv, "--inside"]
    flags = ["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--net", "--uts", "--ipc"]
    # Where this program is killed, the world goes with it, too.
    return subprocess.call(["setpriv", "--pdeathsig", "KILL", "unshare", *flags, "--propagation", "private", *inner])


def furnish(kept):
    """Makes the machine's own files read-only, but for the `kept` folders; /etc and /var are copies that vanish with the
    world, /run, /tmp and /dev are empty ones. Programs of the lab run as root: nothing that they do may outlast them."""
    sources = []
    for number, folder in enumerate(kept):
        source = Path(f"/mnt/{number}")
        sources.append((source, folder))
    shell("mount -t tmpfs tmpfs /mnt")
    for source, folder in sources:
        source.mkdir()
        shell(f"mount --bind {folder} {source}")
    shell("mount -t tmpfs tmpfs /run; mount -t tmpfs tmpfs /tmp")
    for source, folder in sources:
        folder.mkdir(parents=True, exist_ok=True)
        shell(f"mount --bind {source} {folder}")
    WORK.mkdir(parents=True)
    WORK.chmod(0o755)
    for place in ("etc", "var"):
        upper, work = (Path(f"/run/over/{place}/{part}") for part in ("upper", "work"))
        upper.mkdir(parents=True)
        work.mkdir()
        shell(f"mount -t overlay overlay -o lowerdir=/{place},upperdir={upper},workdir={work} /{place}")
    shell("mount -t tmpfs tmpfs /dev; mkdir /dev/pts /dev/shm; mount -t devpts devpts /dev/pts; ln -s /proc/self/fd /dev/fd")
    for name, minor in (("null", 3), ("zero", 5), ("full", 7), ("random", 8), ("urandom", 9)):
        shell(f"mknod -m 666 /dev/{name} c 1 {minor}")
    shell("mount -o remount,bind,ro /")
    Path("/etc/netns").mkdir(exist_ok=True)
    # Host names come from the lab's own DNS; only the host itself is in its hosts file.
    Path("/etc/nsswitch.conf").write_text("passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n")
    Path("/etc/krb5.conf").touch()
    shell("ip link set lo up; hostname lab")


def shell(command, check=True):
    """A line of shell in the world itself."""
    return subprocess.run(["sh", "-ec", command], check=check, capture_output=True, text=True).stdout


class Host:
    """One host: a network namespace, a host name, its own files below /etc."""

    def __init__(self, machine, resolver):
        self.machine = machine
        self.name = machine.name
        self.fqdn = machine.fqdn
        self.address = machine.address
        self.address6 = machine.address6
        self.folder = WORK / self.name
        self.folder.mkdir()
        self.folder.chmod(0o755)
        self.processes = []
        zone = ZONES[machine.zone]
        mac = f"02:00:{zone_number(zone):02x}:00:00:{machine.number:02x}"
        shell(f"""
            ip netns add {self.name}
            ip link add {self.name} netns switch type veth peer name eth0 netns {self.name}
            ip -n {self.name} link set eth0 address {mac}
            ip -n switch link set {self.name} master {zone.name}
            ip -n switch link set {self.name} up
            ip netns exec {self.name} sysctl -qw net.ipv6.conf.eth0.accept_dad=0 net.ipv6.conf.eth0.router_solicitations=0
        """)
        self.tune()
        shell(f"""
            ip -n {self.name} link set lo up
            ip -n {self.name} link set eth0 up
            ip -n {self.name} addr add {self.address}/24 dev eth0
            ip -n {self.name} addr add {self.address6}/64 dev eth0 nodad
            ip -n {self.name} route add default via {zone.gateway4}
            ip -n {self.name} route add default via {zone.gateway6}
        """)
        self.file("hosts", f"127.0.0.1 localhost\n{self.address} {self.fqdn} {self.name}\n")
        self.file("resolv.conf", f"nameserver {resolver}\nsearch {machine.domain}\noptions timeout:2 attempts:2\n")

    def tune(self):
        """Turns off what a network card would do for the kernel: captures shall show frames as they travel."""
        shell(f"ip netns exec {self.name} ethtool -K eth0 tx off tso off gso off gro off")
        shell(f"ip netns exec switch ethtool -K {self.name} tx off tso off gso off gro off")

    def file(self, name, text):
        """A file of this host below /etc; programs started later see it."""
        path = Path("/etc/netns") / self.name / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def argv(self, command):
        """The command as it is run on this host. A string is a line of shell."""
        if isinstance(command, str):
            command = ["sh", "-c", command]
        inner = ["unshare", "--uts", "sh", "-c", 'hostname "$0"; exec "$@"', self.name, *map(str, command)]
        return ["ip", "netns", "exec", self.name, *inner]

    def environment(self, more):
        """What programs may see of this machine: nothing but the lab. Tickets belong to one host."""
        return {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(self.folder), "USER": "lab", "LANG": "C.UTF-8",
            "TERM": "dumb", "KRB5CCNAME": f"FILE:{self.folder}/krb5cc", **(more or {}),
        }

    def run(self, command, check=True, stdin="", timeout=PATIENCE_SECONDS, env=None):
        """Runs a client to its end, and answers what it printed."""
        done = subprocess.run(
            self.argv(command), input=stdin, capture_output=True, text=True, errors="replace",
            timeout=timeout, env=self.environment(env), cwd=self.folder,
        )
        log = self.folder / "clients.log"
        with log.open("a") as file:
            file.write(f"$ {command}\n{done.stdout}{done.stderr}= {done.returncode}\n")
        if check and done.returncode != 0:
            raise RuntimeError(f"{self.name}: {command}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def start(self, command, ready=None, env=None, name=None):
        """Starts a server or a long client; `ready` names ports to wait for (`tcp:25`), or is a function."""
        name = name or Path(shlex.split(command)[0] if isinstance(command, str) else str(command[0])).name
        log = (self.folder / f"{name}.log").open("a")
        process = subprocess.Popen(
            self.argv(command), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            env=self.environment(env), cwd=self.folder, start_new_session=True,
        )
        process.label = f"{self.name}: {name}"
        self.processes.append(process)
        for port in [ready] if isinstance(ready, str) else ready or []:
            self.await_port(port, process)
        return process

    def await_port(self, port, process=None):
        """Waits until something on this host listens on `tcp:PORT` or `udp:PORT`."""
        transport, number = port.split(":")
        wanted = f":{number}"

        def listening():
            if process and process.poll() not in (None, 0):
                raise RuntimeError(f"{process.label} ended with {process.returncode}; see {self.folder}")
            rows = shell(f"ip netns exec {self.name} ss -Hln{transport[0]}").splitlines()
            return any(row.split()[3].endswith(wanted) for row in rows)

        wait_until(listening, f"{self.name} serves {port}")

    def listeners(self):
        """Dynamic ports, and the program behind each."""
        rows = self.run("ss -Hlntp").stdout.splitlines()
        found = {}
        for row in rows:
            port = int(row.split()[3].rpartition(":")[2])
            if 49152 <= port <= 65535:
                found[port] = row.split("users:")[-1]
        return found

    def stop(self, process, signal="TERM"):
        """Ends one server and what it started; once is enough."""
        if process not in self.processes:
            return
        subprocess.run(["pkill", f"-{signal}", "-s", str(process.pid)], check=False)
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            subprocess.run(["pkill", "-KILL", "-s", str(process.pid)], check=False)
            process.wait(timeout=5)
        self.processes.remove(process)


def wait_until(condition, what, seconds=PATIENCE_SECONDS, every=0.1):
    """Asks until it is so; there is no other kind of waiting in the lab than this and bounded sleeps."""
    end = time.monotonic() + seconds
    while not (answer := condition()):
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds} s for: {what}")
        time.sleep(every)
    return answer


def zone_number(zone):
    return list(ZONES).index(zone.name) + 1


class Network:
    """The switches, the firewall between them, and the hosts, which are made when they are first asked for."""

    def __init__(self):
        self.hosts = {}
        shell("ip netns add switch; ip netns add fw")
        for zone in ZONES.values():
            # Without learning a bridge floods: the monitor port sees every frame of the segment, once.
            shell(f"""
                ip -n switch link add {zone.name} type bridge ageing_time 0 mcast_snooping 0
                ip -n switch link set {zone.name} up
                ip link add fw-{zone.name} netns switch type veth peer name {zone.name} netns fw
                ip link add tap-{zone.name} netns switch type veth peer name monitor netns switch
                ip -n switch link set monitor name mon-{zone.name}
                ip -n fw link set {zone.name} address 02:00:{zone_number(zone):02x}:00:00:01
            """)
            for port in (f"fw-{zone.name}", f"mon-{zone.name}"):
                shell(f"ip -n switch link set {port} master {zone.name}; ip -n switch link set {port} up")
            shell(f"""
                ip -n switch link set tap-{zone.name} up
                for device in fw-{zone.name} mon-{zone.name} tap-{zone.name}; do
                    ip netns exec switch ethtool -K $device tx off tso off gso off gro off
                done
                ip netns exec fw ethtool -K {zone.name} tx off tso off gso off gro off
                ip netns exec fw sysctl -qw net.ipv6.conf.{zone.name}.accept_dad=0
                ip -n fw link set {zone.name} up
                ip -n fw addr add {zone.gateway4}/24 dev {zone.name}
                ip -n fw addr add {zone.gateway6}/64 dev {zone.name} nodad
            """)
        # The monitor itself must not speak.
        shell("ip netns exec switch sysctl -qw net.ipv6.conf.all.disable_ipv6=1")
        shell("ip -n fw link set lo up")
        shell("ip netns exec fw sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1")
        self.nft("fw", BASE_RULES)

    def __getitem__(self, name):
        if name not in self.hosts:
            machine = MACHINES[name]
            self.hosts[name] = Host(machine, resolver_of(machine))
        return self.hosts[name]

    def nft(self, namespace, rules):
        subprocess.run(["ip", "netns", "exec", namespace, "nft", "-f", "-"], input=rules, text=True, check=True)

    @contextmanager
    def rule(self, rule, at="fw"):
        """One more rule, before all others: on the firewall for what it forwards, on a host for what it receives."""
        if at in MACHINES:
            self[at]
        hook = "forward" if at == "fw" else "input"
        table = f"table inet outage {{\nchain {hook} {{ type filter hook {hook} priority -10; }}\n}}"
        self.nft(at, f"{table}\nadd rule inet outage {hook} {rule}")
        try:
            yield
        finally:
            self.nft(at, "delete table inet outage")

    @contextmanager
    def small_packets(self, zone, mtu):
        """Makes the firewall's leg in a zone take small packets only, and keep silent about it."""
        shell(f"ip -n fw link set {zone} mtu {mtu}")
        self.nft("fw", "table inet outage_mtu {\nchain output { type filter hook output priority 0; }\n}\n"
                       "add rule inet outage_mtu output icmp type destination-unreachable drop\n"
                       "add rule inet outage_mtu output icmpv6 type packet-too-big drop")
        try:
            yield
        finally:
            self.nft("fw", "delete table inet outage_mtu")
            shell(f"ip -n fw link set {zone} mtu 1500")

    @contextmanager
    def redirect(self, rule):
        """A rule of the firewall's address translation."""
        self.nft("fw", f"table ip outage_nat {{\nchain prerouting {{ type nat hook prerouting priority -100; }}\n}}\n"
                       f"add rule ip outage_nat prerouting {rule}")
        try:
            yield
        finally:
            self.nft("fw", "delete table ip outage_nat")


def resolver_of(machine):
    """Inside, the site's name server; outside and in the perimeter, that of the Internet."""
    inside = machine.zone in ("core", "office")
    return MACHINES["ns1" if inside else "ns2"].address


# What may pass between the zones. Inside, everything; through the perimeter, what the documents list and
# what the lab's scenarios of the Internet need.
BASE_RULES = """
table inet filter {
    chain forward {
        type filter hook forward priority 0; policy drop;
        ct state established,related accept
        icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
        iifname { core, office } oifname { core, office } accept
        iifname { core, office } oifname dmz accept
        iifname { core, office } oifname net accept
        iifname dmz oifname net accept
        iifname dmz oifname core tcp dport 25 accept
        iifname net oifname dmz accept
        iifname net oifname core ip daddr 10.20.0.40 tcp dport { 80, 443 } accept
        iifname net oifname core ip6 daddr 2001:db8:20::28 tcp dport { 80, 443 } accept
        iifname net oifname office accept
    }
}
"""
