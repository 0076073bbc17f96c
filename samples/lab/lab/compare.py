"""What changed in meaning between two manifests of one scenario, apart from what differs each time.

Ports, times and volumes do; so do how often a name is looked up or a peer is asked (what must be exact, the scenario declares), which
end speaks first in a pair that has no server, the way in which the last packets of a connection cross, and errors about datagrams
that come after their port was closed.
"""

import re
import tomllib

# Services whose flows have no end that serves the other.
PAIRS = ("media", "cluster_heartbeat")
# Datagrams that come late are answered with an error.
LATE = {"media": "EXW403", "stun_turn": "EXW403"}


def read(path):
    """The manifest, or nothing where there is none yet."""
    return tomllib.loads(path.read_text()) if path.exists() else None


def place(end):
    """An end of a flow, without a port that is chosen each time."""
    return re.sub(r":(\d{5})$", ":high", end)


def essence(manifest):
    """Kinds of flows, offers, calls and causes, without ephemeral ports and volumes."""
    lines = set()
    for flow in manifest.get("flow", []):
        service = flow.get("service")
        ends = [flow["client"].rpartition(":")[0], place(flow["server"])]
        if service in PAIRS:
            ends = sorted(end.rpartition(":")[0] for end in (flow["client"], flow["server"]))
        findings = [code for code in flow["findings"] if code != LATE.get(service)]
        state = {"reset": "ended", "closed": "ended"}.get(flow["state"], flow["state"])
        if "rtcp" in flow["protocols"]:
            # A call may end before both have reported.
            state = "reported"
        bound = [f"{each['uuid']} {each['auth_type']} {each['auth_level']}" for each in flow.get("rpc", [])]
        what = [service, *flow["protocols"], flow["encryption"], flow["verdict"], *flow["authentication"], *findings, *bound, state]
        lines.add(f"{flow['transport']} {ends[0]} to {ends[1]} {' '.join(map(str, what))}")
    for offer in manifest.get("endpoint", []):
        lines.add(f"offer {offer['kind']} {place(offer['endpoint'])} {offer.get('uuid', offer.get('profile', ''))}")
    for call in manifest.get("call", []):
        lines.add(f"call {call.get('result')} with {len(call['streams'])} streams")
    for cause in manifest.get("cause", []):
        lines.add(f"cause {cause.get('code')} {cause['words']}")
    return lines


def changes(before, after):
    """In words, on one line or several."""
    if before is None:
        return "new"
    old, new = essence(before), essence(after)
    lines = [f"- {line}" for line in sorted(old - new)] + [f"+ {line}" for line in sorted(new - old)]
    return "\n  ".join(["changed:", *lines]) if lines else "as before"
