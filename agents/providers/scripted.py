"""The provider `scripted`: chat models without a model, which say so in their names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import SeatError
from ..text import shortened
from . import ModelFiles, Provider, Remark, Spec, providers

if TYPE_CHECKING:
    from langchain_core.language_models.chat_models import BaseChatModel

    from ..context import Seat

KEY, LINES = "answer-key", "lines"
DEMONSTRATOR = f"scripted:{KEY}"
"""The demonstrator without a file: the pipeline gives it the run's own exam."""
DEMONSTRATOR_KIND = "scripted demonstrator, no LLM"
"""What a row of the leaderboard calls it."""


class Scripted(Provider):
    """Seats `scripted:answer-key@EXAM` and `scripted:lines@FILE`."""

    language_model = False

    def open(self, spec: Spec, seat: Seat) -> BaseChatModel:
        """The script."""
        from ..models.scripted import open_scripted

        return open_scripted(spec.model, spec.url)

    def check(self, spec: Spec) -> None:
        """One of the two, and lines with their file."""
        if spec.model not in (KEY, LINES) or (spec.model == LINES and not spec.url):
            said = shortened(spec.line)
            raise ValueError(f"seat {said!r}: scripted seats are scripted:answer-key and scripted:lines@FILE")

    def absolute(self, spec: Spec, root: Path) -> Spec:
        """The file by its whole path."""
        return spec._replace(url=str((root / spec.url).resolve())) if spec.url else spec

    def identity(self, spec: Spec) -> dict[str, str | Path | ModelFiles]:
        """Which script, and what stands in its file."""
        return {"model": spec.model, "script": Path(spec.url or "")}

    def code(self, spec: Spec) -> tuple[Path, ...]:
        """The scripts' own rules."""
        return (Path(__file__).parents[1] / "models" / "scripted.py",)

    def shareable(self, spec: Spec) -> bool:
        """A file can be read by every worker."""
        return bool(spec.url)

    def inspect(self, spec: Spec, seat: Seat, *, pending: bool) -> list[Remark] | None:
        """Whether its file opens, and how much it holds."""
        if pending and spec.url is not None and not Path(spec.url).exists():
            seen = "the demonstrator, no language model: its key is this run's exam, which is not made yet"
            return [Remark("scripted", "fine", seen, "the stages index and exam make it")]
        try:
            chat: Any = self.open(spec, seat)
        except (SeatError, ValueError) as error:  # rows that are no tasks
            step = "name its file: scripted:answer-key@EXAM or scripted:lines@FILE"
            return [Remark("seat_not_opened", "broken", str(error), step)]
        if spec.model == KEY:
            what = f"the demonstrator, holding the key of {len(chat.tasks)} tasks"
        else:
            what = f"a script of {len(chat.rows)} lines"
        return [Remark("scripted", "fine", f"no language model: {what}")]

    def note(self, spec: Spec) -> str:
        """That no language model plays."""
        return DEMONSTRATOR_KIND if spec.model == KEY else "a script, no LLM"


def with_exam(line: str, exam: Path) -> str:
    """A seat's line, with the run's exam where it is that of the demonstrator without a file."""
    return f"{line}@{exam}" if line == DEMONSTRATOR else line


providers.register("scripted")(Scripted())
