#!/usr/bin/env python3
"""Times exwire beside the tools that read captures, on the same file, in turn, and prints a table.

    scripts/bench-tools.py [--exwire PATH] [--rounds N] [--all] CAPTURE...

Tools that are not installed are left out. `cat` is the floor: the file is in the page cache before the first round. Each program
runs in every round, one after the other, so that the load of the machine falls on all alike; a row is the median of its rounds.
tshark and ndpiReader, which take minutes, run once unless `--all` is given. A capture gets a copy in .zst beside it where
`zstd` is installed.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time


def run(command, folder):
    """Seconds by the clock, seconds of processors, and MiB at the peak; None where the program failed."""
    with open(os.devnull, "r+b") as null:
        start = time.monotonic()
        process = subprocess.Popen(command, stdin=null, stdout=null, stderr=null, cwd=folder)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - start
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 3):
        return None
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def programs(exwire, capture, packed, folder):
    """Name, command, and whether it is slow."""
    classify = [exwire, "classify", "--quiet", "--output", os.path.join(folder, "out"), "--format"]
    listed = [
        ("cat", ["cat", capture], False),
        ("tcpdump -w", ["tcpdump", "-r", capture, "-w", os.devnull], False),
        ("exwire, 1 thread", [*classify, "jsonl", "--threads", "1", capture], False),
        ("exwire, 2 threads", [*classify, "jsonl", "--threads", "2", capture], False),
        ("exwire, 2 threads, parquet", [*classify, "parquet", "--threads", "2", capture], False),
        ("argus", ["argus", "-F", os.devnull, "-r", capture, "-w", os.path.join(folder, "argus")], False),
        ("nfpcapd", ["nfpcapd", "-r", capture, "-w", folder], False),
        ("ndpiReader", ["ndpiReader", "-q", "-i", capture], True),
        ("tshark -z io,phs", ["tshark", "-n", "-q", "-z", "io,phs", "-r", capture], True),
    ]
    if packed:
        listed[4:4] = [
            ("zstd -d", ["zstd", "-dqc", packed], False),
            ("exwire, 1 thread, .zst", [*classify, "jsonl", "--threads", "1", packed], False),
            ("exwire, 2 threads, .zst", [*classify, "jsonl", "--threads", "2", packed], False),
        ]
    return [one for one in listed if shutil.which(one[1][0])]


def measure(exwire, capture, rounds, everything):
    packed = capture + ".zst" if shutil.which("zstd") else None
    if packed and not os.path.exists(packed):
        subprocess.run(["zstd", "-q", "-3", "-T0", capture, "-o", packed], check=True)
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        listed = programs(exwire, capture, packed, folder)
        for path in filter(None, [capture, packed]):
            run(["cat", path], folder)
        for number in range(rounds):
            for name, command, slow in listed:
                if number == 0 or everything or not slow:
                    results.setdefault(name, []).append(run(command, folder))
    return results


def table(results):
    def medians(runs):
        good = [one for one in runs if one]
        return [statistics.median(column) for column in zip(*good)] if good else None

    rows = {name: medians(runs) for name, runs in results.items()}
    lines = [
        "| program | seconds | of tcpdump | of ndpiReader | processor seconds | of tcpdump | of ndpiReader | peak, MiB |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, row in rows.items():
        if row is None:
            lines.append(f"| {name} | failed | | | | | | |")
            continue

        cells = [name]
        for column in (0, 1):
            cells.append(f"{row[column]:.2f}")
            for other in ("tcpdump -w", "ndpiReader"):
                base = rows.get(other)
                cells.append(f"{row[column] / base[column]:.2f}" if base and base[column] else "")
        lines.append("| " + " | ".join([*cells, f"{row[2]:.0f}"]) + " |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--exwire", default="target/release/exwire")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--all", action="store_true", help="the slow tools in every round too")
    parser.add_argument("captures", nargs="+", metavar="CAPTURE")
    options = parser.parse_args()
    exwire = os.path.abspath(options.exwire)
    if not os.access(exwire, os.X_OK):
        sys.exit(f"bench-tools: expected the program at {exwire}: cargo build --release")
    for capture in map(os.path.abspath, options.captures):
        size = os.path.getsize(capture) / 1e6
        print(f"\n{os.path.basename(capture)}, {size:.0f} MB, {options.rounds} rounds\n", flush=True)
        print(table(measure(exwire, capture, options.rounds, options.all)), flush=True)


if __name__ == "__main__":
    main()
