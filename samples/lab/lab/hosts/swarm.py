"""Peers of the Internet: BitTorrent by Transmission and opentracker, QUIC by ngtcp2."""

import json
import re

from .. import network

PIECE_KIB = 32


def opentracker(host, torrents=()):
    """Starts the tracker, which takes what is on its list only: these descriptions."""
    shown = [host.run(["transmission-show", each]).stdout for each in torrents]
    allowed = host.folder / "torrents"
    allowed.write_text("".join(re.search("Hash: ([0-9a-f]{40})", text)[1] + "\n" for text in shown))
    command = ["opentracker", "-i", host.address, "-p", "6969", "-P", "6969", "-d", host.folder, "-u", "nobody"]
    # It reads the list after it has made its folder its root.
    command += ["-w", allowed.name]
    return host.start(command, ready="tcp:6969")


def torrent(host, tracker):
    """A file of 200 KB and its description, on the host that has it first."""
    folder = host.folder / "shared"
    folder.mkdir(exist_ok=True)
    (folder / "film.bin").write_bytes(bytes(n * n % 251 for n in range(200_000)))
    target = host.folder / "film.torrent"
    announce = f"http://{tracker.address}:6969/announce"
    host.run(["transmission-create", "-o", target, "-s", PIECE_KIB, "-t", announce, folder / "film.bin"])
    return target


class Peer:
    """One Transmission: seeds where its folder has the file, loads it where not.

    `encryption` is tolerated, preferred or required; `is_utp` prefers datagrams (BEP 29) to TCP.
    """

    def __init__(self, host, name, description, port, folder, encryption="tolerated", is_utp=False):
        config = host.folder / f"transmission-{name}"
        config.mkdir(exist_ok=True)
        folder.mkdir(exist_ok=True)
        # What it would say to the whole Internet and to the segment is left out, but for the peers themselves.
        settings = {"utp-enabled": is_utp, "dht-enabled": False, "lpd-enabled": False, "pex-enabled": True,
                    "port-forwarding-enabled": False, "rpc-enabled": False, "bind-address-ipv4": host.address,
                    "message-level": 2, "trash-original-torrent-files": False}
        (config / "settings.json").write_text(json.dumps(settings))
        self.host, self.file = host, folder / "film.bin"
        option = {"tolerated": "-et", "preferred": "-ep", "required": "-er"}[encryption]
        command = ["transmission-cli", "-g", config, "-w", folder, "-p", port, "-M", option, description]
        self.process = host.start(command, ready=f"tcp:{port}", name="transmission")

    def loaded(self, size=200_000):
        network.wait_until(lambda: self.file.exists() and self.file.stat().st_size >= size, "the file has been loaded", every=0.3)

    def stop(self):
        self.host.stop(self.process)


def quic(host, authority, port=443):
    """A server of HTTP/3."""
    certificate, key = authority.issue(host.fqdn)
    folder = host.folder / "htdocs"
    folder.mkdir(exist_ok=True)
    (folder / "index.html").write_text("served over QUIC\n" * 500)
    return host.start(["gtlsserver", "-q", "-d", folder, host.address, port, key, certificate], ready=f"udp:{port}")
