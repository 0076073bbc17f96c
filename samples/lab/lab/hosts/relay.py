"""TURN and STUN: coturn as A/V Edge, on UDP 3478 and TCP 443."""

USER, PASSWORD = "anna", "turn-in-the-lab"
RELAYED = (50000, 50199)


def start(host):
    """Starts turnserver with one user; its relayed addresses are in the range that the documents give media."""
    folder = host.folder / "coturn"
    folder.mkdir(exist_ok=True)
    command = ["turnserver", "-n", "-L", host.address, "-E", host.address, "-p", "3478", f"--aux-server={host.address}:443",
               "--lt-cred-mech", "-u", f"{USER}:{PASSWORD}", "-r", "example.com", "--no-cli", "--no-tls", "--no-dtls",
               "--no-rfc5780", "--min-port", RELAYED[0], "--max-port", RELAYED[1], "--pidfile", folder / "pid",
               "--userdb", folder / "users", "--log-file", "stdout", "--relay-threads", "1"]
    return host.start(command, ready=["udp:3478", "tcp:443"])


def client(server, peer, *options, password=PASSWORD, messages=10):
    """turnutils_uclient: allocates, permits and binds a channel to the peer, and sends messages that come back."""
    return ["turnutils_uclient", "-v", "-u", USER, "-w", password, "-e", peer, "-r", "3480", "-n", messages, "-c", *options, server]


def echo(host):
    """The peer: sends everything back."""
    return host.start(["turnutils_peer", "-L", host.address, "-p", "3480"], ready="udp:3480")
