"""What a config and its run folder would have this machine execute, or send a key to, and whether that was agreed to.

A run folder can come from anybody. Its run.toml can name commands (MCP servers), code (own tools), Jinja templates and
addresses that keys are sent to. What was agreed to is kept by content in a file of this user's own, so that the same
things are asked about once, and a changed one again. A folder that `retort new` made is this user's own.
"""

from __future__ import annotations

import datetime
import hashlib
import importlib.util
import json
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from agents.context import Board, McpServer, Seat
from agents.corpus.indexes import IndexConfig
from agents.errors import RetortError, SeatError, TrustError
from agents.files import write_json
from agents.models.bases import tiny_base
from agents.models.templates import BUNDLED, template_text
from agents.models.weights import find_weights
from agents.providers import known_provider, own_place, split_spec
from agents.redaction import redacted
from graphs.contents import sha256_of

from .config import RunConfig
from .show import printable

AGREED = "RETORT_TRUST"
"""Variable that stands for --trust where it is 1, without anything being noted."""
HERE = ("127.0.0.1", "localhost", "::1")
OPENAI = "OPENAI_API_KEY"


@dataclass(frozen=True)
class Item:
    """One thing that would be executed, or given a key."""

    description: str
    """In words, for the terminal."""
    content: str
    """SHA-256 of what it is; another content is another thing."""


def item(description: str, *parts: Any) -> Item:
    """A thing by its content; its words are safe to print."""
    # All 256 bits: of a shorter hash somebody could make a harmless thing and a harmful one that agree in it.
    content = hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode(errors="surrogatepass")).hexdigest()
    return Item(" ".join(printable(redacted(description)).split()), content)


def named(config: RunConfig) -> list[Item]:
    """What a config names."""
    found = [*tools(config.board), *corpus_code(config), *servers(config.board), *scores(config), *trainings(config)]
    found += [*templates(config), *index_items(config.index), *own_executors(config)]
    for score, seat in config.evaluate.seats.items():
        found += [*classes(f"evaluate.seats.{score}", seat), *sent(f"evaluate.seats.{score}", seat)]
    for team, seated in config.teams.items():
        for role, seat in seated.named(team).seats().items():
            found += [*classes(f"teams.{team}.{role}", seat), *sent(f"teams.{team}.{role}", seat)]
    return list(dict.fromkeys(found))


def tools(board: Board) -> Iterator[Item]:
    """Own tools: the code of their files runs."""
    for spec in board.tools:
        place, colon, _ = spec.rpartition(":")
        if colon:
            yield item(f"the tool {spec}: the code of its file runs here", "tool", spec, code_of(place))


def own_executors(config: RunConfig) -> Iterator[Item]:
    """Own executors: the code of their files runs."""
    for spec in (config.collect.executor, config.evaluate.executor):
        place, colon, _ = (spec or "").rpartition(":")
        if colon:
            yield item(f"the executor {spec}: the code of its file runs here", "executor", spec, code_of(place))


def trainings(config: RunConfig) -> Iterator[Item]:
    """Own training methods: the code of their files runs."""
    for spec in config.student.stages:
        place, colon, _ = spec.rpartition(":")
        if colon:
            yield item(f"the training method {spec}: the code of its file runs here", "method", spec, code_of(place))


def corpus_code(config: RunConfig) -> Iterator[Item]:
    """Own source, loaders and question kinds: the code of their files runs."""
    named = [("source", config.corpus.source), *(("loader", spec) for spec in config.corpus.loaders.values())]
    for kind, spec in [*named, *(("question kind", spec) for spec in config.exam.kinds)]:
        place, colon, _ = spec.rpartition(":")
        if colon:
            yield item(f"the {kind} {spec}: the code of its file runs here", kind, spec, code_of(place))


def scores(config: RunConfig) -> Iterator[Item]:
    """Own scores: the code of their files runs."""
    for spec in config.evaluate.scores:
        place, colon, _ = spec.rpartition(":")
        if colon:
            yield item(f"the score {spec}: the code of its file runs here", "score", spec, code_of(place))


def code_of(place: str) -> list[str | None]:
    """Hashes of the files of a module, given by path or name; it is found without being imported."""
    if place.endswith(".py"):
        return [file_hash(Path(place))]
    top, _, rest = place.partition(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return []
    if spec is None or spec.origin is None:
        return []
    inner = Path(spec.origin).parent / f"{rest.replace('.', '/')}.py"
    return [file_hash(Path(spec.origin)), *([file_hash(inner)] if rest else [])]


def classes(role: str, seat: Seat) -> Iterator[Item]:
    """A module that a seat's line names, as class or as provider: it is imported, and gets prompts and key."""
    spec = split_spec(seat.model)
    known, url = known_provider(spec.provider), spec.url
    place = own_place(spec) if known is None else known.imports(spec)
    if place is None:
        return
    # A key_env other than the default is handed over wherever the class sends it.
    given = f", and is given ${seat.key_env}" if seat.key_env != OPENAI else ""
    where = f", for {url}" if url else ""
    yield item(
        f"the seat {role} imports {place}: its code runs here{where}{given}",
        "class",
        spec.provider if known is None else spec.model.partition(":")[0],
        url or "",
        seat.key_env,
        code_of(place),
    )


def index_items(config: IndexConfig) -> Iterator[Item]:
    """Indexes of the user's own, whose code runs, and the key that one sends to an endpoint."""
    for each in config.walk():
        place, colon, _ = each.kind.rpartition(":")
        if colon:
            yield item(f"the index {each.kind}: the code of its file runs here", "index", each.kind, code_of(place))
        url, variable = each.options.get("url"), each.options.get("key_env", OPENAI)
        if isinstance(url, str) and os.environ.get(str(variable)) and urlsplit(url).hostname not in HERE:
            yield item(f"the index sends ${variable} and every query to {url}", "key", url, variable)


def library_items(folder: Path) -> Iterator[Item]:
    """What the index of a run folder's library names: it is opened as the folder says, whatever its run.toml says."""
    try:
        yield from index_items(IndexConfig.model_validate_json((folder / "library" / "index.json").read_bytes()))
    except (OSError, ValueError):  # said where it is opened
        return


def servers(board: Board) -> Iterator[Item]:
    """MCP servers: a command is executed, an address elsewhere is told what the players ask."""
    for name, server in board.mcp.items():
        if server.command is not None:
            given = f", given {', '.join(f'${each}' for each in server.env)}" if server.env else ""
            line = " ".join([server.command, *server.args])
            yield item(f"the MCP server {name} executes: {line}{given}", "mcp", *command_of(server))
        elif urlsplit(server.url or "").hostname not in HERE:
            yield item(f"the MCP server {name} is told what the players ask: {server.url}", "url", server.url)


def command_of(server: McpServer) -> Iterator[Any]:
    """What makes a command what it is: its words, the variables that it is given, and the files among its words."""
    words = [server.command or "", *server.args]
    yield from (words, list(server.env))
    for word in words:
        yield file_hash(Path(word))


def templates(config: RunConfig) -> Iterator[Item]:
    """Jinja templates in files, and those of model folders: they are rendered for every prompt."""
    sections = (config.model_extra or {}).values()
    own = [each.get("chat_template") if isinstance(each, dict) else each.chat_template for each in sections]
    for name in (config.student.chat_template, *own):
        yield from template(name)
    models = [config.student.base]
    seats = [seat for team, seated in config.teams.items() for seat in seated.named(team).seats().values()]
    for seat in [*seats, *config.evaluate.seats.values()]:
        yield from template(seat.chat_template)
        spec = split_spec(seat.model)
        known = known_provider(spec.provider)
        models += [spec.model] if known is not None and known.weighable else []
    for model in models:
        yield from carried(model)


def template(name: str | None) -> Iterator[Item]:
    """A template that a config names, if it is not one that comes with Retort."""
    if name is not None and name not in BUNDLED:
        try:
            text = template_text(name)
        except SeatError:  # said when it is opened
            return
        yield from rendered(name, text)


def carried(model: str) -> Iterator[Item]:
    """The templates that a model folder carries; a hub id has none yet."""
    try:
        folder = Path(find_weights(model).tokenizer_path)
    except SeatError:
        return
    for text in texts_in(folder):
        yield from rendered(str(folder), text)


def rendered(place: str, text: str) -> Iterator[Item]:
    """A template, if it is not one of Retort's own."""
    if text.strip() not in ours():
        yield item(f"the chat template of {place} is rendered for every prompt", "template", text)


def texts_in(folder: Path) -> Iterator[str]:
    """The chat templates that a model folder carries."""
    for path in sorted([*folder.glob("chat_template.jinja"), *folder.glob("additional_chat_templates/*.jinja")]):
        yield path.read_text(encoding="utf-8", errors="replace")
    try:
        text = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8")).get("chat_template")
    except (OSError, ValueError, AttributeError):
        return
    if text is not None:
        yield text if isinstance(text, str) else json.dumps(text, sort_keys=True)


def ours() -> set[str]:
    """The templates that come with Retort."""
    found = {template_text(name).strip() for name in BUNDLED}
    try:
        return found | {text.strip() for text in texts_in(tiny_base())}
    except SeatError:
        return found


def sent(role: str, seat: Seat) -> Iterator[Item]:
    """The key that a seat sends to an address elsewhere, where its variable is set."""
    spec = split_spec(seat.model)
    known = known_provider(spec.provider)
    if known is None or not known.remote or known.imports(spec) or not os.environ.get(seat.key_env):
        return  # one that imports a module is told with its key above
    for each in (spec.url or "").split(","):
        if each and urlsplit(each.strip()).hostname not in HERE:
            yield item(f"the seat {role} sends ${seat.key_env} to {each}", "key", each, seat.key_env)
    if not spec.url and known.paid(spec) and seat.key_env != OPENAI:
        where = ", ".join(known.endpoints(spec)) or f"the endpoint of {spec.provider}"
        yield item(f"the seat {role} sends ${seat.key_env} to {where}", "key", where, seat.key_env)


def trained(folder: Path) -> list[Item]:
    """What a run folder's students carry, and what its library's index names."""
    places = sorted(path for path in (folder / "students").glob("*") if path.is_dir())
    found = [*(each for path in places for each in carried(str(path))), *library_items(folder)]
    return list(dict.fromkeys(found))


def file_hash(path: Path) -> str | None:
    """Hash of a file; None where there is none."""
    try:
        return sha256_of(path) if path.is_file() else None
    except OSError:
        return None


def agree(config: RunConfig, home: Path, run: Path, *, trust: bool, ask: bool = True, step: str | None = None) -> None:
    """Return where everything that a config and its run folder name was agreed to, now or before.

    Args:
        home: the folder of the config.
        run: the run folder; its students carry templates.
        trust: agree to all of it without being asked (--trust).
        ask: whether a person at the terminal may be asked.
        step: where nobody may be asked: how to agree; None = by `retort studio`.

    Raises:
        TrustError: it was not agreed to; the message lists it, with the next step.
    """
    kept = Record.read()
    new = [each for each in trained(run) if not kept.knows(each)]
    if not kept.made_here(home):
        new = [*(each for each in named(config) if not kept.knows(each)), *new]
    if new and not trust and os.environ.get(AGREED) == "1":
        return
    if new and not trust:
        lines = "\n".join(f"    {each.description}" for each in new)
        about = f"{home} names what would be executed here, or given a key:\n{lines}"
        if not ask:
            how = step or f"start `retort studio {run}`"
            raise TrustError(f"{about}\nlook at it, and if you agree {how}, or set {AGREED}=1")
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise TrustError(f"{about}\nlook at it, and if you agree run the same command with --trust (or {AGREED}=1)")
        print(f"retort: {about}", file=sys.stderr)
        print("Agree? It is asked once, until something of it changes [y/N] ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise TrustError("not agreed: nothing was executed")
    kept.add([*named(config), *new])


def made(config: RunConfig, run: Path) -> None:
    """Note that a run folder's students were made here, by a run that was agreed to."""
    Record.read().add([*named(config), *trained(run)])


def made_here(folder: Path) -> None:
    """Note that a folder is this user's own, whatever its config will name."""
    Record.read().own(folder)


def record_file() -> Path:
    """The file in which it is kept what was agreed to: this user's own, outside of any run."""
    state = os.environ.get("XDG_STATE_HOME")
    root = Path(state) if state and Path(state).is_absolute() else Path.home() / ".local" / "state"
    return root / "retort" / "trusted.json"


@dataclass
class Record:
    """What was agreed to by content, and this user's own folders."""

    agreed: dict[str, str]
    """Hash -> words and date."""
    folders: list[str]

    @classmethod
    def read(cls) -> Record:
        """The record; an absent or broken one has agreed to nothing."""
        try:
            data = json.loads(record_file().read_text(encoding="utf-8"))
            return cls(dict(data["agreed"]), [str(each) for each in data["folders"]])
        except (OSError, ValueError, KeyError, TypeError):
            return cls({}, [])

    def knows(self, thing: Item) -> bool:
        """Whether this very thing was agreed to."""
        return thing.content in self.agreed

    def made_here(self, folder: Path) -> bool:
        """Whether `retort new` made the folder."""
        return str(folder.resolve()) in self.folders

    def add(self, things: Iterable[Item]) -> None:
        """Note what was agreed to."""
        today = datetime.datetime.now(datetime.UTC).date().isoformat()
        fresh = {each.content: f"{today} {each.description}" for each in things if not self.knows(each)}
        if fresh:
            self.agreed |= fresh
            self.write()

    def own(self, folder: Path) -> None:
        """Note a folder of this user's own."""
        if not self.made_here(folder):
            self.folders.append(str(folder.resolve()))
            self.write()

    def write(self) -> None:
        """Write the record; where that fails it is asked again next time."""
        path = record_file()
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_json(path, {"agreed": self.agreed, "folders": self.folders})
        except (OSError, RetortError):
            return
