"""Kills a run at random moments and gives it disks that are too small, then compares its data with those of a calm run.

    python tests/hardship.py kills 100 FOLDER      # collect, dataset, train and evaluate in turn
    python tests/hardship.py disks 20 FOLDER       # the line on file systems of 20 sizes; needs root

FOLDER is made, and holds the calm run. Every restart must end without a traceback and leave the same data: files byte
for byte, episodes and scores but for seconds, weights byte for byte.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

from kettle_run import CONFIG, folder_of  # noqa: E402

from graphs.runner.ledger import Ledger  # noqa: E402
from retort.cli import SINGLE  # noqa: E402
from retort.config import load_config  # noqa: E402
from retort.stages import unmark  # noqa: E402
from retort.table import stages_of  # noqa: E402

STAGES = ("collect", "dataset", "train", "evaluate")
"""Commands that are killed, in their order."""
START = 2.0
"""Seconds until a command begins its work, about."""
STEPS = CONFIG.replace("max_steps = 2\n", "max_steps = 8\nsave_every = 2\n")
"""Trainings that are long enough to be killed between two checkpoints."""
WHOLE = ("exam.jsonl", "held_out.json", "kept.jsonl", "dropped.jsonl", "data/*.jsonl", "students/*/model.safetensors")
TIMED = ("scores/*.jsonl",)
HOUR = 3600.0


class Done(NamedTuple):
    """A command that ended by itself."""

    status: int
    said: str
    seconds: float


def retort(*arguments: object) -> list[str]:
    """The command line as a process."""
    return [sys.executable, "-m", "retort", *map(str, arguments)]


def environment() -> dict[str, str]:
    """One thread: sums of floats in another order would be other weights."""
    paths = [str(HERE.parent), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def finished(*arguments: object) -> Done:
    """Run a command to its end."""
    began = time.monotonic()
    done = subprocess.run(retort(*arguments), env=environment(), capture_output=True, text=True, timeout=HOUR)
    return Done(done.returncode, done.stderr, time.monotonic() - began)


def killed(after: float, *arguments: object) -> bool:
    """Start a command and send SIGKILL to it and its children after some seconds; False where it had ended."""
    process = subprocess.Popen(
        retort(*arguments),
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True
    return False


def timeless(value: Any) -> Any:
    """A record without its seconds."""
    if isinstance(value, dict):
        return {name: timeless(each) for name, each in value.items() if "seconds" not in name}
    return [timeless(each) for each in value] if isinstance(value, list) else value


def data_of(run: Path) -> dict[str, str]:
    """File -> hash of what is in it, and the ledger's episodes, of everything that a run has made so far."""
    found = {str(p.relative_to(run)): hashlib.sha256(p.read_bytes()).hexdigest() for p in matching(run, WHOLE)}
    for path in matching(run, TIMED):
        rows = [timeless(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
        found[str(path.relative_to(run))] = hashlib.sha256(json.dumps(rows).encode()).hexdigest()
    if (run / "ledger.sqlite").exists():
        with Ledger(run / "ledger.sqlite") as ledger:
            rows = sorted(json.dumps(timeless(each.model_dump(mode="json"))) for each in ledger.trajectories())
        found["ledger.sqlite"] = hashlib.sha256("\n".join(rows).encode()).hexdigest()
    return found


def matching(run: Path, patterns: tuple[str, ...]) -> Iterator[Path]:
    """The files of a run that fit one of some patterns."""
    for pattern in patterns:
        yield from sorted(run.glob(pattern))


def differences(calm: dict[str, str], now: dict[str, str]) -> list[str]:
    """Files that are missing, new or other."""
    return sorted(name for name in calm.keys() | now.keys() if calm.get(name) != now.get(name))


class Calm(NamedTuple):
    """A run that nothing happened to."""

    config: Path
    run: Path

    def before(self, stage: str, place: Path) -> Path:
        """A copy of the run as it was before a command of STAGES."""
        run = shutil.copytree(self.run, place)
        config = load_config(self.config)
        stages = stages_of(config)
        first = (SINGLE[stage][0] or config.student.trainings)[0]
        for made in stages[[each.name for each in stages].index(first) :]:
            unmark(run, made.name)
            for name in made.makes:
                shutil.rmtree(run / name, ignore_errors=True)
                (run / name).unlink(missing_ok=True)
        return run

    def data(self, stage: str) -> dict[str, str]:
        """What `data_of` finds after a command of STAGES."""
        at = STAGES.index(stage) + 1
        if at == len(STAGES):
            return data_of(self.run)
        with tempfile.TemporaryDirectory() as place:
            return data_of(self.before(STAGES[at], Path(place) / "run"))

    def seconds(self, stage: str) -> float:
        """About how long a command takes, its start included."""
        marks = json.loads((self.run / "stages.json").read_text(encoding="utf-8"))
        return START + float(sum(marks[name]["seconds"] for name in SINGLE[stage][0]))


def calm_run(folder: Path, text: str = STEPS) -> Calm:
    """Make the run that others are compared with; raises RuntimeError where it fails."""
    folder.mkdir(parents=True, exist_ok=True)
    config, run = folder_of(folder, text) / "run.toml", folder / "run"
    done = finished("run", config, "--run", run)
    if done.status:
        raise RuntimeError(done.said)
    return Calm(config, run)


def kill_stage(calm: Calm, stage: str, times: int, chance: random.Random, place: Path) -> tuple[int, list[str]]:
    """Kill one command some times at random moments and let it end; returns the kills and what went wrong."""
    run, seconds = calm.before(stage, place), calm.seconds(stage)
    moments = [chance.uniform(0.1, 1.0) * seconds for _ in range(times)]
    kills = sum(killed(after, stage, calm.config, "--run", run) for after in moments)
    done = finished(stage, calm.config, "--run", run)
    wrong = [f"{name} differs" for name in differences(calm.data(stage), data_of(run))]
    wrong += [f"ended with {done.status}: {done.said[-500:]}"] if done.status else []
    wrong += ["a traceback"] if "Traceback" in done.said else []
    shutil.rmtree(run)
    return kills, wrong


def mounted(place: Path, size: int) -> bool:
    """Mount a file system of some bytes, or change the size of the one that is there."""
    how = f"remount,size={size}" if os.path.ismount(place) else f"size={size}"
    place.mkdir(parents=True, exist_ok=True)
    return subprocess.run(["mount", "-t", "tmpfs", "-o", how, "tmpfs", str(place)], capture_output=True).returncode == 0


def starve(calm: Calm, size: int, place: Path) -> tuple[Done, list[str]]:
    """The whole line on a disk of `size` bytes, then on a large one; returns the first and what went wrong.

    Raises:
        PermissionError: no file system can be mounted here.
    """
    if not mounted(place, size):
        raise PermissionError("mounting a file system needs root")
    try:
        small = finished("run", calm.config, "--run", place / "run")
        last = (small.said.strip().splitlines() or [""])[-1]
        wrong = ["a traceback on the small disk"] if "Traceback" in small.said else []
        if small.status and (small.status != 2 or "free some space" not in last):
            wrong.append(f"ended with {small.status}: {last}")
        mounted(place, 2**30)
        done = finished("run", calm.config, "--run", place / "run")
        wrong += [f"after it: {done.said[-500:]}"] if done.status or "Traceback" in done.said else []
        wrong += [f"{name} differs" for name in differences(data_of(calm.run), data_of(place / "run"))]
        return small, wrong
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def main() -> int:
    """Run what is asked for and print a line each; 1 where something went wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("kills", "disks"))
    parser.add_argument("number", type=int, help="kills, or sizes of disks")
    parser.add_argument("folder", type=Path, help="a new folder")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    chance, failed, kills, full = random.Random(asked.seed), 0, 0, 0
    calm = calm_run(asked.folder)
    print("calm run: " + ", ".join(f"{stage} {calm.seconds(stage):.1f} s" for stage in STAGES), flush=True)
    room = sum(path.stat().st_size for path in calm.run.rglob("*") if path.is_file())
    at = 0
    while at < asked.number and asked.what == "disks":
        at += 1
        size = int(100_000 * (1.2 * room / 100_000) ** (at / asked.number))  # from 0.1 MB to more than a run takes
        first, wrong = starve(calm, size, asked.folder / "disk")
        full += first.status != 0
        failed += bool(wrong)
        told = (first.said.strip().splitlines() or [""])[-1][:110] if first.status else "all of it fits"
        print(f"{size / 1e6:6.2f} MB  {'WRONG ' + '; '.join(wrong) if wrong else 'same data'}  ({told})", flush=True)
    while kills < asked.number and asked.what == "kills":
        stage, at = STAGES[at % len(STAGES)], at + 1
        more, wrong = kill_stage(calm, stage, min(5, asked.number - kills), chance, asked.folder / "killed")
        kills += more
        failed += bool(wrong)
        print(f"{stage:<9} {more} kills  {'WRONG ' + '; '.join(wrong) if wrong else 'same data'}", flush=True)
    print(
        f"{kills} kills" if asked.what == "kills" else f"{asked.number} disks, {full} of them too small",
        f"{failed} wrong",
    )
    return int(failed > 0)


if __name__ == "__main__":
    raise SystemExit(main())
