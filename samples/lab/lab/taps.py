"""Captures while they are taken: tcpdump and dumpcap on a monitor port, on a host or on the firewall."""

import subprocess
import time
from pathlib import Path

from .inventory import ZONES
from .network import WORK, shell, wait_until

# What travels when a client has its last answer: acknowledgements, FIN, a last report.
LINGER_SECONDS = 0.5


class Tap:
    """One running capture.

    `where` is a zone (its monitor port), `host:NAME`, or `device:NAMESPACE:DEVICE`. Classic pcap only: a pcapng section
    header would tell the machine's name, kernel and processor.
    """

    def __init__(self, name, where, snap=262144, direction=None, expression="", rotate=None):
        self.name = name
        self.copier = None
        folder = WORK / "captures"
        folder.mkdir(exist_ok=True)
        self.path = folder / f"{name}.pcap"
        if where in ZONES:
            namespace, device = "switch", f"tap-{where}"
        elif where.startswith("mirror:"):
            namespace, device = "switch", self.mirror(where.removeprefix("mirror:"))
        elif where.startswith("host:"):
            namespace, device = where.removeprefix("host:"), "eth0"
        else:
            _, namespace, device = where.split(":")
        if rotate:
            program = ["dumpcap", "-q", "-P", "-i", device, "-w", self.path, "-b", f"packets:{rotate}"]
            if expression:
                program += ["-f", expression]
        else:
            program = ["tcpdump", "-Z", "root", "-i", device, "-n", "-U", "--immediate-mode", "-s", snap, "-w", self.path]
            program += ["-Q", direction] if direction else []
            program += [expression] if expression else []
        log = WORK / f"captures/{name}.log"
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", namespace, *map(str, program)],
            stdout=log.open("w"), stderr=subprocess.STDOUT, start_new_session=True,
        )
        ready = "File:" if rotate else "listening on"
        wait_until(lambda: ready in log.read_text(), f"capture {name} runs")

    def mirror(self, how):
        """Lays a wire to a collector, and copies what the first segment's monitor port sees onto it (`mirror.py`)."""
        near, far = f"mir-{how}", f"col-{how}"
        shell(f"""
            ip -n switch link add {near} mtu 1700 type veth peer name {far} mtu 1700
            ip -n switch link set {near} up
            ip -n switch link set {far} up
        """)
        log = WORK / f"captures/mirror-{how}.log"
        program = Path(__file__).parent / "clients/mirror.py"
        self.copier = subprocess.Popen(
            ["ip", "netns", "exec", "switch", "/usr/bin/python3", program, how, "tap-core", near],
            stdin=subprocess.DEVNULL, stdout=log.open("w"), stderr=subprocess.STDOUT,
        )
        wait_until(lambda: "mirroring" in log.read_text(), f"mirror {how} runs")
        return far

    def stop(self):
        """Ends the capture and answers its files, in order."""
        time.sleep(LINGER_SECONDS)
        subprocess.run(["pkill", "-INT", "-s", str(self.process.pid)], check=False)
        self.process.wait(timeout=10)
        if self.copier:
            self.copier.kill()
        if self.path.exists():
            return [self.path]
        return sorted(self.path.parent.glob(f"{self.path.stem}_*.pcap"))


def compress(sources, folder):
    """Writes captures into the folder of the samples, zstd at its highest."""
    for source in sources:
        target = folder / f"{source.name}.zst"
        subprocess.run(["zstd", "-19", "-q", "-f", str(source), "-o", str(target)], check=True)


def read(path, *arguments):
    """tshark over a capture; lines of its answer."""
    command = ["tshark", "-n", "-r", str(path), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=True)
    return done.stdout.splitlines()


