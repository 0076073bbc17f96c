#!/usr/bin/env python3
"""Measures how time and memory grow, and draws it: with packets, flows, threads and captures.

    scripts/scaling.py [--exwire PATH] [--traffic PATH] [--most-packets N] [--most-flows N] [--csv FILE] [--svg FILE]

Captures are made by `examples/traffic` (kind `steady`) in a temporary folder. The curves need matplotlib; the CSV does not.
"""

import argparse
import csv
import os
import statistics
import subprocess
import tempfile
import time

# Where the other quantities stay while one grows.
PACKETS, FLOWS = 1_000_000, 10_000
THREADS = [1, 2, 3, 4, 6, 8]
CAPTURES = [1, 3, 10, 30, 100, 300, 1000]
ROUNDS = 3


def run(command):
    with open(os.devnull, "r+b") as null:
        start = time.monotonic()
        process = subprocess.Popen(command, stdin=null, stdout=null, stderr=null)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"scaling: {' '.join(command)} ended with {process.returncode}")
    return time.monotonic() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def powers(first, last):
    value = first
    while value <= last:
        yield value
        value *= 10


class Lab:
    def __init__(self, options, folder):
        self.options, self.folder, self.rows = options, folder, []

    def make(self, name, packets, flows, seed=1):
        path = os.path.join(self.folder, name)
        arguments = ["steady", f"{packets}p", path, "--flows", str(flows), "--seed", str(seed)]
        run([self.options.traffic, *arguments])
        return path

    def measure(self, curve, value, paths, packets, flows, threads=2, rounds=ROUNDS):
        command = [self.options.exwire, "classify", "--quiet", "--threads", str(threads)]
        command += ["--output", os.path.join(self.folder, "out"), *paths]
        if len(paths) > 1:
            command.append("--separate")
        runs = [run(command) for _ in range(rounds)]
        seconds, processor, mebibytes = (statistics.median(column) for column in zip(*runs))
        size = sum(os.path.getsize(path) for path in paths)
        row = [curve, value, packets, flows, threads, len(paths), size, seconds, processor, mebibytes]
        self.rows.append([f"{cell:.3f}" if isinstance(cell, float) else cell for cell in row])
        print(*self.rows[-1], sep=",", flush=True)

    def curves(self):
        options = self.options
        for packets in powers(100_000, options.most_packets):
            path = self.make("packets.pcap", packets, FLOWS)
            self.measure("packets", packets, [path], packets, FLOWS, rounds=1 if packets > 10**7 else ROUNDS)
        os.remove(path)
        for flows in powers(1000, options.most_flows):
            packets = max(PACKETS, 4 * flows)
            path = self.make("flows.pcap", packets, flows)
            self.measure("flows", flows, [path], packets, flows, rounds=1 if flows > 10**6 else ROUNDS)
        os.remove(path)
        path = self.make("threads.pcap", PACKETS, FLOWS)
        for threads in THREADS:
            self.measure("threads", threads, [path], PACKETS, FLOWS, threads)
        os.remove(path)
        for captures in CAPTURES:
            each = (PACKETS // captures, max(FLOWS // captures, 1))
            paths = [self.make(f"{number}-tap.pcap", *each, seed=number) for number in range(captures)]
            self.measure("captures", captures, paths, PACKETS, FLOWS)
            for path in paths:
                os.remove(path)


HEAD = ["curve", "value", "packets", "flows", "threads", "captures", "bytes", "seconds", "processor_seconds", "peak_mib"]


def draw(rows, path):
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "exwire", "font.size": 9, "axes.grid": True, "grid.alpha": 0.3})
    from matplotlib import pyplot

    figure, all_axes = pyplot.subplots(2, 2, figsize=(9, 6.5), constrained_layout=True)
    for curve, axes in zip(["packets", "flows", "threads", "captures"], all_axes.flat):
        points = [dict(zip(HEAD, row)) for row in rows if row[0] == curve]
        x = [float(point["value"]) for point in points]
        # The processor's time, since the clock of a shared machine measures its other work as well.
        axes.plot(x, [float(point["processor_seconds"]) for point in points], "o-", color="tab:blue")
        axes.set_xlabel(curve)
        axes.set_ylabel("processor seconds", color="tab:blue")
        right = axes.twinx()
        right.plot(x, [float(point["peak_mib"]) for point in points], "s--", color="tab:red")
        right.set_ylabel("peak memory, MiB", color="tab:red")
        right.grid(False)
        # From zero, so that what hardly grows looks like it.
        axes.set_ylim(bottom=0)
        right.set_ylim(bottom=0)
        if curve != "threads":
            axes.set_xscale("log")
    figure.savefig(path, metadata={"Date": None})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--exwire", default="target/release/exwire")
    parser.add_argument("--traffic", default="target/release/examples/traffic")
    parser.add_argument("--most-packets", type=int, default=10**7)
    parser.add_argument("--most-flows", type=int, default=10**6)
    parser.add_argument("--csv", default="docs/scaling.csv")
    parser.add_argument("--svg", default="docs/scaling.svg")
    parser.add_argument("--draw-only", action="store_true", help="draws the CSV that is there")
    options = parser.parse_args()
    if not options.draw_only:
        with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
            lab = Lab(options, folder)
            lab.curves()
        with open(options.csv, "w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([HEAD, *lab.rows])
    with open(options.csv, newline="") as file:
        rows = list(csv.reader(file))[1:]
    draw(rows, options.svg)


if __name__ == "__main__":
    main()
