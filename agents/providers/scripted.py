"""The provider `scripted`: chat models without a model, which say so in their names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from ..errors import SeatError
from ..text import shortened
from . import ModelFiles, Provider, Remark, Spec, providers

if TYPE_CHECKING:
    from langchain_core.language_models.chat_models import BaseChatModel

    from ..context import Seat

SCRIPTS = KEY, LINES = "answer-key", "lines"
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
        if spec.model.partition("?")[0] not in SCRIPTS or (spec.model == LINES and not spec.url):
            text = shortened(spec.line)
            raise ValueError(f"seat {text!r}: scripted seats are scripted:answer-key and scripted:lines@FILE")
        try:
            script_of(spec.model)
        except SeatError as error:
            raise ValueError(str(error)) from None

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
        if spec.model == LINES:
            what = f"a script of {len(chat.rows)} lines"
        else:
            what = f"the demonstrator, holding the key of {len(chat.tasks)} tasks"
            what += f", wrong in {chat.errors:.0%} of its turns" if chat.errors else ""
        return [Remark("scripted", "fine", f"no language model: {what}")]

    def note(self, spec: Spec) -> str:
        """That no language model plays."""
        return "a script, no LLM" if spec.model == LINES else DEMONSTRATOR_KIND


def script_of(name: str) -> tuple[str, float]:
    """`answer-key?errors=0.2` -> the script, and the share of its turns that go wrong.

    Raises:
        SeatError: there is no such script, or it does not take the option.
    """
    script, _, given = name.partition("?")
    if script not in SCRIPTS:
        raise SeatError(f"scripted seat {name!r} is not known: there are answer-key@EXAM and lines@FILE")
    options = dict(parse_qsl(given, keep_blank_values=True))
    try:
        errors = float(options.pop("errors", "0"))
    except ValueError:
        errors = -1.0
    if (given and script == "lines") or options or not 0 <= errors <= 1 or (given and "errors=" not in given):
        raise SeatError(f"scripted seat {name!r}: the one option is answer-key?errors=SHARE, a number from 0 to 1")
    return script, errors


def demonstrates(line: str) -> bool:
    """Whether a seat's line is that of the demonstrator, with or without options and a file."""
    return line.startswith(DEMONSTRATOR)


def with_exam(line: str, exam: Path) -> str:
    """A seat's line, with the run's exam where it is that of the demonstrator without a file."""
    return f"{line}@{exam}" if demonstrates(line) and "@" not in line else line


providers.register("scripted")(Scripted())
