"""What the measuring scripts share: a daemon and its load on processors of their own, its memory over time, and how to say what came out."""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MIB = 1 << 20


def arguments(parser):
    parser.add_argument("--quick", action="store_true", help="seconds instead of minutes: shows that the script works, and nothing else")
    parser.add_argument("--daemon", default=str(ROOT / "target/release/maitred"))
    parser.add_argument("--loadtest", default=str(ROOT / "target/release/maitred-loadtest"))
    parser.add_argument("more", nargs="*", help="handed on to the load generator, after --")
    return parser


class Judge:
    """Prints each finding, and remembers whether all were good."""

    def __init__(self, quick):
        self.quick, self.good = quick, True

    def finds(self, good, text):
        self.good &= good
        print(f"{'ok  ' if good else 'FAIL'}  {text}", flush=True)

    def bounds(self, good, text):
        """A bound on times or memory: says nothing in a quick run on a busy machine, so it does not fail there."""
        self.finds(good or self.quick, text + (" (too short to count)" if self.quick else ""))

    def end(self, name):
        print(f"{name}: {'good' if self.good else 'NOT GOOD'}{', a quick run' if self.quick else ''}")
        sys.exit(0 if self.good else 1)


def resident(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def child_of(pid):
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(text[0]) if text else None


class Run:
    """One run of the load generator with a daemon of its own: the report, and the daemon's memory each second of the load.
    With two processors the daemon has the first and the generator the second."""

    def __init__(self, args, scenario, *more, limit):
        self.memory = []
        own = len(os.sched_getaffinity(0)) > 1
        with tempfile.TemporaryDirectory() as directory:
            pinned = Path(directory, "maitred")
            pinned.write_text(f"#!/bin/sh\nexec {'taskset -c 0 ' if own else ''}'{args.daemon}' \"$@\"\n")
            pinned.chmod(0o755)
            command = ["taskset", "-c", "1"] if own else []
            command += [args.loadtest, "run", scenario, "--spawn", "--daemon", str(pinned), "--json", *more, *args.more]
            environment = {name: value for name, value in os.environ.items() if not name.startswith("MAITRED")}
            load = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            over = threading.Event()
            watch = threading.Thread(target=self.watch, args=(load.pid, over))
            watch.start()
            try:
                out, self.said = load.communicate(timeout=limit)
            except subprocess.TimeoutExpired:
                load.kill()
                load.communicate()
                sys.exit(f"{scenario} did not end within {limit} s")
            finally:
                over.set()
                watch.join()
        self.good = load.returncode == 0
        lines = out.strip().splitlines()
        if not lines:
            sys.exit(f"no report: {self.said}")
        self.report = json.loads(lines[-1])
        self.seconds = self.report["seconds"]

    def watch(self, load, over):
        daemon = None
        while not over.wait(1):
            try:
                daemon = daemon or child_of(load)
                if daemon:
                    self.memory.append((time.monotonic(), resident(daemon)))
            except (OSError, ValueError):
                daemon = None


def slope(points):
    """Of a line through (seconds, bytes) by least squares: bytes a second."""
    count = len(points)
    x = sum(at for at, _ in points) / count
    y = sum(value for _, value in points) / count
    spread = sum((at - x) ** 2 for at, _ in points)
    return sum((at - x) * (value - y) for at, value in points) / spread if spread else 0.0


def mean(values):
    values = list(values)
    return sum(values) / len(values) if values else 0.0
