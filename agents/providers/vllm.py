"""The provider `vllm`: joins the vLLM server at a URL, or starts one for a model folder."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from ..install import install_line
from . import ModelFiles, Provider, Remark, Spec, check_address, providers
from .openai import EXTRA as CLIENT

if TYPE_CHECKING:
    from langchain_core.language_models.chat_models import BaseChatModel

    from ..context import Seat

EXTRA = "vllm"
"""The extra with the server."""
PYTHON = "RETORT_VLLM_PYTHON"
"""Variable with the Python that starts a server, where vLLM lives in another venv."""


class Vllm(Provider):
    """Seats `vllm:MODEL@URL` and `vllm:FOLDER`."""

    remote = True
    json_schema = True
    packages: ClassVar = {EXTRA: ("vllm",)}

    def open(self, spec: Spec, seat: Seat) -> BaseChatModel:
        """A client of the server; without a URL the server is started first."""
        from ..models.vllm import open_vllm

        return open_vllm(spec.model, spec.url, seat)

    def check(self, spec: Spec) -> None:
        """The URL must be one."""
        check_address(spec)

    def absolute(self, spec: Spec, root: Path) -> Spec:
        """A model folder beside the config by its whole path."""
        folder = root / spec.model
        return spec._replace(model=str(folder.resolve())) if folder.is_dir() else spec

    def identity(self, spec: Spec) -> dict[str, str | Path | ModelFiles]:
        """A folder by its weights, a name by itself."""
        return {"weights": ModelFiles(spec.model)} if Path(spec.model).is_dir() else {"model": spec.model}

    def paid(self, spec: Spec) -> bool:
        """What this process starts costs nothing."""
        return spec.url is not None

    def shareable(self, spec: Spec) -> bool:
        """Each worker would start a server of its own."""
        return spec.url is not None

    def extras(self, spec: Spec) -> tuple[str, ...]:
        """The client; the server too, where this Python starts it."""
        return (CLIENT,) if spec.url is not None or os.environ.get(PYTHON) else (CLIENT, EXTRA)

    def endpoints(self, spec: Spec) -> tuple[str, ...]:
        """Each URL of a running server."""
        return tuple(each.strip() for each in (spec.url or "").split(",") if each.strip())

    def inspect(self, spec: Spec, seat: Seat, *, pending: bool) -> list[Remark] | None:
        """What a server that a run would start needs; starting it takes a minute and more."""
        python = os.environ.get(PYTHON, "") or sys.executable
        folder = Path(spec.model)
        if (folder / "adapter_config.json").exists():
            step = "merge it first: retort merge, or play it as hf:"
            return [
                Remark("seat_not_opened", "broken", f"{folder} is an adapter folder, which the server refuses", step)
            ]
        if folder.is_absolute() and not (folder / "config.json").exists():
            return [Remark("seat_not_opened", "broken", f"no config.json in {folder}", "name a model folder")]
        if not installed(python):
            return [Remark("extra_missing", "broken", f"no vllm in {python}", install_line(EXTRA))]
        seen = f"not started: a run starts it with {python}"
        return [Remark("vllm", "fine", seen, "start it yourself and name its URL to have it probed")]


def installed(python: str) -> bool:
    """Whether a Python has vLLM."""
    if python == sys.executable:
        return find_spec("vllm") is not None
    program = "import importlib.util as u, sys; sys.exit(u.find_spec('vllm') is None)"
    try:
        done = subprocess.run([python, "-c", program], capture_output=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


providers.register("vllm")(Vllm())
