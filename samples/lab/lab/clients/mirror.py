"""A mirror port: copies every frame of a segment, encapsulated, to another device.

A program stands for the switch, so that no kernel needs modules for VLAN, ERSPAN and mirrors; the copies are captured from the
wire like all other frames. Usage: mirror.py vlan|erspan|vxlan SOURCE TARGET.
"""

import socket
import struct
import sys

ETH_P_ALL = 3
VLANS = (200, 12)
VNI = 5010
SESSION = 7
OUTER_MAC = bytes.fromhex("02000000aa02") + bytes.fromhex("02000000aa01")
MIRROR, COLLECTOR = socket.inet_aton("192.0.2.201"), socket.inet_aton("192.0.2.202")


def checksum(header):
    total = sum(struct.unpack(f"!{len(header) // 2}H", header))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def ip(protocol, payload, number):
    """An Ethernet frame with an IPv4 packet from the mirror to the collector."""
    fields = [0x45, 0, 20 + len(payload), number & 0xFFFF, 0x4000, 64, protocol, 0, MIRROR, COLLECTOR]
    header = struct.pack("!BBHHHBBH4s4s", *fields)
    fields[7] = checksum(header)
    return OUTER_MAC + b"\x08\x00" + struct.pack("!BBHHHBBH4s4s", *fields) + payload


def vlan(frame, _number):
    """802.1ad outside, 802.1Q inside."""
    outer, inner = VLANS
    return frame[:12] + struct.pack("!HHHH", 0x88A8, outer, 0x8100, inner) + frame[12:]


def erspan(frame, number):
    """ERSPAN type II: GRE with a sequence number, and eight bytes with the session."""
    gre = struct.pack("!HHI", 0x1000, 0x88BE, number & 0xFFFFFFFF)
    return ip(47, gre + struct.pack("!HHI", 1 << 12, SESSION, 0) + frame, number)


def vxlan(frame, number):
    """VXLAN, RFC 7348; without a checksum of UDP, as it allows."""
    payload = struct.pack("!BxxxI", 0x08, VNI << 8) + frame
    return ip(17, struct.pack("!HHHH", 49152 + hash(frame[:12]) % 16384, 4789, 8 + len(payload), 0) + payload, number)


def main(kind, source, target):
    wrap = {"vlan": vlan, "erspan": erspan, "vxlan": vxlan}[kind]
    reader, writer = (socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)) for _ in range(2))
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
    reader.bind((source, ETH_P_ALL))
    writer.bind((target, 0))
    print("mirroring", flush=True)
    number = 0
    while True:
        frame, address = reader.recvfrom(65535)
        if address[2] != socket.PACKET_OUTGOING:
            number += 1
            writer.send(wrap(frame, number))


main(*sys.argv[1:])
