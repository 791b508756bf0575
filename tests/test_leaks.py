"""The leak check: a planted held-out name, question or page is caught; boilerplate is not taken for one."""

from __future__ import annotations

import pytest

from agents.errors import ProofError
from agents.library.corpus import Document
from agents.library.index import Library
from agents.task import Task
from distill.leaks import leaks
from distill.names import Names, distinctive, tokens
from distill.split import HeldOut

PAGES = {
    "pump_rate": "Pump rate.\n\nThe pump turns eleven times before the first drop of water comes out of it.",
    "listen": "Sets where the kettle listens for the owner and how loud the owner has to call it.",
    "valve": "Sets the valve of the kettle.\n\nThis setting is read once when the kettle is switched on.",
    "lid": "Sets the lid of the kettle.\n\nThis setting is read once when the kettle is switched on.",
}


@pytest.fixture(scope="module")
def library() -> Library:
    pages = [Document(id=n, title=n, text=f"# {n}\n\n{text}\n", source=f"{n}.md") for n, text in PAGES.items()]
    return Library.build(pages)


HELD = HeldOut(
    entities=("pump_rate", "listen", "lid"), groups=("pump_rate", "listen", "lid"), modules=(),
    chunks=("pump_rate#0", "listen#0", "lid#0"),
)  # fmt: skip


def task(entity: str, question: str) -> Task:
    return Task(
        id=f"t-{entity}", question=question, gold="1", level="engineer", kind="lookup", entities=(entity,), group=entity
    )


TASKS = (
    task("listen", "Which of the four values has the default of `listen` of the kettle?"),
    task("lid", "What is the default of `lid`?"),
)


def test_clean_text_passes(library: Library) -> None:
    texts = [
        ("q", "What is the default of `valve`?\nWhich of the four values has the default of `valve` of the kettle?"),
        ("page", "valve\n" + PAGES["valve"]),
        ("other", "pump_rate_max and my.pump_rate are other names"),
    ]
    report = leaks(texts, HELD, TASKS, library)
    assert report.passed
    assert report.texts == 3
    assert 0 < report.overlap < 1
    report.check()


@pytest.mark.parametrize(
    ("text", "field", "said"),
    [
        ("Set pump_rate, then wait.", "name_hits", "name 'pump_rate'"),
        ("I look up `pump_rate`.", "name_hits", "name 'pump_rate'"),
        ("say: which values has the default of `listen` of the kettle? or not", "question_hits", "question t-listen"),
        ("What is the default of `lid`?", "question_hits", "question t-lid"),
        ("x the pump turns eleven times before the first drop of y", "chunk_hits", "chunk pump_rate#0"),
    ],
)
def test_planted_text_is_caught(library: Library, text: str, field: str, said: str) -> None:
    if field == "question_hits" and "listen" in text:
        text = "Which of the four values has the default of `listen` of it"
    report = leaks([("ok", "nothing here"), ("bad", text.replace("x the", "x The"))], HELD, TASKS, library)
    assert not report.passed
    assert getattr(report, field) == 1
    assert report.examples[0].startswith(f"bad: {said}")
    with pytest.raises(ProofError, match="held-out exam in training text"):
        report.check()


def test_boilerplate_does_not_count(library: Library) -> None:
    shared = "This setting is read once when the kettle is switched on."
    assert leaks([("t", shared)], HELD, TASKS, library).passed


def test_without_a_library_pages_are_not_searched() -> None:
    page = PAGES["pump_rate"]
    assert leaks([("t", page)], HELD, TASKS).chunk_hits == 0


def test_shorter_runs_find_more(library: Library) -> None:
    text = "before the first drop of water"
    assert leaks([("t", text)], HELD, TASKS, library).passed
    assert leaks([("t", text)], HELD, TASKS, library, run=5).chunk_hits == 1


def test_whole_names_only() -> None:
    names = Names(["logging.Handler", "--alt-svc", "a b.c"])
    assert names.within("see logging.Handler.") == {"logging.Handler"}
    assert names.within("see logging.Handler.emit and --alt-svc-x") == set()
    assert names.within("use `--alt-svc` or (logging.Handler)") == {"--alt-svc", "logging.Handler"}
    assert names.within("so a b.c it is") == {"a b.c"}
    assert "x.y" in tokens("the x.y.")
    assert [distinctive(name) for name in ("listen", "pump_rate", "a.b", "http2", "getName", "Name", "-a")] == [
        False, True, True, True, True, False, True,
    ]  # fmt: skip
