"""How fast episodes are collected beside what the client libraries allow, over one endpoint of fixed latency.

::

    python benchmarks/collect.py [--in-flight 16,64,256,1024] [--arms aiohttp,retort] [--json FILE]

README.md of this folder says what the columns mean.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import select
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from arms import ARMS, CALLS
from material import write_library
from tqdm import tqdm

HERE = Path(__file__).resolve().parent
TICK = os.sysconf("SC_CLK_TCK")
START_SECONDS = 180.0
"""An arm that is not ready after that has failed."""


def get(url: str, method: str = "GET") -> dict[str, Any]:
    """JSON of the server."""
    with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=30.0) as response:
        text: dict[str, Any] = json.load(response)
        return text


@contextmanager
def server(latency: float) -> Iterator[str]:
    """The endpoint, in a process of its own; yields its URL."""
    command = [sys.executable, str(HERE / "latency_server.py"), "--latency", str(latency)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def cpu_of(pid: int) -> tuple[float, float]:
    """CPU seconds of a process, and of all its descendants, ended ones included; (0, 0) where it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        below = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return 0.0, 0.0
    own, ended = sum(map(int, fields[11:13])) / TICK, sum(map(int, fields[13:15])) / TICK
    return own, ended + sum(sum(cpu_of(int(child))) for child in below)


class Arm:
    """One arm at one number of calls in flight: started, played, and measured from outside."""

    def __init__(self, name: str, url: str, in_flight: int, calls: int, material: Path, log: IO[str]) -> None:
        self.name, self.url, self.in_flight, self.calls = name, url, in_flight, calls
        episodes = calls // CALLS
        command = [sys.executable, str(HERE / "arms.py"), name, url, str(in_flight), str(episodes), str(material)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True
        )

    def line(self, seconds: float) -> str:
        """The next line of the arm; '' where none comes in time or the arm has ended."""
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], seconds)
        return self._process.stdout.readline().strip() if ready else ""

    def play(self, deadline: float, bar: tqdm[Any]) -> dict[str, Any] | None:
        """Measure; None where the arm failed. Past `deadline` seconds it is stopped, and what it did by then counts."""
        assert self._process.stdin is not None
        if self.line(START_SECONDS) != "ready":
            return None
        get(f"{self.url}/reset", "POST")
        own_before, _ = cpu_of(self._process.pid)
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        begun = time.monotonic()
        started = 0.0
        first = False
        text = ""
        while not text and self._process.poll() is None and time.monotonic() - begun < deadline:
            seen = get(f"{self.url}/stats")
            if not first and seen["first"] is not None:
                first, started = True, cpu_of(self._process.pid)[1]
            bar.update(seen["calls"] - bar.n)
            text = self.line(0.5 if first else 0.02)  # what worker processes load ends with the first call
        seen = get(f"{self.url}/stats")
        if text:
            used = json.loads(text)
            return self.row(seen, used["own"], used["children"] - started, late=False)
        if self._process.poll() is not None:
            return None
        own, children = cpu_of(self._process.pid)
        return self.row(seen, own - own_before, children - started, late=True)

    def row(self, seen: dict[str, Any], own: float, children: float, *, late: bool) -> dict[str, Any]:
        """The numbers."""
        calls = seen["calls"]
        end = seen["now"] if late else seen["last"]
        seconds = end - seen["first"] if calls else 0.0
        return {
            "arm": self.name,
            "in_flight": self.in_flight,
            "calls": calls,
            "calls_wanted": self.calls,
            "seconds": seconds,
            "rate": calls / seconds if calls else 0.0,
            "client_cpu_ms": 1000 * (own + children) / max(1, calls),
            "server_cpu_ms": 1000 * seen["cpu"] / max(1, calls),
            "most_in_flight": seen["most_in_flight"],
            "request_bytes": seen["request_bytes"] / max(1, calls),
            "stopped": late,
        }

    def stop(self) -> None:
        """End the arm and whatever it started."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()
        self._process.wait()


def measure(chosen: argparse.Namespace, name: str, in_flight: int, url: str, material: Path) -> dict[str, Any]:
    """The best of `--repeat` runs of one arm."""
    calls = max(1, chosen.calls_per_slot // CALLS) * CALLS * in_flight
    rows: list[dict[str, Any]] = []
    for _ in range(chosen.repeat):
        with tempfile.TemporaryFile("w+") as log:
            arm = Arm(name, url, in_flight, calls, material, log)
            try:
                with tqdm(total=calls, desc=f"{name} at {in_flight}", unit="call", leave=False) as bar:
                    row = arm.play(chosen.deadline, bar)
            finally:
                arm.stop()
            if row is None:
                log.seek(0)
                last = "\n".join(log.read().splitlines()[-12:])
                raise SystemExit(f"arm {name!r} at {in_flight} failed: {last or 'it ended without a word'}")
        rows.append({**row, "of_ideal": row["rate"] * chosen.latency / in_flight, "load": os.getloadavg()[0]})
        if row["stopped"]:
            break
    return max(rows, key=lambda row: row["rate"])


HEAD = (
    "| in flight | client | calls/s | of ideal | client CPU, ms/call | server CPU, ms/call | most in flight |\n"
    "|---:|---|---:|---:|---:|---:|---:|"
)


def line(row: dict[str, Any]) -> str:
    """A row of the table."""
    note = f" (stopped after {row['seconds']:.0f} s, {row['calls']} calls)" if row["stopped"] else ""
    return (
        f"| {row['in_flight']} | {ARMS[row['arm']]}{note} | {row['rate']:.1f} | {row['of_ideal']:.2f} "
        f"| {row['client_cpu_ms']:.2f} | {row['server_cpu_ms']:.2f} | {row['most_in_flight']} |"
    )


def numbers(text: str) -> list[int]:
    """`16,64` -> [16, 64]."""
    return [int(part) for part in text.split(",")]


def names(text: str) -> list[str]:
    """Arms by name, split by commas."""
    found = text.split(",")
    unknown = [name for name in found if name not in ARMS]
    if unknown:
        raise argparse.ArgumentTypeError(f"no arm {unknown[0]!r}; there are {', '.join(ARMS)}")
    return found


def skips(text: str) -> set[tuple[str, int]]:
    """`openai:1024,openai:256` -> {("openai", 1024), ...}."""
    pairs = [part.partition(":") for part in text.split(",") if part]
    return {(names(name)[0], int(count)) for name, _, count in pairs}


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--in-flight", type=numbers, default=[16, 64, 256, 1024], metavar="N,N")
    parser.add_argument("--arms", type=names, default=list(ARMS), metavar="ARM,ARM", help=", ".join(ARMS))
    parser.add_argument("--calls-per-slot", type=int, default=16, help="calls for each one in flight (default 16)")
    parser.add_argument("--latency", type=float, default=1.0, help="seconds the endpoint takes (default 1)")
    parser.add_argument(
        "--deadline", type=float, default=60.0, help="seconds after which an arm is stopped (default 60)"
    )
    parser.add_argument("--skip", type=skips, default=set(), metavar="ARM:N", help="leave out, e.g. openai:1024")
    parser.add_argument("--repeat", type=int, default=1, help="runs of each arm; the best one counts (default 1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers there")
    chosen = parser.parse_args()
    about = {"python": platform.python_version(), "cpus": len(os.sched_getaffinity(0)), "load": os.getloadavg()[0]}
    rows: list[dict[str, Any]] = []
    print(f"{about['cpus']} CPUs, load {about['load']:.1f} before, latency {chosen.latency:g} s\n\n{HEAD}", flush=True)
    with tempfile.TemporaryDirectory() as folder, server(chosen.latency) as url:
        write_library(Path(folder) / "library")
        for in_flight in chosen.in_flight:
            for name in chosen.arms:
                if (name, in_flight) not in chosen.skip:
                    rows.append(measure(chosen, name, in_flight, url, Path(folder)))
                    print(line(rows[-1]), flush=True)
    if chosen.json:
        chosen.json.write_text(json.dumps({**about, "latency": chosen.latency, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
