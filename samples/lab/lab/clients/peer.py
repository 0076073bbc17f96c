"""What no distribution has, played over real TCP or UDP: the bytes are invented, the connection is not.

Usage: peer.py serve PORT, or peer.py ship SERVER PORT (log shipping: a token, then blocks of a log), or
peer.py beat SERVER PORT (cluster heartbeat: a few small datagrams, both ways on one port).
"""

import hashlib
import socket
import sys
import time

BLOCK_BYTES = 4096
BLOCKS = 4


def noise(seed, length):
    """Bytes without a structure, the same at each run."""
    parts = (hashlib.sha256(f"{seed} {n}".encode()).digest() for n in range(length // 32 + 1))
    return b"".join(parts)[:length]


def exactly(connection, length):
    data = b""
    while len(data) < length:
        piece = connection.recv(length - len(data))
        if not piece:
            raise ConnectionError("the other end left")
        data += piece
    return data


def serve(port):
    listener = socket.create_server(("", int(port)), reuse_port=False)
    while True:
        connection, _ = listener.accept()
        with connection:
            try:
                exactly(connection, 64)
                connection.sendall(noise("accepted", 48))
                for _ in range(BLOCKS):
                    exactly(connection, BLOCK_BYTES)
                    connection.sendall(noise("copied", 16))
            except OSError:
                pass


def ship(server, port):
    with socket.create_connection((server, int(port)), timeout=4) as connection:
        connection.sendall(noise("hello", 64))
        exactly(connection, 48)
        for block in range(BLOCKS):
            connection.sendall(noise(block, BLOCK_BYTES))
            exactly(connection, 16)


def beat(server, port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
        end.bind(("", int(port)))
        # The other end begins and ends at about the same time.
        time.sleep(1)
        for number in range(5):
            end.sendto(noise(number, 56), (server, int(port)))
            time.sleep(0.3)
        time.sleep(1)


{"serve": serve, "ship": ship, "beat": beat}[sys.argv[1]](*sys.argv[2:])
