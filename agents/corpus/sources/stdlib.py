"""The Python standard library of the running interpreter as a manual: live docstrings are its pages.

One page for every module, class, function, method and constant; facts from signatures, base classes and read values.
Nothing is stored in the project: another interpreter gives another manual. It is read in a process of its own, since
packages that are loaded in this one may have patched what is read (a deep-learning package replaces `inspect.getfile`).
"""

from __future__ import annotations

import inspect
import json
import platform
import subprocess
import sys
import types
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from ...errors import CorpusError
from ..documents import Document
from ..facts import Fact
from . import Corpus, CorpusConfig, Source, examples, sources
from .constants import constants
from .modules import module_name, own_methods, public_entities, public_modules
from .signatures import defaults, docstring, scrub, signature_line, signature_of

_FRESH = (
    "import sys; sys.path.insert(0, sys.argv[1]); sys.dont_write_bytecode = True; "
    "from agents.corpus.sources.stdlib import print_manual; print_manual()"
)


class Manual(NamedTuple):
    """Everything that the running interpreter says of its standard library."""

    documents: tuple[Document, ...]
    facts: tuple[Fact, ...]
    failed: tuple[str, ...]
    """Modules that cannot be imported on this machine."""


@sources.register("stdlib")
class Stdlib(Source):
    """The running interpreter's own pages and facts."""

    kinds = ("lookup", "bridge", "pair", "example", "call")

    @classmethod
    def problem(cls, settings: CorpusConfig) -> str:
        """Whether there are pages or facts beside it."""
        if settings.manuals is not None or settings.facts is not None:
            return "the source 'stdlib' has pages and facts of its own: take manuals and facts out, or the source"
        return ""

    def read(self) -> Corpus:
        """Pages and facts in order of their names."""
        return Corpus(documents(), facts())

    def fingerprint(self, content: Callable[[Path], str]) -> dict[str, Any]:
        """The interpreter."""
        return {"Python whose library is read": [sys.version, sys.platform, platform.machine()]}

    def about(self) -> str:
        """What it is."""
        return "the standard library of the running Python, pages and facts"


def documents() -> list[Document]:
    """The pages, in order of their names."""
    return list(manual().documents)


def facts() -> list[Fact]:
    """The facts, in the order of their pages."""
    return list(manual().facts)


@cache
def manual() -> Manual:
    """The manual as a fresh interpreter reads it, once a process: 240 modules, 2 s.

    Raises:
        CorpusError: the fresh interpreter failed.
    """
    root = str(Path(__file__).resolve().parents[3])
    done = subprocess.run([sys.executable, "-I", "-c", _FRESH, root], capture_output=True, text=True, encoding="utf-8")
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise CorpusError(f"the standard library cannot be read: {last}; does {sys.executable!r} run on its own?")
    pages, found, failed = json.loads(done.stdout.splitlines()[-1])
    return Manual(
        documents=tuple(Document.model_validate(row) for row in pages),
        facts=tuple(Fact.model_validate(row) for row in found),
        failed=tuple(failed),
    )


def print_manual() -> None:
    """Print the manual as one line of JSON, in ASCII."""
    read = read_manual()
    rows = [page.model_dump() for page in read.documents], [fact.model_dump() for fact in read.facts], read.failed
    print(json.dumps(rows))


def read_manual() -> Manual:
    """Read the manual in this process."""
    modules, failed = public_modules()
    entities = public_entities(modules)
    names = {id(value): entity for entity, _, value in entities}
    pages: dict[str, tuple[Document, list[Fact]]] = {}
    for module in modules:
        name = module_name(module)
        text = examples.on_one_line(docstring(module))
        if text:
            pages[name] = page(name, name, [], text, [])
    for entity, where, value in entities:
        pages[entity] = entity_page(entity, where, value, names)
        for method, member in own_methods(value) if isinstance(value, type) else ():
            name = f"{entity}.{method}"
            if signature_of(member) is not None or docstring(member):
                pages[name] = method_page(name, where, entity, member)
    for name, where, group, written in constants(modules):
        if name not in pages:
            fact = Fact(
                entity=name, attribute="value", value=written, source=f"python:{where}", module=where,
                family="value", quote=f"Value: {written}", group=group,
            )  # fmt: skip
            pages[name] = page(name, where, [name, f"Value: {written}"], "", [fact])
    ordered = [pages[name] for name in sorted(pages)]
    return Manual(tuple(p for p, _ in ordered), tuple(f for _, found in ordered for f in found), tuple(failed))


def page(name: str, where: str, head: list[str], text: str, found: list[Fact]) -> tuple[Document, list[Fact]]:
    """A document of its head lines and its docstring."""
    body = "\n\n".join(part for part in ("\n".join(head), text) if part)
    return Document(id=name, title=name, text=f"# {name}\n\n{body}\n", source=f"python:{where}"), found


def default_facts(entity: str, where: str, group: str, line: str, signature: inspect.Signature | None) -> list[Fact]:
    """One fact for every parameter whose default stands in the signature line."""
    return [
        Fact(
            entity=entity, attribute=f"default of `{name}`", value=written, source=f"python:{where}", module=where,
            family="default", quote=f"{name}={written}", group=group,
        )
        for name, written in defaults(signature)
        if f"{name}={written}" in line
    ]  # fmt: skip


def example_facts(entity: str, where: str, group: str, text: str) -> list[Fact]:
    """One fact for every example of a pure module that a program could run as it stands."""
    found: list[Fact] = []
    if where not in examples.PURE or entity in examples.IMPURE:
        return found
    for line, call, message in examples.examples(text):
        if examples.qualified(call, entity) is not None:
            fact = Fact(
                entity=entity, attribute=f"result of `{call}`", value=message, source=f"python:{where}", module=where,
                family="example", quote=line, group=group,
            )  # fmt: skip
            found.append(fact)
    return found


def entity_page(entity: str, where: str, value: Any, names: dict[int, str]) -> tuple[Document, list[Fact]]:
    """The page of a function or class."""
    signature = signature_of(value)
    line = scrub(signature_line(entity, signature))
    head = [line]
    found = default_facts(entity, where, entity, line, signature)
    extra: list[tuple[str, str]] = []
    if isinstance(value, type):
        bases = [base_name(base, names) for base in value.__bases__ if base is not object]
        if bases:
            extra.append(("base class", ", ".join(bases)))
    home = getattr(value, "__module__", None)
    if isinstance(home, str) and home != where and not isinstance(value, types.MethodType):
        extra.append(("defining module", home))
    for attribute, message in extra:
        quote = f"{attribute.capitalize()}: {message}"
        head.append(quote)
        fact = Fact(
            entity=entity, attribute=attribute, value=message, source=f"python:{where}", module=where, quote=quote,
            group=entity,
        )  # fmt: skip
        found.append(fact)
    text = examples.on_one_line(docstring(value))
    return page(entity, where, head, text, [*found, *example_facts(entity, where, entity, text)])


def base_name(base: type, names: dict[int, str]) -> str:
    """The public name of a base class, or the name it was defined under."""
    plain = base.__qualname__ if base.__module__ == "builtins" else f"{base.__module__}.{base.__qualname__}"
    return names.get(id(base), plain)


def method_page(name: str, where: str, group: str, member: Any) -> tuple[Document, list[Fact]]:
    """The page of a method."""
    signature = signature_of(member)
    line = scrub(signature_line(name, signature))
    text = examples.on_one_line(docstring(member))
    found = default_facts(name, where, group, line, signature)
    return page(name, where, [line], text, [*found, *example_facts(name, where, group, text)])
