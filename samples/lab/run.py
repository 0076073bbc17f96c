#!/usr/bin/env python3
"""Builds the captures of the lab: `samples/lab/run.py [NAME...]`, as root, on Debian. See README.md beside it."""

import argparse
import importlib
import os
import sys
import time
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.dont_write_bytecode = True


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="scenarios; all without")
    parser.add_argument("--keep-going", action="store_true", help="build the others where one does not agree")
    parser.add_argument("--output", type=Path, default=HERE / "captures", help="folder for captures and manifests")
    parser.add_argument("--logs", type=Path, help="where to copy the logs of all daemons at the end")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def scenarios(names):
    """Modules of the scenarios, in the order of their file names, which is the order of building."""
    every = sorted(path.stem for path in (HERE / "scenarios").glob("*.py") if path.stem != "__init__")
    for name in names:
        if name not in every:
            sys.exit(f"no such scenario: {name}; there are {', '.join(every)}")
    return [(name, importlib.import_module(f"scenarios.{name}")) for name in every if not names or name in names]


def kept(options):
    """Folders that the driver reads and writes."""
    folders = [HERE, options.output.resolve()] + ([options.logs.resolve()] if options.logs else [])
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    return folders


def keep(outcome, folder):
    """Stores a capture that agrees with tshark; answers what changed, in words."""
    from lab import compare, taps

    manifest = folder / f"{outcome.name}.toml"
    before = compare.read(manifest)
    # The names of a rotated series tell the time. A manifest may name captures of others.
    for stale in (before or {}).get("captures", []):
        if stale.startswith(outcome.name):
            (folder / stale).unlink(missing_ok=True)
    taps.compress(outcome.paths, folder)
    manifest.write_text(outcome.text)
    return compare.changes(before, compare.read(manifest))


def build(options):
    """Runs the scenarios; answers how many do not agree with tshark."""
    from lab import inventory, network
    from lab.scenario import Scenario
    from lab.site import Lab

    network.furnish(kept(options))
    (options.output / "topology.toml").write_text(inventory.topology())
    lab = Lab()
    failures = 0
    for name, module in scenarios(options.names):
        begin = time.monotonic()
        label = name.replace("_", "-")
        scenario = Scenario(lab, label, module)
        try:
            outcomes = scenario.run(module)
            wrong = [line for outcome in outcomes for line in outcome.wrong]
            failures += len(wrong)
            for outcome in outcomes:
                changed = "not kept" if wrong else keep(outcome, options.output)
                print(f"{outcome.name}: {outcome.flows} flows, {time.monotonic() - begin:.0f} s, {changed}")
            for line in wrong:
                print(f"  {line}")
        except Exception:
            failures += 1
            print(f"{label}: failed")
            traceback.print_exc()
        if failures and not options.keep_going:
            break
    if options.logs:
        network.shell(f"cp -r {network.WORK}/. {options.logs}/ || true")
    return failures


def main():
    options = arguments()
    if options.inside:
        sys.stdout.reconfigure(line_buffering=True)
        sys.exit(1 if build(options) else 0)
    if os.geteuid() != 0:
        sys.exit("network namespaces need root")
    from lab import network, packages

    packages.install()
    sys.exit(network.isolate())


if __name__ == "__main__":
    main()
