"""RPC: the interfaces that the lab calls, and the offers of endpoint mappers as tshark reads them."""

import ipaddress
import re

from . import taps

# Identifier and version of each interface, from its published definition.
INTERFACES = {
    "epmapper": ("e1af8308-5d1f-11c9-91a4-08002b14a0fa", "3.0"),
    "lsarpc": ("12345778-1234-abcd-ef00-0123456789ab", "0.0"),
    "samr": ("12345778-1234-abcd-ef00-0123456789ac", "1.0"),
    "drsuapi": ("e3514235-4b06-11d1-ab04-00c04fc2dcd2", "4.0"),
    "emsmdb": ("a4f1db00-ca47-1067-b31f-00dd010662da", "0.81"),
    "async_emsmdb": ("5261574a-4572-206e-b268-6b199213b4e4", "0.1"),
    "nspi": ("f5cc5a18-4264-101a-8c59-08002b2f8426", "56.0"),
    "rfr": ("1544f5e0-613c-11d1-93df-00c04fd7bd09", "1.0"),
    "netlogon": ("12345678-1234-abcd-ef00-01234567cffb", "1.0"),
}

# How tshark prints a tower of an answer to ept_map or ept_lookup, floor by floor.
SOURCE = re.compile(r"^Internet Protocol Version [46], Src: (\S+),")
FLOOR = re.compile(r"^\s+Floor (\d) ")
UUID = re.compile(r"^\s+UUID: .*?\(?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\)?$")
MAJOR = re.compile(r"^\s+Version: (\d+)\.")
MINOR = re.compile(r"^\s+Version Minor: (\d+)")
PORT = re.compile(r"^\s+Floor 4 (?:TCP Port|RPC over HTTP Port|HTTP Port)\s*:\s*(\d+)")


def offers(path):
    """Every interface that an endpoint mapper in the capture gives a TCP or HTTP port for."""
    found, server, floor, tower = [], None, 0, {}
    for line in taps.read(path, "-Y", "epm && dcerpc.pkt_type == 2", "-O", "epm"):
        if match := SOURCE.match(line):
            server = ipaddress.ip_address(match[1])
        elif match := FLOOR.match(line):
            floor = int(match[1])
            tower = {} if floor == 1 else tower
            if match := PORT.match(line):
                place = f"[{server}]:{match[1]}" if server.version == 6 else f"{server}:{match[1]}"
                offer = {"kind": "rpc", "endpoint": place, "uuid": tower["uuid"],
                         "version": f"{tower['major']}.{tower['minor']}"}
                # A server that answers port 0 has nothing there.
                if match[1] != "0" and offer not in found:
                    found.append(offer)
        elif floor == 1:
            for key, pattern in (("uuid", UUID), ("major", MAJOR), ("minor", MINOR)):
                if match := pattern.match(line):
                    tower[key] = match[1]
                    if key == "minor":
                        # tshark takes it for big-endian; it is not (C706 appendix L).
                        tower[key] = int.from_bytes(int(match[1]).to_bytes(2, "big"), "little")
    return found
