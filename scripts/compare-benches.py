#!/usr/bin/env python3
"""Compares the benches of two revisions: builds both, runs them in turn, and says what is slower now.

    scripts/compare-benches.py BEFORE [AFTER] [--rounds N] [--seconds S] [--filter NAME] [--bench NAME]...

AFTER is the working tree where it is not given. Each round runs the benches of both revisions, so that the load of the machine
falls on both alike; of each bench the best median counts. Exit status 1 where one is more than five per cent slower, 2 for trouble.
"""

import argparse
import os
import re
import subprocess
import sys

# What a shared machine does by itself stays below this, over a few rounds.
TOLERANCE = 1.05
UNITS = {"ns": 1.0, "µs": 1e3, "us": 1e3, "ms": 1e6, "s": 1e9}


def output(*command, **options):
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, **options).stdout


def tree(revision, root):
    """A work tree of the revision."""
    if revision is None:
        return root
    commit = output("git", "rev-parse", "--short=12", f"{revision}^{{commit}}", cwd=root).strip()
    path = os.path.join(root, "target", "compare", commit)
    if not os.path.isdir(path):
        output("git", "worktree", "add", "--detach", path, commit, cwd=root)
    return path


def build(path, benches):
    """Executables by the names of the benches."""
    wanted = [part for bench in benches for part in ("--bench", bench)] or ["--benches"]
    command = ["cargo", "bench", "--locked", "--no-run", *wanted]
    # In one folder the second build would take the place of the first, and be compared with itself.
    environment = {**os.environ, "CARGO_TARGET_DIR": os.path.join(path, "target")}
    said = subprocess.run(command, cwd=path, env=environment, text=True, stderr=subprocess.PIPE, check=False)
    if said.returncode != 0:
        sys.stderr.write(said.stderr)
        sys.exit(2)
    found = re.findall(r"Executable benches/(\w+)\.rs \((.*)\)", said.stderr)
    return {name: os.path.join(path, executable) for name, executable in found}


def medians(bench, executable, path, seconds, pattern):
    """Nanoseconds by the full name of the bench, out of divan's table."""
    command = (executable, "--bench", "--max-time", str(seconds), *pattern)
    said = output(*command, cwd=path, stderr=subprocess.DEVNULL)
    times, parents = {}, []
    for line in said.splitlines():
        found = re.match(r"([│ ]*)[├╰]─ (.*)", line)
        if not found:
            continue
        depth, rest = len(found[1]) // 3, found[2]
        columns = rest.split("│")
        name = columns[0].split("  ")[0].strip()
        parents = [*parents[:depth], name]
        if len(columns) < 4:
            continue
        median = re.search(r"([\d.]+) (ns|µs|us|ms|s)", columns[2])
        if median:
            times["::".join([bench, *parents])] = float(median[1]) * UNITS[median[2]]
    return times


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before")
    parser.add_argument("after", nargs="?")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.5, help="for one bench in one round")
    parser.add_argument("--filter", action="append", default=[], help="only benches whose name holds this")
    parser.add_argument("--bench", action="append", default=[], help="only this file of benches/")
    options = parser.parse_args()
    root = output("git", "rev-parse", "--show-toplevel").strip()
    trees = [tree(revision, root) for revision in (options.before, options.after)]
    built = [build(path, options.bench) for path in trees]
    best = [{}, {}]
    for _ in range(options.rounds):
        for side, (path, executables) in enumerate(zip(trees, built)):
            for bench, executable in executables.items():
                for name, nanos in medians(bench, executable, path, options.seconds, options.filter).items():
                    best[side][name] = min(nanos, best[side].get(name, nanos))
    before, after = best
    slower = 0
    for name in sorted(before.keys() & after.keys()):
        ratio = after[name] / before[name]
        mark = ""
        if ratio > TOLERANCE:
            mark, slower = "  slower", slower + 1
        elif ratio < 1 / TOLERANCE:
            mark = "  faster"
        print(f"{ratio:6.2f}  {before[name] / 1e6:12.3f} ms  {after[name] / 1e6:12.3f} ms  {name}{mark}")
    for title, names in [("gone", before.keys() - after.keys()), ("new", after.keys() - before.keys())]:
        for name in sorted(names):
            print(f"{title:>6}  {name}")
    if not before.keys() & after.keys():
        sys.exit("compare-benches: the revisions have no bench in common")
    print(f"{slower} of {len(before.keys() & after.keys())} are more than 5 % slower")
    sys.exit(1 if slower else 0)


if __name__ == "__main__":
    main()
