"""Calls as tshark sees them: dialogues of SIP, what their SDP announces, the streams of RTP with loss and jitter, relays."""

import ipaddress
import re

from . import taps
from .manifest import DECODE_AS

FIELDS = ["sip.Call-ID", "sip.Method", "sip.Status-Line", "sip.CSeq.method", "sdp.connection_info.address", "sdp.media.port",
          "sdp.media.proto", "ip.src", "ipv6.src", "sip.to.tag"]
# A row of `-z rtp,streams`: times, ends, SSRC, payload, packets, loss, deltas and jitter.
STREAM = re.compile(
    r"^\s*[\d.]+\s+[\d.]+\s+(?P<source>\S+)\s+(?P<source_port>\d+)\s+(?P<target>\S+)\s+(?P<target_port>\d+)\s+"
    r"0x(?P<ssrc>[0-9A-F]+)\s+(?P<codec>\S.*?)\s+(?P<packets>\d+)\s+(?P<lost>-?\d+) \([-\d.]+%\)"
    r"\s+[\d.]+\s+[\d.]+\s+[\d.]+\s+[\d.]+\s+(?P<mean>[\d.]+)\s+(?P<max>[\d.]+)"
)
# What a TURN server answers to an allocation.
RELAYED = re.compile(r"^\s+XOR-RELAYED-ADDRESS: (?P<address>\S+):(?P<port>\d+)$")
# tshark's names of static payload types, and those of RFC 3551.
CODECS = {"g711U": "PCMU", "g711A": "PCMA"}
PROFILES = {"RTP/AVP", "RTP/SAVP", "RTP/AVPF", "RTP/SAVPF"}


def place(address, port):
    address = ipaddress.ip_address(address)
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"


def rows(path, expression, fields):
    arguments = ["-Y", expression, "-T", "fields", "-E", "separator=|", "-E", "occurrence=f"]
    for port in DECODE_AS:
        arguments += ["-d", port]
    for name in fields:
        arguments += ["-e", name]
    return [dict(zip(fields, line.split("|"))) for line in taps.read(path, *arguments)]


def streams(path):
    """Every stream of RTP; heuristics find those that nobody announced, and those inside TURN."""
    arguments = ["-q", "--enable-heuristic", "rtp_udp", "--enable-heuristic", "rtp_stun", "-z", "rtp,streams"]
    for port in DECODE_AS:
        arguments += ["-d", port]
    found = []
    for line in taps.read(path, *arguments):
        if match := STREAM.match(line):
            found.append({
                "from": place(match["source"], match["source_port"]), "to": place(match["target"], match["target_port"]),
                "ssrc": f"0x{int(match['ssrc'], 16):08x}", "codec": CODECS.get(match["codec"], match["codec"]),
                "packets": int(match["packets"]), "lost": int(match["lost"]),
                "mean_jitter_ms": float(match["mean"]), "max_jitter_ms": float(match["max"]),
            })
    return found


def relays(path, decode_as):
    """Every address that a TURN server relays for."""
    arguments = ["-Y", "stun.att.type == 0x0016", "-O", "stun"]
    for port in decode_as:
        arguments += ["-d", port]
    found = [match for line in taps.read(path, *arguments) if (match := RELAYED.match(line))]
    return [{"kind": "relay", "endpoint": place(match["address"], match["port"])} for match in found]


def collect(path, calls, endpoints, decode_as=()):
    """Fills the lists of a manifest."""
    endpoints += relays(path, decode_as)
    dialogues, announced = {}, {}
    for row in rows(path, "sip", FIELDS):
        call_id = row["sip.Call-ID"]
        if row["sip.CSeq.method"] == "INVITE" or row["sip.Method"] == "INVITE":
            dialogue = dialogues.setdefault(call_id, {"call_id": call_id, "result": None, "streams": []})
            if status := row["sip.Status-Line"]:
                code, reason = status.split(" ", 2)[1:]
                # A redirected call goes on.
                if int(code) >= 200 and not (dialogue["result"] or "").startswith("2"):
                    dialogue["result"] = f"{code} {reason}"
        if row["sdp.media.port"] and row["sdp.media.proto"] in PROFILES:
            where = place(row["sdp.connection_info.address"], row["sdp.media.port"])
            endpoint = {"kind": "media", "endpoint": where, "call_id": call_id, "profile": row["sdp.media.proto"]}
            announced[where] = call_id
            if endpoint not in endpoints:
                endpoints.append(endpoint)
    strangers = []
    for stream in streams(path):
        call_id = announced.get(stream["to"]) or announced.get(stream["from"])
        (dialogues[call_id]["streams"] if call_id else strangers).append(stream)
    calls += dialogues.values()
    if strangers:
        calls.append({"call_id": "unannounced", "result": None, "streams": strangers})
