"""A bad line: forwards frames between two devices, and loses, delays and shuffles what carries data on the way.

A program and not netem: its pattern is seeded, the same at each run and on each kernel. Only one transport suffers: connections that
set up calls shall not take seconds. Usage: impair.py ONE OTHER LOSS JITTER_MS SHUFFLE udp|tcp: LOSS
and SHUFFLE are shares of 1.
"""

import heapq
import random
import select
import socket
import sys
import time

ETH_P_ALL = 3
DELAY_SECONDS = 0.020
# A shuffled datagram comes after the one behind it: later than the 20 ms between two.
LATE_SECONDS = 0.030


PROTOCOLS = {"udp": 17, "tcp": 6}


def main(one, other, loss, jitter_ms, shuffle, carrier):
    loss, jitter, shuffle = float(loss), float(jitter_ms) / 1000, float(shuffle)
    # One for each direction: how packets of both interleave is chance.
    chances = random.Random(1), random.Random(2)
    ends = []
    for device in (one, other):
        end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        end.bind((device, ETH_P_ALL))
        ends.append(end)
    print("impairing", flush=True)
    held, number = [], 0
    while True:
        wait = max(0, held[0][0] - time.monotonic()) if held else 1
        for end in select.select(ends, [], [], wait)[0]:
            frame, address = end.recvfrom(65535)
            if address[2] == socket.PACKET_OUTGOING:
                continue
            side = ends.index(end)
            target, chance = ends[1 - side], chances[side]
            suffers = frame[12:14] == b"\x08\x00" and frame[23] == PROTOCOLS[carrier] and len(frame) > 150
            if suffers and chance.random() < loss:
                continue
            after = 0
            if suffers:
                after = DELAY_SECONDS + chance.random() * jitter
                after += LATE_SECONDS if chance.random() < shuffle else 0
            number += 1
            heapq.heappush(held, (time.monotonic() + after, number, frame, target))
        while held and held[0][0] <= time.monotonic():
            _, _, frame, target = heapq.heappop(held)
            target.send(frame)


main(*sys.argv[1:])
