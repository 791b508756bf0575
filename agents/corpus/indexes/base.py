"""What an index is: built of chunks, saved beside them, searched, and told apart from others by its fingerprint.

A kind is a class under a name, `[index] kind` in run.toml: one of `indexes`, one that an installed package offers by an
entry point of the group `retort.indexes`, or the user's own as `/path/file.py:Class`.
"""

from __future__ import annotations

import difflib
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from ...errors import ConfigError
from ...registry import Registry, file_of

if TYPE_CHECKING:
    from ...spent import Spent
    from ..chunks import Chunk

Hits = list[tuple["Chunk", float]]
"""Chunks with their scores, best first."""
ABSENT = "absent"
"""Stands for the hash of a file that is not there, and for the version of a package that is not installed."""
IGNORED_FILES = frozenset({"README.md"})
"""Files of a model's folder that nothing loads."""


class Missing(NamedTuple):
    """Something that an index needs and that is not there."""

    name: str
    """Stable: scripts may look for it."""
    seen: str
    step: str
    """The next thing to do."""


class IndexSettings(BaseModel):
    """The keys that [index] has for one kind, beside `kind`; a kind with settings of its own extends this."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Index(ABC):
    """The chunks of a library, ready to be searched by any number of threads at once.

    A kind must define `search`; the rest has defaults that fit an index which is made anew in memory at each start.
    """

    Settings: ClassVar[type[IndexSettings]] = IndexSettings
    note: str = ""
    """What building it took, for the summary of the stage; empty where there is nothing to say."""

    def __init__(self, chunks: Sequence[Chunk], settings: IndexSettings) -> None:
        self.chunks = tuple(chunks)
        self.settings = settings

    @classmethod
    def build(cls, chunks: Sequence[Chunk], settings: IndexSettings) -> Self:
        """The index of these chunks.

        Args:
            settings: an object of the class's own `Settings`.
        """
        return cls(chunks, settings)

    def save(self, folder: Path) -> None:  # noqa: B027  (most indexes that are made anew have nothing to write)
        """Write what `open` needs into an empty folder that is there; what is not written is built anew."""

    @classmethod
    def open(cls, folder: Path, chunks: Sequence[Chunk], settings: IndexSettings, without: Collection[str]) -> Self:
        """The index that `save` wrote.

        Args:
            chunks: all that it was built of.
            without: ids of chunks that it must never find; building an index of the others is always right.

        Raises:
            StageError: the folder is broken, or was written for other chunks.
        """
        return cls.build([chunk for chunk in chunks if chunk.id not in without], settings)

    @abstractmethod
    def search(self, query: str, k: int) -> Hits:
        """The best `k` chunks with scores (higher is nearer), best first; ties in the order of the corpus."""

    async def asearch(self, query: str, k: int) -> tuple[Hits, list[Spent]]:
        """`search` within an event loop, and what it cost; to be overridden by what waits or takes milliseconds.

        Raises:
            ProviderError: an endpoint failed; the graph's retry policies repeat the call.
        """
        return self.search(query, k), []

    @property
    def remote(self) -> bool:
        """Whether a search calls an endpoint, which may fail and be repeated."""
        return False

    @classmethod
    def fingerprint(cls, settings: IndexSettings) -> Mapping[str, Any]:
        """What makes two indexes of the same chunks find other passages, beside the kind, its code and `packages`.

        Values are plain; a path stands for the content of its file or folder, an `IndexConfig` for its fingerprint.
        """
        return settings.model_dump(mode="json")

    @classmethod
    def packages(cls, settings: IndexSettings) -> Sequence[str]:
        """Names of the distributions whose versions may change what is found."""
        return ()

    @classmethod
    def missing(cls, settings: IndexSettings) -> list[Missing]:
        """What is not there of what the index needs; looks at files, packages and variables, and sends nothing."""
        return []

    @classmethod
    def trial(cls, settings: IndexSettings) -> str:
        """Do once what a search does that could fail, and say how it went; empty where there is nothing to try.

        Raises:
            RetortError: it failed.
        """
        return ""


indexes: Registry[type[Index]] = Registry(
    "index",
    {
        "bm25": "agents.corpus.indexes.bm25",
        "dense": "agents.corpus.indexes.dense",
        "hybrid": "agents.corpus.indexes.hybrid",
    },
    plural="indexes",
)


class IndexConfig(BaseModel):
    """[index]: the kind of index, and the settings of that kind."""

    model_config = ConfigDict(frozen=True, extra="allow", hide_input_in_errors=True)

    kind: str = "bm25"
    """bm25, dense, hybrid, one of an installed package, or your own as `/path/file.py:Class`."""

    @property
    def options(self) -> dict[str, Any]:
        """Every key but `kind`."""
        return dict(self.model_extra or {})

    def parts(self) -> dict[str, IndexConfig]:
        """The indexes that stand in a table `parts` of this one."""
        inner = self.options.get("parts")
        if not isinstance(inner, Mapping):
            return {}
        return {str(name): IndexConfig.model_validate(part) for name, part in inner.items() if is_index(part)}

    def walk(self) -> Iterator[IndexConfig]:
        """This one and all that it is made of."""
        yield self
        for part in self.parts().values():
            yield from part.walk()

    @model_validator(mode="after")
    def _settings_fit(self) -> Self:
        if ":" not in self.kind:  # a file of the user's own is executed only after that was agreed to
            try:
                settings_of(self)
            except ConfigError as error:
                raise ValueError(str(error)) from None
        return self


def is_index(part: Any) -> bool:
    """Whether a table of the config says what an index is."""
    return isinstance(part, IndexConfig) or (isinstance(part, Mapping) and isinstance(part.get("kind"), str))


def kind_of(config: IndexConfig) -> type[Index]:
    """The class of an index; raises ConfigError where there is none, and runs the user's own code."""
    found = indexes.get(config.kind)
    if not (isinstance(found, type) and issubclass(found, Index)):
        raise ConfigError(
            f"[index] kind = {config.kind!r} is no index: make it a class that extends agents.corpus.indexes.Index"
        )
    return found


def settings_of(config: IndexConfig) -> IndexSettings:
    """The settings of an index as its kind reads them.

    Raises:
        ConfigError: an unknown key, or a value that does not fit.
    """
    wanted = kind_of(config).Settings
    try:
        return wanted.model_validate(config.options)
    except ValidationError as error:
        first = min(error.errors(), key=lambda problem: problem["type"] != "extra_forbidden")
        place = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            known = sorted(wanted.model_fields)
            near = difflib.get_close_matches(place, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(['kind', *known])}"
            raise ConfigError(f"unknown key {place[:120]!r} of an index of the kind {config.kind!r}; {hint}") from None
        message = first["msg"].removeprefix("Value error, ")
        raise ConfigError(f"an index of the kind {config.kind!r}: {place}{': ' if place else ''}{message}") from None


def fingerprint(config: IndexConfig, hashed: Callable[[Path], str] | None = None) -> dict[str, Any]:
    """What an index is, in plain values: another fingerprint is another index, and another board.

    Args:
        hashed: hash of a file's content, raising OSError; None = SHA-256, read anew each time.
    """
    hashed = hashed or sha256_of
    kind, settings = kind_of(config), settings_of(config)
    place, _, name = config.kind.rpartition(":")
    return {
        "kind": f"{Path(place).name}:{name}" if place else name,
        "code": code_of(kind, hashed),
        "packages": {each: installed(each) for each in kind.packages(settings)},
        **{key: resolved(value, hashed) for key, value in kind.fingerprint(settings).items()},
    }


def code_of(kind: type[Index], hashed: Callable[[Path], str] | None = None) -> str:
    """Hash of the file that defines a kind."""
    file = file_of(kind)
    return ABSENT if file is None else content_hash(file, hashed or sha256_of)


def resolved(value: Any, hashed: Callable[[Path], str]) -> Any:
    """A value of a fingerprint with paths and indexes in it replaced by what they hold."""
    if isinstance(value, Path):
        return content_hash(value, hashed)
    if isinstance(value, IndexConfig):
        return fingerprint(value, hashed)
    if isinstance(value, Mapping):
        return {str(key): resolved(each, hashed) for key, each in value.items()}
    return value


def content_hash(path: Path, hashed: Callable[[Path], str]) -> str:
    """Hash of a file, or of all files of a folder with their relative paths; `ABSENT` where there is none."""
    try:
        if path.is_file():
            return hashed(path)
        files = sorted(each for each in path.rglob("*") if each.is_file() and each.name not in IGNORED_FILES)
        rows = [f"{each.relative_to(path).as_posix()} {hashed(each)}" for each in files if not hidden(each, path)]
    except OSError:
        return ABSENT
    return hashlib.sha256("\n".join(rows).encode()).hexdigest() if rows else ABSENT


def hidden(file: Path, folder: Path) -> bool:
    """Whether a file of a folder is a hidden one, or lies in a hidden folder of it."""
    return any(part.startswith(".") or part == "__pycache__" for part in file.relative_to(folder).parts)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's content in hex; raises OSError."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def installed(package: str) -> str:
    """The version of an installed distribution."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ABSENT
