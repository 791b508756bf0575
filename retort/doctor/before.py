"""What has to hold before a teacher is paid: everything that can be broken and costs nothing to look at.

`retort plan` and `retort doctor` tell it, and `retort run` refuses to collect while something of it is broken: a
missing extra of the report, a full disk or a key that an arm needs would otherwise be found when the teacher is paid.
Looking at a plan runs no code that a config names and starts no program: tools are read as text, and programs are
looked for. The doctor and a run load the tools and start each MCP server for a moment, as playing does.
"""

from __future__ import annotations

import ast
import json
import os
import shutil
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from agents.context import McpServer
from agents.corpus.documents import scan
from agents.corpus.facts import Fact, read_facts
from agents.corpus.indexes.base import kind_of, settings_of
from agents.errors import ConfigError, CorpusError, ExamError, MissingExtra, RetortError, SeatError, StageError
from agents.install import install_line
from agents.models.weights import find_weights
from agents.providers import provider_of, split_spec
from agents.tools.schemas import BUILTIN

from .base import base_findings
from .endpoint import address_problem
from .findings import Finding, line_of
from .line import addresses
from .machine import disk, extras, writable
from .prompts import longest_chunk

if TYPE_CHECKING:
    from agents.context import Seat
    from agents.corpus.documents import Document
    from agents.corpus.indexes import IndexConfig
    from agents.corpus.sources import CorpusConfig
    from agents.models.meter import Budget

    from ..config import RunConfig
    from ..pipeline import Run

EPISODE_BYTES = 4_000
"""Of a recorded episode at the least: the demonstrator's of one look-up; a teacher that thinks takes more."""
TRAINED_BYTES = 28
"""Bytes a parameter of a full training: two checkpoints with weights and AdamW's moments in 32 bits, and the result."""
MAX_SAID = 5
"""Broken findings that a refusal names."""


def before_paying(run: Run, stages: Collection[str], *, start: bool = False) -> list[tuple[str, list[Finding]]]:
    """(subject, findings) of all that can be looked at for the stages that are to be done; nothing is sent.

    Args:
        stages: names of stages; seats, extras and base are looked at as far as these use them.
        start: load tools of one's own and start MCP servers for a moment, as playing does.
    """
    config = run.config
    own = any(spec not in BUILTIN for spec in config.board.tools) or bool(config.board.mcp)
    found = [("corpus", corpus_findings(config.corpus))] if {"index", "exam"} & set(stages) else []
    if {"index", "collect", "evaluate"} & set(stages):
        found.append(("index", index_findings(config.index, config.budget, start=start)))
    if own and {"collect", "evaluate"} & set(stages):
        found.append(("tools", tool_findings(config, start=start)))
    if {"collect", *config.student.trainings} & set(stages) and config.student.stages:
        base = base_findings(config, longest_chunk(run.folder / "library"))
        found.append((f"student.base: {config.student.base}", base))
    found.append(("seats", seat_findings(config, stages)))
    here = [*extras(config, stages), disk(run.folder, disk_bytes(config, stages)), writable(run.folder)]
    return [*found, ("machine", here)]


def seat_findings(config: RunConfig, stages: Collection[str]) -> list[Finding]:
    """The findings on keys, URLs and packages of the seats that the stages play with."""
    found: dict[Finding, None] = {}
    for seat in seats_of(config, stages):
        spec = split_spec(seat.model)
        problems = (address_problem(address, seat) for address in addresses(seat))
        found |= {each: None for each in problems if each is not None}
        found |= {Finding(*each): None for each in provider_of(spec).look(spec, seat)}
    return list(found)


def seats_of(config: RunConfig, stages: Collection[str]) -> list[Seat]:
    """The seats of the teams that collect or are rows of the leaderboard and of scores, by the stages to be done."""
    teams = [config.collect.team] if "collect" in stages else []
    teams += [arm.team for arm in config.arms()] if "evaluate" in stages else []
    used = [config.teams[name] for name in dict.fromkeys(teams) if name in config.teams]
    asked = config.evaluate.seats.values() if "evaluate" in stages else ()
    return [*(seat for team in used for seat in team.named("").seats().values()), *asked]


def disk_bytes(config: RunConfig, stages: Collection[str]) -> float:
    """Bytes that the stages take at the least, by episodes and the base's files; a base on a hub counts for nothing."""
    needed = 0.0
    if "collect" in stages:
        needed += EPISODE_BYTES * config.exam.train * config.collect.samples
    if "evaluate" in stages:
        needed += EPISODE_BYTES * config.exam.test * len(config.arms())
    full = [name for name, made in config.trainings() if made.method == "full"]
    if not {*full} & {*stages}:
        return needed
    try:
        folder = Path(find_weights(config.student.base).base)
        settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (SeatError, MissingExtra, OSError, ValueError):  # said of the base itself
        return needed
    size = sum(path.stat().st_size for path in [*folder.glob("*.safetensors"), *folder.glob("*.bin")])
    each = 4 if (settings.get("dtype") or settings.get("torch_dtype")) == "float32" else 2
    return needed + TRAINED_BYTES * size / each


def refuse_broken(run: Run, stages: Collection[str]) -> list[str]:
    """What is to be said before a teacher is paid, as lines.

    Raises:
        StageError: something is broken; names what, and the next step of each.
    """
    found = before_paying(run, stages, start=True)
    refuse(found)
    return [finding_line(subject, each) for subject, part in found for each in part if each.severity == "warning"]


def refuse(found: Sequence[tuple[str, Sequence[Finding]]]) -> None:
    """Raise StageError where something is broken: what, and the next step of each."""
    broken = [finding_line(subject, each) for subject, part in found for each in part if each.severity == "broken"]
    if len(broken) > MAX_SAID:
        broken = [*broken[:MAX_SAID], f"and {len(broken) - MAX_SAID} more: `retort doctor` tells them"]
    if broken:
        raise StageError("\n  ".join(["nothing is played while this is broken:", *broken]))


def finding_line(subject: str, finding: Finding) -> str:
    """A finding on a line."""
    base = "student.base cannot be trained, " if subject.startswith("student.base") else ""
    base = base if finding.severity == "broken" else ""
    return f"{base}{finding.name}: {line_of(finding.seen)} -> {line_of(finding.step)}".removesuffix(" -> ")


def corpus_findings(corpus: CorpusConfig) -> list[Finding]:
    """The findings on the manual's pages and the facts; facts are looked up by page, their quotes are not."""
    source = corpus.opened()
    if not source.reads_folder or corpus.manuals is None or corpus.facts is None:
        return [Finding("corpus", "fine", source.about())]
    found = []
    pages: list[Document] = []
    try:
        pages, skipped = scan(corpus.manuals, corpus.loaders)
        size = sum(len(page.text) for page in pages)
        found.append(Finding("corpus", "fine", f"{len(pages)} pages of {size:,} characters in {corpus.manuals}"))
        if skipped:
            seen = f"{len(skipped)} files of {corpus.manuals} are left out, the first: {skipped[0]}"
            found.append(Finding("corpus", "warning", seen, "mend them as their reasons say, or take them out"))
    except MissingExtra as error:
        found.append(Finding("extra_missing", "broken", str(error), install_line(error.extra)))
    except (CorpusError, OSError) as error:
        found.append(Finding("corpus", "broken", str(error), "correct corpus.manuals"))
    try:
        facts, remarks = read_facts(corpus.facts)
    except ExamError as error:
        return [*found, Finding("facts", "broken", str(error), "docs/your-own-manual.md says what a fact looks like")]
    names = len({fact.entity for fact in facts})
    found.append(Finding("facts", "fine", f"{len(facts)} facts of {names} entities in {corpus.facts}"))
    if remarks:
        seen = f"{len(remarks)} lines of {corpus.facts} are no facts, the first: {remarks[0]}"
        found.append(Finding("facts", "warning", seen, "mend them, or they are left out"))
    return [*found, *(without_page(facts, pages) if pages else ())]


def without_page(facts: list[Fact], pages: list[Document]) -> list[Finding]:
    """The finding on facts whose source names no page."""
    from distill.exam.evidence import page_names

    ids = {page.id for page in pages}
    lost = Counter(fact.source for fact in facts if not ids & set(page_names(fact.source)))
    if not lost:
        return []
    count, name = sum(lost.values()), next(iter(lost))
    seen = f"{count} of {len(facts)} facts name a page that is not there, as {name!r}; there is {sorted(ids)[0]!r}"
    return [
        Finding(
            "facts_without_page",
            "broken" if count == len(facts) else "warning",
            seen,
            "write the page's path under corpus.manuals into their `source`",
        )
    ]


def tool_findings(config: RunConfig, *, start: bool) -> list[Finding]:
    """The findings on the tools of a board.

    Args:
        start: load the user's tools and start the MCP servers, as playing does; False = no code of theirs runs.
    """
    board = config.board
    own = [spec for spec in board.tools if spec not in BUILTIN]
    if not own and not board.mcp:
        return []
    found = [Finding("tool", "broken", text, "correct board.tools") for text in filter(None, map(tool_problem, own))]
    for name, server in board.mcp.items():
        text = server_problem(server)
        found += [Finding("mcp", "broken", f"board.mcp.{name}: {text[0]}", text[1])] if text else []
    if found:
        return found
    if start:
        from agents.tools import offered

        try:
            names = [schema["function"]["name"] for schema in offered(board)]
        except MissingExtra as error:
            return [Finding("extra_missing", "broken", str(error), install_line(error.extra))]
        except ConfigError as error:
            return [Finding("tool", "broken", str(error), "correct board.tools and board.mcp")]
        return [Finding("tools", "fine", f"offered: {', '.join(names)}")]
    return [Finding("tools", "fine", f"{len(own)} tools of your own and {len(board.mcp)} MCP servers are there")]


def tool_problem(spec: str) -> str | None:
    """What is wrong with a tool, as far as its text tells; None where nothing is."""
    place, colon, name = spec.rpartition(":")
    if not colon:
        return f"there is no tool {spec!r}; there are {', '.join(BUILTIN)}, and your own as module:function"
    path = Path(place)
    if path.suffix != ".py":
        try:
            there = find_spec(place)
        except (ImportError, ValueError):
            there = None
        if there is None:
            return f"{spec!r}: there is no module {place!r}, and no file {place!r}.py beside run.toml"
        if there.origin is None or not there.origin.endswith(".py"):
            return None
        path = Path(there.origin)
    if not path.is_file():
        return f"{spec!r}: there is no file {place!r}"
    try:
        tree = ast.parse(path.read_bytes(), filename=str(path))
    except (OSError, SyntaxError, ValueError) as error:
        return f"{spec!r}: {path} cannot be read as Python ({error})"
    absent = sorted({each for each in imported(tree) if not importable(each, path.parent)})
    if absent:
        return f"{spec!r}: {path} imports {absent[0]!r}, which is not installed"
    names = set(named(tree))
    if name not in names and "*" not in names:
        return f"{spec!r}: {path} has no {name!r}; it has {', '.join(sorted(names)[:5]) or 'nothing'}"
    return None


def imported(tree: ast.Module) -> Iterator[str]:
    """Top-level packages that a module's own statements import at once, without those in functions or `try`."""
    for node in tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0]


def importable(package: str, beside: Path) -> bool:
    """Whether a top-level package can be found, on the path or beside the file that imports it."""
    try:
        return find_spec(package) is not None
    except (ImportError, ValueError):
        return (beside / f"{package}.py").is_file()


def named(tree: ast.Module) -> Iterator[str]:
    """Names that a module's own statements bind, inside `if` and `try` too; `*` where that cannot be told."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from (alias.asname or alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.FunctionDef) and node.name == "__getattr__":
            yield "*"


def server_problem(server: McpServer) -> tuple[str, str] | None:
    """What is wrong with an MCP server before it is started, and the next step; None where nothing is."""
    absent = [name for name in server.env if name not in os.environ]
    if absent:
        return f"it is to be given ${absent[0]}, which is not set", f"export {absent[0]}=..."
    if server.command is not None and shutil.which(server.command) is None:
        return f"there is no program {server.command!r} on this machine's PATH", "install it, or write its whole path"
    return None


def index_findings(config: IndexConfig, budget: Budget, *, start: bool = False) -> list[Finding]:
    """The findings on an index.

    Args:
        start: run code of the user's own and embed a word, as playing does; otherwise files, packages and variables
            are looked at, and an endpoint's address is tried without a request.
    """
    own = sorted({each.kind for each in config.walk() if ":" in each.kind})
    if own and not start:
        return [Finding("index", "fine", f"{', '.join(own)}: code of your own, which a plan does not run")]
    found: list[Finding] = []
    try:
        kind, settings = kind_of(config), settings_of(config)
        found += [Finding(each.name, "broken", each.seen, each.step) for each in kind.missing(settings)]
        tried = kind.trial(settings) if start and not found else ""
    except RetortError as error:
        return [*found, Finding("index_fails", "broken", str(error), "correct [index] of run.toml")]
    except Exception as error:  # a class of the user's own may raise anything
        return [*found, Finding("index_fails", "broken", f"{type(error).__name__}: {error}", "mend the class")]
    found += unpriced(config, budget)
    return found or [Finding("index", "fine", f"{config.kind}{f': {tried}' if tried else ''}")]


def unpriced(config: IndexConfig, budget: Budget) -> list[Finding]:
    """The finding on a budget in money that cannot hold, since an endpoint's price is not known."""
    if budget.usd is None or all("url" not in each.options or "price" in each.options for each in config.walk()):
        return []
    seen = f"[budget] usd = {budget.usd:g} cannot hold: the endpoint of [index] has no price"
    step = "add price = USD per million tokens to it (0 where it costs nothing), or give [budget] tokens instead"
    return [Finding("price_missing", "broken", seen, step)]
