"""A client that shares files with peers of the Internet, and browses past the proxy: BitTorrent and QUIC."""

from lab.hosts import swarm

TITLE = "BitTorrent between peers, in clear over TCP, as uTP and encrypted, with its tracker; HTTP/3 over QUIC"
TAP = "office"
PORT = 51413
DECODE_AS = [f"udp.port=={PORT},bt-utp"]


def prepare(lab, stack):
    lab.names
    seeder, tracker = lab["home1"], lab["swarm1"]
    lab.torrent = swarm.torrent(seeder, tracker)
    stack.callback(tracker.stop, swarm.opentracker(tracker, [lab.torrent]))
    stack.callback(tracker.stop, swarm.quic(tracker, lab.authority))
    lab["noisy"]


def run(s, lab):
    noisy, seeder = lab["noisy"], lab["home1"]
    other = {"verdict": "unattributed"}
    for label, how in (("over TCP", {}), ("as uTP", {"is_utp": True}), ("encrypted", {"encryption": "required"})):
        with s.step(f"a file is loaded from a peer {label}"):
            s.flow("noisy", "swarm1", 6969, count=(1, 4), protocols=["http"], service="web", verdict="undocumented")
            # Peers find each other by IPv4 and IPv6, and either may connect.
            about = {**other, "encryption": "unknown"} if label == "encrypted" else {**other, "protocols": ["bittorrent"]}
            for ends in (("noisy", "home1"), ("home1", "noisy")):
                s.flow(*ends, PORT, "udp" if "is_utp" in how else "tcp", count=(0, 2), **about)
            full = swarm.Peer(seeder, label, lab.torrent, PORT, seeder.folder / "shared", **how)
            peer = swarm.Peer(noisy, label, lab.torrent, PORT, noisy.folder / label, **how)
            peer.loaded()
            peer.stop()
            full.stop()
    with s.step("a page over HTTP/3"):
        s.flow("noisy", "swarm1", 443, "udp", protocols=["quic", "tls"], encryption="tls", **other)
        noisy.run(["gtlsclient", "-q", "--exit-on-all-streams-close", "--no-quic-dump", "--no-http-dump",
                   lab["swarm1"].address, 443, "https://swarm1.example.net/index.html"])
