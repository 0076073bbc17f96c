"""MAPI over RPC as Client Access offers it, which no distribution has: an endpoint mapper, and EMSMDB, AsyncEMSMDB, NSPI and RFR
on a dynamic port. PDUs, towers and NTLM are real (C706, MS-RPCE, MS-NLMP); the arguments of the calls are invented.

Usage: exchange_rpc.py ADDRESS PORT USER PASSWORD.
"""

import os
import socket
import socketserver
import struct
import sys
import threading

from Cryptodome.Cipher import ARC4
from impacket import ntlm
from impacket.uuid import uuidtup_to_bin

BIND, BIND_ACK, AUTH3, REQUEST, RESPONSE = 11, 12, 16, 0, 2
EPT_MAP = 3
NOT_REGISTERED = 0x16C9A0D6
PRIVACY = 6
# Flags of NTLM (MS-NLMP 2.2.2.5).
OEM, VERSION, DOMAIN, TARGET_INFO = 0x2, 0x02000000, 0x00010000, 0x00800000
NDR = ("8a885d04-1ceb-11c9-9fe8-08002b104860", "2.0")
MAPPER = uuidtup_to_bin(("e1af8308-5d1f-11c9-91a4-08002b14a0fa", "3.0"))
OFFERED = [uuidtup_to_bin(each) for each in (
    ("a4f1db00-ca47-1067-b31f-00dd010662da", "0.81"), ("5261574a-4572-206e-b268-6b199213b4e4", "0.1"),
    ("f5cc5a18-4264-101a-8c59-08002b2f8426", "56.0"), ("1544f5e0-613c-11d1-93df-00c04fd7bd09", "1.0"),
)]


def tower(interface, address, port):
    """Protocol tower of an interface over TCP (C706 appendix L)."""
    floors = []
    for syntax in (interface, uuidtup_to_bin(NDR)):
        floors.append((b"\x0d" + syntax[:18], syntax[18:20]))
    floors += [(b"\x0b", b"\0\0"), (b"\x07", struct.pack(">H", port)), (b"\x09", socket.inet_aton(address))]
    packed = b"".join(struct.pack("<H", len(part)) + part for floor in floors for part in floor)
    return struct.pack("<H", len(floors)) + packed


def mapped(stub, address, port):
    """Answer to ept_map: one tower, or none."""
    # The first floor of the tower that is asked for names the interface: 19 bytes, of which the first is its kind.
    asked = stub.partition(b"\x13\0\x0d")[2][:18]
    found = next((each for each in OFFERED if each[:18] == asked), None)
    handle = bytes(20)
    if found is None:
        return handle + struct.pack("<IIIII", 0, 1, 0, 0, NOT_REGISTERED)
    answer = tower(found, address, port)
    array = struct.pack("<IIIII", 1, 1, 0, 1, 3) + struct.pack("<II", len(answer), len(answer)) + answer
    return handle + array + bytes(-len(array) % 4) + struct.pack("<I", 0)


class Security:
    """NTLM version 2 at the server, for one connection."""

    def __init__(self, user, password):
        self.user, self.password = user, password
        self.sequence = 0

    def challenge(self, token):
        flags = struct.unpack_from("<I", token, 12)[0]
        flags &= ~(OEM | VERSION)
        name = "CORP".encode("utf-16le")
        info = b"".join(struct.pack("<HH", kind, len(name)) + name for kind in (2, 1)) + bytes(4)
        flags |= DOMAIN | TARGET_INFO
        self.nonce = os.urandom(8)
        begin = 48
        return (b"NTLMSSP\0" + struct.pack("<IHHII", 2, len(name), len(name), begin, flags) + self.nonce + bytes(8)
                + struct.pack("<HHI", len(info), len(info), begin + len(name)) + name + info)

    def accept(self, token):
        answer = ntlm.NTLMAuthChallengeResponse()
        answer.fromString(token)
        user, domain = (answer[field].decode("utf-16le") for field in ("user_name", "domain_name"))
        key = ntlm.NTOWFv2(user, self.password, domain)
        proof, rest = answer["ntlm"][:16], answer["ntlm"][16:]
        if user != self.user or ntlm.hmac_md5(key, self.nonce + rest) != proof:
            raise PermissionError("the password is wrong")
        session = ARC4.new(ntlm.hmac_md5(key, proof)).encrypt(answer["session_key"])
        self.flags = answer["flags"]
        self.signing = ntlm.SIGNKEY(self.flags, session, "Server")
        self.sealing = ARC4.new(ntlm.SEALKEY(self.flags, session, "Server")).encrypt

    def seal(self, pdu, stub_at, stub):
        """Stub and signature of an answer at level privacy."""
        sealed, signature = ntlm.SEAL(self.flags, self.signing, None, pdu, stub, self.sequence, self.sealing)
        self.sequence += 1
        return pdu[:stub_at] + sealed + pdu[stub_at + len(stub):] + signature.getData()


class Session(socketserver.BaseRequestHandler):
    def handle(self):
        self.security, self.level, self.trailer = None, 0, b""
        try:
            while True:
                header = self.exactly(16)
                self.answer(header, self.exactly(struct.unpack_from("<H", header, 8)[0] - 16))
        except (OSError, PermissionError):
            pass

    def exactly(self, length):
        data = b""
        while len(data) < length:
            piece = self.request.recv(length - len(data))
            if not piece:
                raise ConnectionError("the other end left")
            data += piece
        return data

    def answer(self, header, body):
        kind, auth_length, self.call = header[2], *struct.unpack_from("<HI", header, 10)
        token = body[len(body) - auth_length:] if auth_length else b""
        trailer = body[len(body) - auth_length - 8:len(body) - auth_length] if auth_length else b""
        if kind == BIND:
            self.bind(body, trailer, token)
        elif kind == AUTH3:
            self.security.accept(token)
        elif kind == REQUEST:
            self.called(struct.unpack_from("<H", body, 6)[0], body[8:], trailer)

    def bind(self, body, trailer, token):
        contexts, at, results = body[8], 12, b""
        for _ in range(contexts):
            transfers = body[at + 2]
            self.interface = body[at + 4:at + 24]
            at += 24 + 20 * transfers
            results += struct.pack("<HH", 0, 0) + uuidtup_to_bin(NDR)
        port = str(self.server.server_address[1]).encode() + b"\0"
        head = struct.pack("<HHIH", 4280, 4280, 0x1000 + self.call, len(port)) + port
        head += bytes(-len(head) % 4) + struct.pack("<BBH", contexts, 0, 0) + results
        if token:
            self.security, self.level = Security(*self.server.account), trailer[1]
            challenge = self.security.challenge(token)
            self.send(BIND_ACK, head + trailer[:2] + b"\0" + trailer[3:] + challenge, len(challenge))
        else:
            self.send(BIND_ACK, head)

    def called(self, number, stub, trailer):
        if self.interface == MAPPER:
            answer = mapped(stub, self.server.server_address[0], self.server.offered) if number == EPT_MAP else bytes(24)
        else:
            answer = bytes(64)
        head = struct.pack("<IHBB", len(answer), 0, 0, 0)
        if self.level != PRIVACY:
            self.send(RESPONSE, head + answer)
            return
        body = head + answer + trailer[:2] + b"\0" + trailer[3:]
        pdu = self.pdu(RESPONSE, body, 16)
        self.request.sendall(self.security.seal(pdu, 24, answer))

    def send(self, kind, body, auth_length=0):
        self.request.sendall(self.pdu(kind, body, auth_length, len(body)))

    def pdu(self, kind, body, auth_length, length=None):
        length = 16 + (length if length is not None else len(body) + auth_length)
        return struct.pack("<BBBBIHHI", 5, 0, kind, 3, 0x10, length, auth_length, self.call) + body


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


def main(address, port, user, password):
    for number in (135, int(port)):
        server = Server((address, number), Session)
        server.offered, server.account = int(port), (user, password)
        threading.Thread(target=server.serve_forever).start()


main(*sys.argv[1:])
