"""Providers: what stands before the first colon of a seat's line, one file each, open to other packages.

::

    openai:MODEL@URL       any endpoint that speaks the OpenAI protocol      extra "openai"
    vllm:MODEL[@URL]       joins the vLLM server at URL, or starts one       extra "vllm" to start, "openai" to join
    hf:PATH                in process: a model or adapter folder, `tiny-base` extra "train"
    langchain:PACKAGE.CLASS:MODEL[@URL]  a chat model class of a LangChain package, which is imported
    scripted:answer-key@EXAM     the demonstrator that holds the key (no LLM)
    scripted:lines@FILE          plays the lines of a file (no LLM)
    /path/mine.py:NAME:MODEL[@URL], my.module:NAME:MODEL[@URL]   a provider of the user's own

A provider says of its seats what others ask: whether they are behind an endpoint, what identifies the player, which
extra they need. Nobody else tests a provider's name. Modules of this package import no heavy library: `open` does.
Another package offers a provider by an entry point of the group `retort.providers`.
"""

from __future__ import annotations

import inspect
import pkgutil
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple
from urllib.parse import urlsplit

from ..errors import ConfigError, SeatError
from ..redaction import redacted
from ..registry import Registry
from ..text import shortened

if TYPE_CHECKING:
    from langchain_core.language_models.chat_models import BaseChatModel

    from ..context import Seat

OWN = re.compile(r"((?:[^@:]+\.py|[A-Za-z_]\w*(?:\.\w+)+):[A-Za-z_]\w*):(.+)", re.DOTALL)
"""The line of a provider of the user's own: `FILE.py:NAME:rest` or `my.module:NAME:rest`."""


class Spec(NamedTuple):
    """The parts of a seat's line."""

    provider: str
    """A registered name, or `module:attribute` of the user's own."""
    model: str
    """The model's name, path or script, its `%40` and `%25` resolved."""
    url: str | None
    """What follows `@`: one URL, several split by commas, or a file; None where there is no `@`."""

    @property
    def line(self) -> str:
        """The line that these parts make: the inverse of `split_spec`."""
        known = known_provider(self.provider)
        model = in_line(self.model) if known is None or known.remote else self.model
        return f"{self.provider}:{model}" + (f"@{self.url}" if self.url else "")

    @property
    def short(self) -> str:
        """The line without what follows `@`, and of files and folders the last part."""
        model = Path(self.model).name if Path(self.model).is_absolute() else self.model
        return f"{Path(self.provider).name}:{model}"


class ModelFiles(NamedTuple):
    """A part of a player's identity: the content of a model's files."""

    name: str
    """A registered base, a model or adapter folder, or a hub id, which stands for itself."""


class Remark(NamedTuple):
    """What a provider tells of a seat that was looked at; the doctor prints it."""

    name: str
    """Stable: scripts may look for it."""
    severity: Literal["broken", "warning", "fine"]
    seen: str
    step: str = ""
    """The next thing to do."""


class Provider(ABC):
    """One kind of seats. A subclass overrides what differs from a model in this process that costs nothing."""

    remote: bool = False
    """Its calls go to an endpoint: they fail as endpoints do, are repeated, counted and paid for."""
    language_model: bool = True
    """False where a script plays."""
    json_schema: bool = False
    """Its requests can carry a JSON schema (`response_format`)."""
    weighable: bool = False
    """It opens an `HFChat` in this process, which tells how likely a text is and has the ids of its prompts."""
    chat_template: bool = False
    """A seat's `chat_template` holds for it."""
    packages: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """Extra -> modules that it brings, of extras that belong to this provider."""

    @abstractmethod
    def open(self, spec: Spec, seat: Seat) -> BaseChatModel:
        """The chat model of a seat.

        Raises:
            SeatError: no such model, no key.
            MissingExtra: a package of an extra is not installed.
        """

    def check(self, spec: Spec) -> None:  # noqa: B027  (nothing to check is the usual case)
        """Raise ValueError where the line cannot be right; nothing is opened."""

    def absolute(self, spec: Spec, root: Path) -> Spec:
        """The spec with paths that are relative to the config's folder `root` resolved."""
        return spec

    def identity(self, spec: Spec) -> dict[str, str | Path | ModelFiles]:
        """What of the spec tells one player from another: a text, or a file or model that goes by its content."""
        return {"model": spec.model}

    def code(self, spec: Spec) -> tuple[Path, ...]:
        """Source files that are the player themselves.

        The client of an endpoint is none: what its model answers is paid for, and an upgrade of the client must not
        send all of it to be played again.
        """
        return () if self.remote else (Path(inspect.getfile(type(self))),)

    def paid(self, spec: Spec) -> bool:
        """Whether calls go to what somebody else runs, so that a budget in USD needs a price."""
        return self.remote

    def shareable(self, spec: Spec) -> bool:
        """Whether worker processes can each open it: not where a model would be held, or a server started, by each."""
        return self.remote

    def extras(self, spec: Spec) -> tuple[str, ...]:
        """Extras that opening it needs."""
        return ()

    def imports(self, spec: Spec) -> str | None:
        """The module that the line names and that opening it imports; None where only Retort's own code runs."""
        return None

    def endpoints(self, spec: Spec) -> tuple[str, ...]:
        """URLs that speak the OpenAI protocol and can be probed by plain requests; empty where there are none."""
        return ()

    def look(self, spec: Spec, seat: Seat) -> list[Remark]:
        """What is wrong as far as can be told before a run: no code of others is imported, nothing is sent."""
        return []

    def inspect(self, spec: Spec, seat: Seat, *, pending: bool) -> list[Remark] | None:
        """What the doctor tells of a seat that it does not play; None = it is opened and plays one turn.

        Args:
            pending: whether the file that it reads is one that the run has yet to make.
        """
        return None

    def opened(self, chat: Any) -> list[Remark]:
        """What is to be said of an opened chat model."""
        return []

    def note(self, spec: Spec) -> str:
        """What a row of the leaderboard says of the player in place of its own words; empty for none."""
        return ""


def _modules() -> dict[str, str]:
    """Name -> module of each provider in this package: a new file is a new provider."""
    return {each.name: f"{__name__}.{each.name}" for each in pkgutil.iter_modules(__path__)}


providers: Registry[Provider] = Registry("provider", _modules())


def split_spec(model: str) -> Spec:
    """`provider:model@url` -> its parts; raises SeatError for an unknown provider, or where no model is named.

    An `@` in a model's name is written `%40` in the line, and a `%` as `%25`, of seats behind an endpoint.
    """
    provider, colon, rest = model.partition(":")
    own = None if provider in providers else OWN.fullmatch(model)
    if own is not None:
        provider, rest = own[1], own[2]
    elif not colon or provider not in providers:
        raise SeatError(
            f"seat {model!r}: expected provider:model[@url] with a provider of {', '.join(providers.names())}"
        )
    name, at, url = rest.partition("@")
    if not name:
        raise SeatError(f"seat {model!r} names no model after {provider + ':'!r}")
    known = known_provider(provider)
    if (known is None or known.remote) and "%" in name:
        name = name.replace("%40", "@").replace("%25", "%")
    return Spec(provider, name, url if at else None)


def in_line(model: str) -> str:
    """A model's name as it stands in a seat's line, where `@` begins the URL."""
    return model.replace("%", "%25").replace("@", "%40")


def provider_of(spec: Spec) -> Provider:
    """The provider of a spec; one of the user's own is imported, which runs its code.

    Raises:
        ConfigError: it cannot be imported, or is no Provider.
    """
    part: Any = providers.get(spec.provider)
    part = part() if isinstance(part, type) and issubclass(part, Provider) else part
    if not isinstance(part, Provider):
        raise ConfigError(f"the provider {spec.provider!r} is a {type(part).__name__}: make it a Provider")
    return part


def known_provider(name: str) -> Provider | None:
    """A provider that comes with Retort or an installed package; None for any other name, whose code is not run."""
    return provider_of(Spec(name, "", None)) if name in providers and ":" not in name else None


def known_of(line: str) -> Provider | None:
    """The provider of a seat's line, where it is known without running code that the line names."""
    return known_provider(line.partition(":")[0])


def own_place(spec: Spec) -> str | None:
    """The module or file of a provider of the user's own; None for a registered one."""
    return spec.provider.rpartition(":")[0] or None


def names_where(quality: str) -> list[str]:
    """Names of the providers that have a quality, such as `json_schema`; ones that cannot be loaded are left out."""
    found = []
    for name in providers.names():
        with suppress(ConfigError):
            known = known_provider(name)
            if known is not None and getattr(known, quality):
                found.append(name)
    return found


def check_address(spec: Spec) -> None:
    """Raise ValueError where what follows `@` is no address of a server."""
    if spec.url is None:
        return
    try:
        parts = urlsplit(spec.url)
        wrong = parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0
    except ValueError:
        wrong = True
    if wrong:
        text = shortened(redacted(spec.line))
        raise ValueError(f"seat {text!r}: what follows @ is no address, write http(s)://HOST[:PORT]/v1")
