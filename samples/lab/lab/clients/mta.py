"""A message transfer agent of X.400 (P1), which no distribution has: X.224 over TPKT, session, presentation, association and
reliable transfer are as X.225 to X.228 and X.419 have them; what identifies the agents and the message are invented.

Usage: mta.py serve, or mta.py send SERVER.
"""

import socket
import sys

PORT = 102
CONNECT, ACCEPT, FINISH, DISCONNECT, ACTIVITY_START, ACTIVITY_END, ACTIVITY_END_ACK = 13, 14, 9, 10, 45, 41, 42
DATA = b"\x01\x00\x01\x00"
# Half duplex, minor synchronize, exceptions, activity management.
UNITS = b"\x02\x49"
# Association control, and P1 by way of reliable transfer.
ACSE, P1 = b"\x52\x01\x00\x01", b"\x56\x00\x02\x0c"
TRANSFER = b"\x56\x00\x01\x06"
BER = b"\x51\x01"


def tlv(tag, *contents):
    body = b"".join(contents)
    length = bytes([len(body)]) if len(body) < 128 else b"\x82" + len(body).to_bytes(2, "big")
    return bytes([tag]) + length + body


def unit(kind, *parameters):
    """A unit of session; lengths have one octet up to 254, and 255 and two beyond."""
    def item(code, body):
        length = bytes([len(body)]) if len(body) < 255 else b"\xff" + len(body).to_bytes(2, "big")
        return bytes([code]) + length + body

    return item(kind, b"".join(item(code, body) for code, body in parameters))


def presentation(accepts):
    """CP and CPA: contexts of association and P1, and AARQ or AARE inside."""
    contexts = []
    for number, name in ((1, ACSE), (3, P1)):
        result = [tlv(0x80, b"\0"), tlv(0x81, BER)] if accepts else [tlv(2, bytes([number])), tlv(6, name), tlv(0x30, tlv(6, BER))]
        contexts.append(tlv(0x30, *result))
    about = tlv(0xA1, tlv(6, TRANSFER))
    if accepts:
        about += tlv(0xA2, tlv(2, b"\0")) + tlv(0xA3, tlv(0xA1, tlv(2, b"\0")))
    # RTORQ or RTOAC with an empty bind.
    transfer = tlv(0xB1 if not accepts else 0xB2, tlv(0xA0, tlv(0x31)))
    association = tlv(0x61 if accepts else 0x60, about,
                      tlv(0xBE, tlv(0x28, tlv(6, BER), tlv(2, b"\x03"), tlv(0xA0, transfer))))
    data = tlv(0x61, tlv(0x30, tlv(2, b"\x01"), tlv(0xA0, association)))
    return tlv(0x31, tlv(0xA0, tlv(0x80, b"\x01")), tlv(0xA2, tlv(0xA5 if accepts else 0xA4, *contexts), data))


def opening(kind):
    """CONNECT or ACCEPT."""
    item = unit(5, (19, b"\0"), (22, b"\x02"))[2:]
    return unit(kind, (5, item), (20, UNITS), (193, presentation(kind == ACCEPT)))


class Link:
    """Messages of X.224 class 0 over TPKT (RFC 1006)."""

    def __init__(self, connection):
        self.connection = connection

    def send(self, x224, data=b""):
        length = len(x224) + len(data) + 5
        self.connection.sendall(b"\x03\0" + length.to_bytes(2, "big") + bytes([len(x224)]) + x224 + data)

    def data(self, data):
        self.send(b"\xf0\x80", data)

    def receive(self):
        header = self.exactly(4)
        return self.exactly(int.from_bytes(header[2:], "big") - 4)

    def exactly(self, length):
        data = b""
        while len(data) < length:
            piece = self.connection.recv(length - len(data))
            if not piece:
                raise ConnectionError("the other end left")
            data += piece
        return data


def serve():
    listener = socket.create_server(("", PORT))
    while True:
        connection, _ = listener.accept()
        with connection:
            link = Link(connection)
            try:
                link.receive()
                link.send(b"\xd0\0\0\0\x02\0" + b"\xc1\x04HUB1" + b"\xc2\x04X400")
                link.receive()
                link.data(opening(ACCEPT))
                while (message := link.receive()[3:])[0] != FINISH:
                    if message[0] == ACTIVITY_END:
                        link.data(unit(ACTIVITY_END_ACK, (42, b"1")))
                link.data(unit(DISCONNECT))
                connection.recv(1)
            except OSError:
                pass


def send(server):
    with socket.create_connection((server, PORT), timeout=4) as connection:
        link = Link(connection)
        link.send(b"\xe0\0\0\0\x01\0" + b"\xc1\x04HUB1" + b"\xc2\x04X400" + b"\xc0\x01\x0b")
        link.receive()
        link.data(opening(CONNECT))
        link.receive()
        link.data(unit(ACTIVITY_START, (41, b"1")))
        for block in range(3):
            link.data(DATA + tlv(0x61, tlv(0x30, tlv(2, b"\x03"), tlv(0xA1, bytes(300 + block)))))
        link.data(unit(ACTIVITY_END, (41, b"1"), (42, b"1")))
        link.receive()
        link.data(unit(FINISH))
        link.receive()


{"serve": serve, "send": send}[sys.argv[1]](*sys.argv[2:])
