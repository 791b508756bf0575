"""The provider `hf`: a Hugging Face model in this process, by folder, registered base or hub id."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from . import ModelFiles, Provider, Spec, providers

if TYPE_CHECKING:
    from langchain_core.language_models.chat_models import BaseChatModel

    from ..context import Seat

MODELS = Path(__file__).parents[1] / "models"


class HF(Provider):
    """Seats `hf:PATH`."""

    weighable = True
    chat_template = True

    def open(self, spec: Spec, seat: Seat) -> BaseChatModel:
        """The model, loaded into this process."""
        from ..models.hf import open_hf

        return open_hf(
            spec.model, temperature=seat.temperature, max_tokens=seat.max_tokens, chat_template=seat.chat_template
        )

    def absolute(self, spec: Spec, root: Path) -> Spec:
        """A model folder beside the config by its whole path."""
        folder = root / spec.model
        return spec._replace(model=str(folder.resolve())) if folder.is_dir() else spec

    def identity(self, spec: Spec) -> dict[str, str | Path | ModelFiles]:
        """The weights."""
        return {"weights": ModelFiles(spec.model)}

    def code(self, spec: Spec) -> tuple[Path, ...]:
        """What renders, decodes and reads back."""
        return MODELS / "engine.py", MODELS / "hf.py"

    def extras(self, spec: Spec) -> tuple[str, ...]:
        """Torch and Transformers."""
        return ("train",)


def hf_line(model: str | Path) -> str:
    """The line of a seat that opens a model in this process."""
    return f"hf:{model}"


providers.register("hf")(HF())
