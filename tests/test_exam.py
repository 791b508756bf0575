"""The exam: every gold is one option and is borne out, splits keep groups apart, guessing gets nowhere."""

from __future__ import annotations

import inspect
import json
import random
from collections import Counter
from pathlib import Path

import little
import pytest

from agents.answers import fold, match_option, normalise
from agents.errors import ExamError
from agents.library.corpus import read_corpus
from agents.library.facts import Fact, read_facts
from agents.library.index import Library
from agents.library.sources.stdlib import documents, facts
from agents.task import Hop, Level, Task
from distill.baselines import baselines
from distill.distractors import WRONG, Draft, balanced, buckets, deal, value_type
from distill.evidence import find_evidence, labels
from distill.exam import Exam, ExamConfig, build_exam, shares
from distill.leaks import leaks
from distill.live import bound, evaluate, resolve
from distill.scenarios import in_force, version
from distill.split import chunk_text

Made = tuple[list[Fact], Library, Exam]


def kettle(folder: Path, config: ExamConfig | None = None) -> Made:
    root = little.write_microdomain(folder)
    found, _ = read_facts(root / "facts.jsonl")
    library = Library.build(read_corpus(root / "manual"))
    return found, library, build_exam(found, library, config or ExamConfig(train=80, dev=10, test=60, held_out=0.35))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return kettle(tmp_path_factory.mktemp("exam"))


@pytest.fixture(scope="module")
def python() -> Made:
    found, library = facts(), Library.build(documents())
    return found, library, build_exam(found, library)


def check(found: list[Fact], library: Library, exam: Exam) -> None:
    """What holds for every exam."""
    barred = set(exam.held_out.chunks)
    held = set(exam.held_out.groups)
    questions = [fold(task.question) for task in exam.tasks]
    assert len(set(questions)) == len({task.id for task in exam.tasks}) == len(questions)
    for task in exam.tasks:
        assert len(task.options) == 4
        assert len({normalise(option) for option in task.options}) == 4
        assert match_option(task.gold, task.options) == task.gold
        assert task.hops
        assert task.evidence == tuple(dict.fromkeys(hop.chunk for hop in task.hops))
        assert (task.group in held) == (task.split == "test")
        for hop in task.hops:
            assert any(hop.quote in line for line in library.chunk(hop.chunk).text.splitlines())
        if task.split == "train":
            assert not barred & set(task.evidence)
    sides = {}
    for task in exam.tasks:
        assert sides.setdefault(task.group, task.split) == task.split
    given = {(fact.entity, fact.value) for fact in found}
    for task in exam.tasks:
        if task.kind == "lookup":
            assert (task.entities[0], task.gold) in given
    assert len(barred) <= 0.35 * len(library.chunks)
    assert exam.baselines["overall"]["random"] == 0.25
    assert max(exam.baselines["overall"].values()) <= 0.35
    test = [task for task in exam.tasks if task.split == "test"]
    places = Counter(task.options.index(task.gold) for task in test)
    assert max(places.values()) - min(places.values()) <= 3
    texts = [(task.id, "\n".join((task.question, *task.options))) for task in exam.tasks if task.split == "train"]
    texts += [(chunk.id, chunk_text(chunk)) for chunk in library.chunks if chunk.id not in barred]
    report = leaks(texts, exam.held_out, test, library)
    assert report.passed, report.examples
    first = exam.held_out.names and sorted(exam.held_out.names)[0]
    assert not leaks([*texts, ("planted", f"see {first} there")], exam.held_out, test, library).passed


def test_kettle(made: Made) -> None:
    check(*made)
    exam = made[2]
    assert {task.kind for task in exam.tasks} == {"lookup", "pair", "effective", "release"}
    assert {task.split for task in exam.tasks} == {"train", "dev", "test"}
    assert exam.counts["facts"] == {"given": 216, "usable": 216}
    assert "held out" in exam.summary()
    assert "majority" in exam.summary()


def test_same_seed_same_exam(made: Made) -> None:
    found, library, exam = made
    config = ExamConfig(train=80, dev=10, test=60, held_out=0.35)
    assert build_exam(found, library, config) == exam
    assert build_exam(found, library, config.model_copy(update={"seed": 1})).tasks != exam.tasks


def test_python(python: Made) -> None:
    check(*python)
    exam = python[2]
    assert exam.counts["facts"]["usable"] == exam.counts["facts"]["given"]
    kinds = Counter((task.split, task.level, task.kind) for task in exam.tasks)
    assert {kind for _, _, kind in kinds} == {"lookup", "bridge", "pair", "call", "example"}
    assert sum(task.split == "test" for task in exam.tasks) == 240
    assert sum(task.split == "train" for task in exam.tasks) == 1200
    assert sum(task.unseen_module for task in exam.tasks if task.split == "test") >= 10
    assert not any(task.unseen_module for task in exam.tasks if task.split != "test")
    for kind in ("lookup", "pair", "call", "bridge"):
        golds = Counter(normalise(t.gold) for t in exam.tasks if t.kind == kind and t.split == "train")
        assert max(golds.values()) <= max(2, 0.12 * sum(golds.values()) + 1)


def test_python_calls_are_really_bound(python: Made) -> None:
    calls = [task for task in python[2].tasks if task.kind == "call"]
    unset = [task for task in calls if normalise(task.gold) == normalise(task.hops[0].value)]
    assert 0.55 <= len(unset) / len(calls) <= 0.85
    for task in calls[:40]:
        source, asked = task.question.split("`")[1], task.question.split("`")[3]
        module = next(f.module for f in python[0] if f.entity == task.entities[0])
        signature = inspect.signature(resolve(task.entities[0], module))
        assert bound(source, signature, asked) == task.gold


def test_python_examples_say_what_the_manual_says(python: Made) -> None:
    shown = [task for task in python[2].tasks if task.kind == "example"]
    assert len(shown) > 10
    for task in shown:
        assert task.hops[0].quote.endswith(f"# {task.gold}")
        assert task.question.startswith("What does `")


@pytest.mark.parametrize("name", ["nginx", "curl"])
def test_published_manuals(shared_data: Path, name: str) -> None:
    folder = shared_data / "microdomains" / name
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    found, remarks = read_facts(folder / "facts.jsonl")
    assert not remarks
    library = Library.build(read_corpus(folder / "corpus"))
    exam = build_exam(found, library)
    check(found, library, exam)
    assert sum(task.split == "test" for task in exam.tasks) >= 150
    hops = {(hop.entity, hop.attribute): hop for task in exam.tasks for hop in task.hops}
    first = sum(library.search(f"{e} {a}", 1)[0][0].id == hop.chunk for (e, a), hop in hops.items())
    assert first >= 0.97 * len(hops)


def test_releases_are_the_later_one(made: Made) -> None:
    tasks = [task for task in made[2].tasks if task.kind == "release"]
    ranks = Counter()
    for task in tasks:
        versions = [version(hop.value) for hop in task.hops]
        assert version(task.gold) == max(v for v in versions if v)
        assert {hop.value for hop in task.hops} <= set(task.options)
        ranks[sorted(task.options, key=lambda o: version(o) or ()).index(task.gold)] += 1
    assert ranks[0] == 0
    assert len(ranks) == 3


def test_pairs_are_squares(made: Made) -> None:
    for task in made[2].tasks:
        if task.kind == "pair":
            left, right = Counter(), Counter()
            for option in task.options:
                one, two = option.split(" and ")
                left[one] += 1
                right[two] += 1
            assert set(left.values()) == set(right.values()) == {2}
            assert task.gold == " and ".join(hop.value for hop in task.hops)


def test_settings_apply_over_defaults() -> None:
    assert in_force({"a": "1", "b": "2"}, [("a", "3"), ("a", "4")]) == {"a": "4", "b": "2"}
    with pytest.raises(KeyError):
        in_force({"a": "1"}, [("c", "3")])
    assert version("7.10.6") == (7, 10, 6)
    assert version("off") is None


def draft(number: int, gold: str, must: tuple[str, ...] = ()) -> Draft:
    hop = Hop(entity="e", attribute="a", value=gold, quote=gold, chunk="c#0", title="c")
    return Draft(
        kind="lookup", level="engineer", question=f"q{number}", gold=gold, family="f", hops=(hop,), entities=("e",),
        group="g", groups=("g",), modules=(None,), must=must,
    )  # fmt: skip


def test_every_value_is_wrong_three_times_as_often_as_right() -> None:
    rng = random.Random(3)
    drafts = [
        draft(n, value) for n, value in enumerate(["None"] * 10 + ["False"] * 9 + ["0"] * 8 + list("abcdefghijklmn"))
    ]
    dealt = deal(drafts, rng)
    assert len(dealt) == len(drafts)
    right = Counter(d.gold for d, _ in dealt)
    wrong = Counter(value for _, values in dealt for value in values)
    assert all(wrong[value] == WRONG * right[value] for value in right)
    assert all(d.gold not in values and len(set(values)) == WRONG for d, values in dealt)


def test_values_that_are_one_answer_never_stand_together() -> None:
    drafts = [draft(n, value) for n, value in enumerate(["'utf-8'", "utf-8", "a, b", "b, a", "x", "y", "z", "w"])]
    for made_draft, wrong in deal(drafts, random.Random(0)):
        assert len({normalise(value) for value in (made_draft.gold, *wrong)}) == 4


def test_called_for_wrong_options_are_dealt() -> None:
    drafts = [draft(n, value, must=("trap",)) for n, value in enumerate("abcdef")]
    assert all("trap" in wrong for _, wrong in deal(drafts, random.Random(0)))


def test_balance_caps_the_frequent_value() -> None:
    drafts = [draft(n, "off" if n % 2 else f"v{n}") for n in range(100)]
    taken = balanced(drafts, 40, cap=5)
    assert len(taken) == 40
    assert Counter(d.gold for d in taken)["off"] == 5
    assert balanced([draft(n, "abc"[n % 3]) for n in range(30)], 10, cap=5) == []
    pools = buckets([draft(0, "1.2.3"), draft(1, "None"), draft(2, "x y"), draft(3, "5s"), draft(4, "7")])
    assert sum(map(len, pools.values())) == 5


def test_types_and_shares() -> None:
    said = {"1.2.3": "version", "None": "constant", "5s": "duration", "4k": "size", "17": "number", "-a": "option"}
    said |= {"'x'": "quoted", "<file>": "argument", "off": "word", "a.b": "dotted", "a, b": "list", "!x": "text"}
    assert {value: value_type(value) for value in said} == said
    room = shares({("a", "x"): 100, ("b", "x"): 4, ("c", "x"): 25}, 40)
    assert sum(room.values()) == 40
    assert room["b", "x"] <= 4
    assert shares({("a", "x"): 2}, 40) == {("a", "x"): 2}


def fact(entity: str, value: str, **more: str) -> Fact:
    return Fact(entity=entity, attribute="default", value=value, source="corpus/heater.md", **more)  # type: ignore[arg-type]


def test_facts_that_stand_nowhere(made: Made) -> None:
    library = made[1]
    ghosts = [fact(f"ghost_{n}", "1") for n in range(3)]
    with pytest.raises(ExamError, match=r"entity 'ghost_0'.*stands in no document"):
        build_exam(ghosts, library)
    known, dropped, lost, _ = find_evidence([*made[0], ghosts[0]], library)
    assert (len(known), dropped["entity in no document"], lost) == (216, 1, "ghost_0")
    known, dropped, _, _ = find_evidence([fact("heater_limit", "99999"), fact("heater_limit", "3")], library)
    assert [item.hop.quote for item in known] == ["Default: 3"]
    assert dropped["value on no line"] == 1


def test_too_little_for_an_exam(made: Made) -> None:
    with pytest.raises(ExamError, match="there are no facts"):
        build_exam([], made[1])
    with pytest.raises(ExamError, match="only 0 test questions of 1 usable facts"):
        build_exam([fact("heater_limit", "3")], made[1])


def test_lists_match_in_any_order_and_notation(tmp_path: Path) -> None:
    text = "# P\n\n## `opt`\n\nContext: `b`, `a`, `if in c`\n\nDefault: `opt 7`\n"
    (tmp_path / "p.md").write_text(text, encoding="utf-8")
    library = Library.build(read_corpus(tmp_path))
    row = Fact(entity="opt", attribute="context", value="a, b, if in c", source="corpus/p.md", section="`opt`")
    number = Fact(entity="opt", attribute="default", value="7", source="p.md")
    known, _, _, _ = find_evidence([row, number], library)
    assert [item.hop.quote for item in known] == ["Context: `b`, `a`, `if in c`", "Default: `opt 7`"]


def test_a_long_line_is_quoted_by_its_sentence(tmp_path: Path) -> None:
    line = "Words that lead nowhere " * 12 + "end here. The default is 42 for everyone. More words follow."
    (tmp_path / "p.md").write_text(f"# opt\n\n{line}\n", encoding="utf-8")
    library = Library.build(read_corpus(tmp_path))
    known, _, _, _ = find_evidence([Fact(entity="opt", attribute="default", value="42", source="p.md")], library)
    assert known[0].hop.quote == "The default is 42 for everyone."


def test_modules_are_named_where_a_name_lives_in_two() -> None:
    rows = [fact("a", "1", module="Module m_one"), fact("a", "2", module="m_two"), fact("b", "3", module="m_two")]
    assert set(labels(rows).values()) == {"a (m_one)", "a (m_two)", "b (m_two)"}
    assert set(labels(rows[1:]).values()) == {"a", "b"}


def test_baselines_by_hand() -> None:
    def task(number: int, gold: str, split: str, level: Level = "engineer") -> Task:
        return Task(
            id=str(number), question=str(number), options=("a", "b", "c", "dddd"), gold=gold, level=level,
            kind="lookup", entities=("e",), group="g", split=split, provenance={"family": "f"},  # type: ignore[arg-type]
        )  # fmt: skip

    rows = [task(1, "a", "train"), task(2, "a", "train"), task(3, "b", "train")]
    rows += [task(4, "a", "test"), task(5, "b", "test"), task(6, "dddd", "test", "consultant")]
    found = baselines(rows)
    assert found["overall"] == {"random": 0.25, "majority": 0.3333, "longest option": 0.3333}
    assert found["consultant"]["longest option"] == 1.0
    assert "professional" not in found


def test_a_runaway_example_ends_and_counts_as_none() -> None:
    assert evaluate([([], "1 + 1"), ([], "1 / 0"), (["no_such_module"], "1")]) == ["2", None, None]
    assert evaluate([([], "sum(iter(int, 1))")], seconds=0.5) == [None]


def test_the_exam_is_plain_json(made: Made) -> None:
    exam = made[2]
    assert Exam.model_validate_json(exam.model_dump_json()) == exam
    assert json.loads(json.dumps(exam.counts)) == exam.counts
