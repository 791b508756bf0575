"""Looks at the machine: Python, extras, GPU, disk, memory, ports, and whether the rooms and the run folder are ours.

`agents`, `evals`, `graphs` and the other rooms are names that another distribution may install too. Standard library
only at the top, so that the command line can ask that before it imports any of them.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Collection, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions, version
from pathlib import Path
from typing import TYPE_CHECKING

from .findings import Finding, line_of

if TYPE_CHECKING:
    from ..config import RunConfig

EXTRAS = {
    "train": ("torch", "transformers", "trl", "peft", "datasets", "accelerate"),
    "studio": ("langgraph_cli", "langgraph_api"),
    "mcp": ("langchain_mcp_adapters", "mcp"),
    "report": ("jinja2", "matplotlib", "scipy"),
    "qlora": ("bitsandbytes",),
}
"""Extra -> modules that it brings, beside those of the providers of seats."""
MIN_DISK = 5e9
"""Bytes: a merged model of 1B parameters and its checkpoints."""
MIN_MEMORY = 2e9
STUDIO_PORT = 2024
"""The port of `langgraph dev`."""


def machine(config: RunConfig, folder: Path, needed: float = 0.0) -> list[Finding]:
    """The findings on this machine, for a config and the run folder, which can take `needed` bytes."""
    return [
        python(),
        *extras(config),
        gpu(),
        disk(folder, needed),
        memory(),
        *ports(),
        *rooms(),
        writable(folder),
    ]


def python() -> Finding:
    """The running Python; an older one than 3.11 does not come as far as this."""
    seen = f"{platform.python_version()} in {sys.prefix}"
    return Finding("python", "fine", seen)


def wanted(config: RunConfig, stages: Collection[str] | None = None) -> dict[str, str]:
    """Extra -> what of the config needs it.

    Args:
        stages: those that are to be done; None = all, and every team is played.
    """
    from agents.providers import provider_of, split_spec

    found: dict[str, str] = {}
    arms = [arm.team for arm in config.arms()] if stages is None or "evaluate" in stages else []
    playing = {*arms, *([config.collect.team] if stages is None or "collect" in stages else [])}
    for name, team in config.teams.items():
        if stages is not None and name not in playing:
            continue
        for role, seat in team.named(name).seats().items():
            spec = split_spec(seat.model)
            for extra in provider_of(spec).extras(spec):
                found.setdefault(extra, f"{name}.{role}")
    trained = [name for name in config.student.trainings if stages is None or name in stages]
    if trained or playing - set(config.teams):
        found.setdefault("train", "student.stages")
    for stage, settings in config.trainings():
        if settings.method == "qlora" and stage in trained:
            found["qlora"] = f'{stage}.method = "qlora"'
    if config.board.mcp and playing:
        found["mcp"] = "board.mcp"
    if stages is None or "leaderboard" in stages:
        found["report"] = "the leaderboard"
    return found


def extras(config: RunConfig, stages: Collection[str] | None = None) -> list[Finding]:
    """One finding for each extra: broken where the stages, None = all, need what is not there."""
    from agents.install import install_line

    needed = wanted(config, stages)
    found = []
    for extra, modules in (provider_packages() | EXTRAS).items():
        missing = [each for each in modules if importlib.util.find_spec(each) is None]
        if not missing:
            found.append(Finding(f"extra {extra}", "fine", "installed"))
            continue
        install = install_line(extra)
        seen = f"{', '.join(missing)} not installed"
        if extra in needed:
            found.append(Finding(f"extra {extra}", "broken", f"{seen}, and {needed[extra]} needs it", install))
        else:
            found.append(Finding(f"extra {extra}", "fine", f"{seen}; this config does not need it", install))
    return found


def provider_packages() -> dict[str, tuple[str, ...]]:
    """Extra -> modules that it brings, of the extras that belong to providers of seats."""
    from agents.providers import known_provider, names_where

    known = (known_provider(name) for name in names_where("packages"))
    return {extra: modules for each in known if each is not None for extra, modules in each.packages.items()}


def gpu() -> Finding:
    """The GPUs, by nvidia-smi where there is one; torch is imported only where it alone can tell."""
    smi = shutil.which("nvidia-smi")
    if smi is not None:
        query = [smi, "--query-gpu=name,memory.total,memory.free", "--format=csv,noheader,nounits"]
        try:
            done = subprocess.run(query, capture_output=True, text=True, timeout=10, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            return Finding("gpu", "warning", f"nvidia-smi does not answer ({type(error).__name__})", "try nvidia-smi")
        rows = [[part.strip() for part in line.split(",")] for line in done.stdout.splitlines() if line.count(",") == 2]
        if done.returncode != 0 or not rows:
            text = (done.stderr or done.stdout).strip() or f"exit status {done.returncode}"
            return Finding("gpu", "warning", f"nvidia-smi finds none: {text}", "try nvidia-smi")
        seen = "; ".join(f"{name}, {total} MiB, {free} free" for name, total, free in rows)
        torch = _version("torch")
        if torch is not None and torch.endswith("+cpu"):
            return Finding(
                "gpu", "warning", f"{seen}, but torch {torch} cannot use it", "install a CUDA build of torch"
            )
        return Finding("gpu", "fine", seen)
    if sys.platform == "darwin" or Path("/dev/kfd").exists():
        return _by_torch()
    return Finding("gpu", "fine", "none; small students train on the CPU")


def _by_torch() -> Finding:
    """Apple's and AMD's have no nvidia-smi."""
    if importlib.util.find_spec("torch") is None:
        return Finding("gpu", "fine", "not asked: torch is not installed")
    import torch

    if torch.cuda.is_available():
        return Finding("gpu", "fine", f"{torch.cuda.device_count()} x {torch.cuda.get_device_name(0)}, by torch")
    if torch.backends.mps.is_available():
        return Finding("gpu", "fine", "Apple's (mps), by torch")
    return Finding("gpu", "fine", f"none that torch {torch.__version__} can use")


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def nearest(folder: Path) -> Path:
    """The folder itself, or the nearest one above it that exists."""
    folder = folder.resolve()
    while not folder.exists():
        folder = folder.parent
    return folder


def disk(folder: Path, needed: float = 0.0) -> Finding:
    """Space where the run is written; broken where less than `needed` bytes are free."""
    place = nearest(folder)
    free = shutil.disk_usage(place).free
    seen = f"{size(free)} free under {place}"
    if free < needed:
        seen = f"{seen}, and this run takes {size(needed)} or more"
        return Finding("disk", "broken", seen, 'free some space, give another --run, or method = "lora"')
    if free < MIN_DISK:
        return Finding("disk", "warning", seen, "free some, or give another --run: checkpoints of a student take GBs")
    return Finding("disk", "fine", seen)


def size(count: float) -> str:
    """A number of bytes for people."""
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"


def memory() -> Finding:
    """Memory and cores that this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    total = _memory_bytes()
    if total is None:
        return Finding("memory", "fine", f"{cores} cores; memory unknown on this system")
    seen = f"{total / 1e9:.1f} GB, {cores} cores"
    if total < MIN_MEMORY:
        return Finding("memory", "warning", seen, "training the tiny base takes 1 GB, a larger one more")
    return Finding("memory", "fine", seen)


def _memory_bytes() -> float | None:
    """Bytes of memory, a container's own limit where that is smaller."""
    try:
        total = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (ValueError, OSError, AttributeError):
        return None
    for limit in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            total = min(total, float(Path(limit).read_text(encoding="ascii")))
        except (OSError, ValueError):  # not there, or "max"
            continue
    return total


def ports() -> list[Finding]:
    """Whether this process may listen on loopback, and whether Studio's port is free."""
    try:
        _bind(0)
    except OSError as error:
        seen = f"no socket can listen on 127.0.0.1 ({error})"
        return [Finding("loopback", "broken", seen, "vLLM seats and Studio need it: is this a sandbox?")]
    found = [Finding("loopback", "fine", "sockets can listen on 127.0.0.1")]
    try:
        _bind(STUDIO_PORT)
    except OSError:
        seen = f"port {STUDIO_PORT}, which `langgraph dev` takes, is in use"
        return [
            *found,
            Finding(
                "studio_port", "warning", seen, "`retort studio` takes another port then; `langgraph dev` wants --port"
            ),
        ]
    return [*found, Finding("studio_port", "fine", f"port {STUDIO_PORT} is free for Studio")]


def _bind(port: int) -> None:
    with socket.socket() as probe:
        if os.name == "posix":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # one that was just closed counts as free
        probe.bind(("127.0.0.1", port))


def writable(folder: Path) -> Finding:
    """Whether the run folder can be made and written; nothing is left behind."""
    place = nearest(folder)
    try:
        with tempfile.TemporaryFile(dir=place) as probe:
            probe.write(b"x")
            probe.flush()
    except OSError as error:
        return Finding("run_folder", "broken", f"{place} cannot be written ({error.strerror})", "give another --run")
    return Finding("run_folder", "fine", f"{folder} can be written")


ROOMS = ("agents", "graphs", "distill", "finetune", "evals")
OURS = frozenset({"retort-distill", "retort"})
"""Names of our distribution: `retort` is what a checkout installed itself as before the name was found to be taken."""
HOME = Path(__file__).resolve().parents[2]
"""The folder in which `retort` and the rooms beside it lie."""


def rooms() -> list[Finding]:
    """One finding for each room that is not ours, or that another distribution installs too; one fine one else."""
    installed = packages_distributions()  # reads every distribution of the environment
    found = [each for name in ROOMS for each in _room(name, sorted(set(installed.get(name, ())) - OURS))]
    found += namesake(installed)
    return found or [Finding("rooms", "fine", f"{', '.join(ROOMS)} are the ones beside retort, in {HOME}")]


def shadowed() -> str | None:
    """What stands in the way of importing the house, as lines for the terminal; None where nothing does."""
    broken = [each for each in rooms() if each.severity == "broken"]
    if not broken:
        return None
    return "\n".join(f"broken   {each.name}  {line_of(each.seen)}  -> {line_of(each.step)}" for each in broken)


def folder_of(name: str) -> Path | None:
    """The folder that `import name` opens; None where there is none."""
    module = sys.modules.get(name)
    if module is not None:
        places = [module.__file__ or ""] if module.__file__ else list(getattr(module, "__path__", []))
    else:
        try:
            spec = importlib.util.find_spec(name)
        except (ImportError, ValueError):
            return None
        if spec is None:
            return None
        places = [spec.origin] if spec.origin else list(spec.submodule_search_locations or [])
    if not places:
        return None
    place = Path(places[0]).resolve()
    return place if place.is_dir() else place.parent


def _room(name: str, others: list[str]) -> list[Finding]:
    """The findings on one room, where distributions `others` install it too."""
    folder = folder_of(name)
    blame = f" (of {', '.join(_with_version(each) for each in others)})" if others else ""
    if folder is None:
        return [
            Finding("shadowed", "broken", f"{name!r} cannot be imported", f"install it again: pip install -e {HOME}")
        ]
    if folder != HOME / name:
        seen = f"`import {name}` opens {folder}{blame}, not {HOME / name}"
        step = f"pip uninstall {others[0]}" if others else f"take {folder.parent} out of PYTHONPATH, or start elsewhere"
        return [Finding("shadowed", "broken", seen, step + "; or give Retort a virtual environment of its own")]
    if others:
        seen = f"{name!r} is ours now, and {', '.join(_with_version(each) for each in others)} installs it too"
        return [Finding("shadowed", "warning", seen, f"pip uninstall {others[0]}, or use a virtual environment")]
    return []


def namesake(installed: Mapping[str, Sequence[str]]) -> list[Finding]:
    """The finding on the other distribution by the name `retort`, which the package index has."""
    if "retort" not in installed.get("retort", ()) or "retort" in installed.get("agents", ()):
        return []
    seen = f"the distribution {_with_version('retort')} installs a package `retort` too, and is no part of this project"
    step = f"pip uninstall retort; pip install -e {HOME}; or give each a virtual environment of its own"
    return [Finding("shadowed", "warning", seen, step)]


def _with_version(name: str) -> str:
    try:
        return f"{name} {distribution(name).version}"
    except PackageNotFoundError:
        return name
