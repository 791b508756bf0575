"""The provider `langchain`: any chat model class of a LangChain package, which is imported."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from ..errors import SeatError
from ..install import pip_line
from . import Provider, Remark, Spec, providers

if TYPE_CHECKING:
    from langchain_core.language_models.chat_models import BaseChatModel

    from ..context import Seat


class LangChain(Provider):
    """Seats `langchain:PACKAGE.CLASS:MODEL[@URL]`."""

    remote = True

    def open(self, spec: Spec, seat: Seat) -> BaseChatModel:
        """The class, made with the seat's settings."""
        from ..models.langchain_class import open_langchain

        return open_langchain(split_name(spec.model), spec.url, seat)

    def imports(self, spec: Spec) -> str | None:
        """The module of the class; it gets prompts and key."""
        return spec.model.partition(":")[0].rpartition(".")[0]

    def look(self, spec: Spec, seat: Seat) -> list[Remark]:
        """Whether the package is there, and the key where one is named."""
        from ..context import DEFAULT_KEY

        try:
            module, _, _ = split_name(spec.model)
        except SeatError as error:
            return [Remark("seat_not_opened", "broken", str(error), "see docs/seats.md: langchain")]
        found = []
        package = module.partition(".")[0]
        if find_spec(package) is None:
            seen = f"the package {package!r} of the seat {seat.model!r} is not installed"
            found.append(Remark("package_missing", "broken", seen, pip_line(module)))
        if seat.key_env != DEFAULT_KEY and not os.environ.get(seat.key_env):
            seen = f"environment variable {seat.key_env!r} is empty"
            step = f"export {seat.key_env}=..., or name another in key_env"
            found.append(Remark("key_missing", "broken", seen, step))
        return found

    def opened(self, chat: Any) -> list[Remark]:
        """Settings that the class has no field for."""
        from ..models.langchain_class import unmapped

        lost = unmapped(type(chat))
        if not lost:
            return []
        seen = f"{type(chat).__name__} has no field for {', '.join(lost)}: the package's own default holds"
        return [Remark("not_passed_on", "warning", seen, "is that default what you want?")]


def split_name(name: str) -> tuple[str, str, str]:
    """`PACKAGE.CLASS:MODEL` -> (module, class, model); the model is empty where none is given.

    Raises:
        SeatError: this names no class of a module.
    """
    place, _, model = name.partition(":")
    module, dot, cls = place.rpartition(".")
    if not dot or not all(part.isidentifier() for part in place.split(".")):
        raise SeatError(
            f"seat 'langchain:{name}' names no class: write langchain:PACKAGE.CLASS:MODEL, as in "
            "langchain:langchain_anthropic.ChatAnthropic:MODEL"
        )
    return module, cls, model


providers.register("langchain")(LangChain())
