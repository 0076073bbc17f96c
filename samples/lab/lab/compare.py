"""What changed between two manifests of one scenario, apart from what differs each time: ports, times and counts."""

import re
import tomllib
from collections import Counter


def read(path):
    """The manifest, or nothing where there is none yet."""
    return tomllib.loads(path.read_text()) if path.exists() else None


def essence(manifest):
    """Flows without ephemeral ports and volumes."""
    lines = Counter()
    for flow in manifest.get("flow", []):
        client = flow["client"].rpartition(":")[0]
        server = re.sub(r":(\d{5})$", ":high", flow["server"])
        what = [flow.get("service"), *flow["protocols"], flow["encryption"], *flow["findings"], flow["state"]]
        lines[f"{flow['transport']} {client} to {server} {' '.join(map(str, what))}"] += 1
    return lines


def changes(before, after):
    """In words, on one line or several."""
    if before is None:
        return "new"
    old, new = essence(before), essence(after)
    lines = [f"- {count}x {line}" for line, count in (old - new).items()]
    lines += [f"+ {count}x {line}" for line, count in (new - old).items()]
    return "\n  ".join(["changed:", *lines]) if lines else "as before"
