#!/usr/bin/env python3
"""Measures how time and memory grow, and draws it: with packets, flows, threads and captures.

    scripts/scaling.py [--exwire PATH] [--traffic PATH] [--points CURVE[:VALUE],...] [--csv FILE] [--svg FILE] [--draw-only]

Each point is a row of the CSV, which is written as soon as it is measured; rows of other points stay. `--points flows:10000000` measures
one of them, `--points packets,flows` two curves; all but the long ones are measured where none are named.

Captures are made by `examples/traffic` (kind `steady`): in a temporary folder or, where the file would be large, into a pipe from which
exwire reads. Time and memory are those of exwire's process alone. The curves need matplotlib; the CSV does not.
"""

import argparse
import csv
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from contextlib import contextmanager

# Where the other quantities stay while one grows.
PACKETS, FLOWS = 1_000_000, 10_000
CURVES = {
    "packets": [10**5, 10**6, 10**7, 10**8],
    "flows": [10**3, 10**4, 10**5, 10**6, 10**7],
    "threads": [1, 2, 3, 4, 6, 8],
    "captures": [1, 3, 10, 30, 100, 300, 1000],
}
# Points that take minutes, or tens of them: measured where they are named.
LONG = {("packets", 10**8), ("flows", 10**7)}
ROUNDS = 3
# Larger captures are not written to a disk, and measured once.
LARGEST_FILE = 5 << 30
# Bytes of a packet of `steady`, at most: those of a lookup are 108.
PACKET_BYTES = 470
LEAST_PACKETS_OF_A_FLOW = 4
HEAD = ["curve", "value", "packets", "flows", "threads", "captures", "bytes", "seconds", "processor_seconds", "peak_mib"]


class Failed(SystemExit):
    pass


def ended(process, command):
    """Waits for a process; what it took of the processor, in seconds, and of memory at the peak, in MiB."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise Failed(f"scaling: {' '.join(command)} ended with {process.returncode}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


@contextmanager
def started(command, **streams):
    """A process that does not outlive its use, whatever happens."""
    process = subprocess.Popen(command, **{"stderr": subprocess.DEVNULL, **streams})
    try:
        yield process
    finally:
        if process.returncode is None and process.poll() is None:
            process.kill()
            process.wait()


def run(command, source=subprocess.DEVNULL):
    start = time.monotonic()
    with started(command, stdin=source, stdout=subprocess.DEVNULL) as process:
        processor, peak = ended(process, command)
    return time.monotonic() - start, processor, peak


class Lab:
    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.rows = read(options.csv) if os.path.exists(options.csv) else []

    def traffic(self, path, packets, flows, seed=1):
        return [self.options.traffic, "steady", f"{packets}p", path, "--flows", str(flows), "--seed", str(seed)]

    def classify(self, threads, captures):
        command = [self.options.exwire, "classify", "--quiet", "--format", "jsonl", "--threads", str(threads)]
        return command + (["--separate"] if len(captures) > 1 else []) + captures

    def make(self, name, packets, flows, seed=1):
        path = os.path.join(self.folder, name)
        run(self.traffic(path, packets, flows, seed))
        return path

    def piped(self, packets, flows):
        """One run that reads what the generator writes."""
        making = self.traffic("-", packets, flows)
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with started(making, **streams) as generator:
            taken = run(self.classify(2, ["-"]), generator.stdout)
            generator.stdout.close()
            report = generator.stderr.read().decode()
            ended(generator, making)
        # "all", flows, packets, bytes
        total = next(line.split() for line in report.splitlines() if line.startswith("all"))
        return int(total[3].rstrip(",")), taken

    def measure(self, curve, value):
        packets, flows, threads, captures = PACKETS, FLOWS, 2, 1
        match curve:
            case "packets":
                packets = value
            case "flows":
                packets, flows = max(PACKETS, LEAST_PACKETS_OF_A_FLOW * value), value
            case "threads":
                threads = value
            case "captures":
                captures = value
        size = packets * PACKET_BYTES if packets > 10 * flows else packets * 108
        if size > LARGEST_FILE or (curve, value) in LONG:
            size, taken = self.piped(packets, flows)
            runs = [taken]
        else:
            if shutil.disk_usage(self.folder).free < 2 * size:
                raise Failed(f"scaling: {self.folder} has no room for {2 * size >> 20} MiB")
            each = (packets // captures, max(flows // captures, 1))
            paths = [self.make(f"{number}-tap.pcap", *each, seed=number) for number in range(1, captures + 1)]
            size = sum(os.path.getsize(path) for path in paths)
            runs = [run(self.classify(threads, paths)) for _ in range(ROUNDS)]
            for path in paths:
                os.remove(path)
        medians = [statistics.median(column) for column in zip(*runs)]
        row = [curve, value, packets, flows, threads, captures, size, *(f"{median:.3f}" for median in medians)]
        self.keep([str(cell) for cell in row])

    def keep(self, row):
        """Puts a row in the place of the one of its point, and writes all of them."""
        print(*row, sep=",", flush=True)
        order = list(CURVES)
        rows = [known for known in self.rows if known[:2] != row[:2]]
        self.rows = sorted([*rows, row], key=lambda row: (order.index(row[0]), int(row[1])))
        with open(self.options.csv + ".part", "w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([HEAD, *self.rows])
        os.replace(self.options.csv + ".part", self.options.csv)


def read(path):
    with open(path, newline="") as file:
        return list(csv.reader(file))[1:]


def draw(rows, path):
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "exwire", "font.size": 9, "axes.grid": True, "grid.alpha": 0.3})
    from matplotlib import pyplot

    figure, all_axes = pyplot.subplots(2, 2, figsize=(9, 6.5), constrained_layout=True)
    for curve, axes in zip(CURVES, all_axes.flat):
        points = [dict(zip(HEAD, row)) for row in rows if row[0] == curve]
        x = [float(point["value"]) for point in points]
        # The processor's time, since the clock of a shared machine measures its other work as well.
        processor = [float(point["processor_seconds"]) for point in points]
        peak = [float(point["peak_mib"]) for point in points]
        axes.loglog(x, processor, "o-", color="tab:blue")
        axes.set_xlabel(curve)
        axes.set_ylabel("processor seconds", color="tab:blue")
        right = axes.twinx()
        right.loglog(x, peak, "s--", color="tab:red")
        right.set_ylabel("peak memory, MiB", color="tab:red")
        right.grid(False)
        # Equal decades on both sides, so that slopes can be compared, and room for what hardly grows.
        for side, values in [(axes, processor), (right, peak)]:
            side.set_ylim(min(values) / 3, max(max(values) * 3, min(values) * 30))
        if curve in ("packets", "flows") and x:
            # What grows in proportion runs beside this line; it meets the last point.
            line = [processor[-1] * value / x[-1] for value in x]
            axes.loglog(x, line, ":", color="gray", label="in proportion")
            axes.set_ylim(bottom=min(processor) / 3)
            axes.legend(loc="upper left")
    figure.savefig(path, metadata={"Date": None})


def points(text):
    """`packets,flows:1000` as pairs."""
    for part in text.split(","):
        curve, _, value = part.partition(":")
        if curve not in CURVES or (value and not value.isdecimal()):
            raise argparse.ArgumentTypeError(f"no point: {part}; curves are {', '.join(CURVES)}")
        yield from [(curve, int(value))] if value else every(curve)


def every(curve):
    return [(curve, value) for value in CURVES[curve] if (curve, value) not in LONG]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--exwire", default="target/release/exwire")
    parser.add_argument("--traffic", default="target/release/examples/traffic")
    parser.add_argument("--points", type=lambda text: list(points(text)))
    parser.add_argument("--csv", default="docs/scaling.csv")
    parser.add_argument("--svg", default="docs/scaling.svg")
    parser.add_argument("--draw-only", action="store_true", help="draws the CSV that is there")
    options = parser.parse_args()
    if not options.draw_only:
        with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
            lab = Lab(options, folder)
            for curve, value in options.points or [point for curve in CURVES for point in every(curve)]:
                lab.measure(curve, value)
    draw(read(options.csv), options.svg)


if __name__ == "__main__":
    main()
