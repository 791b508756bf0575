"""Drafts and questions by hand for tests of the exam, and what holds of every exam."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from agents.answers import bears, canonical, fold, match_option, normalise
from agents.corpus.facts import Fact
from agents.corpus.library import Library
from agents.task import Hop, Task
from distill.exam.build import Exam, ExamConfig
from distill.exam.drafts import Draft
from distill.exam.scenarios import version
from distill.exam.split import chunk_text
from distill.leaks import leaks


def draft(number: int, gold: str, **changes: Any) -> Draft:
    """A look-up of its own entity in a group of its own; any field may be given."""
    name = f"e{number}"
    hop = Hop(entity=name, attribute="default", value=gold, quote=f"Default: {gold}", chunk="c#0", title="c")
    values: dict[str, Any] = {
        "kind": "lookup", "level": "engineer", "question": f"What is the default of `{name}`?", "gold": gold,
        "attribute": "default", "hops": (hop,), "entities": (name,), "group": name, "groups": (name,),
        "modules": (None,), "cell": "train0", "provenance": (("family", "default"),),
    }  # fmt: skip
    return Draft(**values | changes)


def question(number: int, gold: str, options: Sequence[str] = (), **changes: Any) -> Task:
    """A training question with these options; any field may be given."""
    values: dict[str, Any] = {
        "id": f"q{number}", "question": f"What is the default of `e{number}`?", "options": tuple(options),
        "gold": gold, "level": "engineer", "kind": "lookup", "entities": (f"e{number}",), "group": f"e{number}",
        "split": "train", "provenance": {"attribute": "default", "family": "default"},
    }  # fmt: skip
    return Task(**values | changes)


def with_options(exam: Exam) -> list[Task]:
    """The questions that can be asked in the choice form."""
    return [task for task in exam.tasks if task.options]


def check(found: Sequence[Fact], library: Library, exam: Exam, config: ExamConfig) -> None:
    """What holds of every exam."""
    questions_stand_alone(exam)
    golds_are_borne_out(found, library, exam)
    splits_are_apart(library, exam)
    mix_is_the_same(exam, config)
    options_tell_nothing_alone(exam)
    golds_are_not_too_often(exam, config)
    no_leak(library, exam)
    assert Exam.model_validate_json(exam.model_dump_json()) == exam


def questions_stand_alone(exam: Exam) -> None:
    """No question, and no id, is there twice."""
    assert len({fold(task.question) for task in exam.tasks}) == len(exam.tasks)
    assert len({task.id for task in exam.tasks}) == len(exam.tasks)


def golds_are_borne_out(found: Sequence[Fact], library: Library, exam: Exam) -> None:
    """Each hop is a given fact with a line of the manual that says it, and the gold follows from the hops."""
    given = {(fact.attribute, fact.value) for fact in found}
    about = {(fact.entity, fact.value) for fact in found}
    for task in exam.tasks:
        assert task.hops
        assert task.evidence == tuple(dict.fromkeys(hop.chunk for hop in task.hops))
        for hop in task.hops:
            assert (hop.attribute, hop.value) in given
            assert any(hop.quote in line for line in library.chunk(hop.chunk).text.splitlines())
        assert bears(task.hops[-1].quote, task.hops[-1].value), (task.question, task.hops[-1].quote)
        values = [hop.value for hop in task.hops]
        if task.kind in ("lookup", "example"):
            assert (task.entities[0], task.gold) in about
            assert [task.gold] == values
        elif task.kind == "pair":
            assert task.gold == " and ".join(task.parts) == " and ".join(values)
        elif task.kind == "bridge":
            assert task.entities[1] == values[0]
            assert task.gold == values[1]
        elif task.kind == "release":
            assert task.gold in values
            assert version(task.gold) == max(version(value) or () for value in values)
        else:
            assert normalise(task.gold) == normalise(values[0]) or task.gold in task.question


def splits_are_apart(library: Library, exam: Exam) -> None:
    """A group is on one side; what is held out is in no other split, nor are its chunks; modules with all of theirs."""
    held, barred = set(exam.held_out.groups), set(exam.held_out.chunks)
    sides: dict[str, set[str]] = defaultdict(set)
    for task in exam.tasks:
        sides[task.group].add(task.split)
        assert (task.group in held) == (task.split == "test")
        assert task.split == "test" or not barred & set(task.evidence)
        assert task.split == "test" or not task.unseen_module
    assert all(len(found) == 1 for found in sides.values())
    assert barred <= {chunk.id for chunk in library.chunks}


def mix_is_the_same(exam: Exam, config: ExamConfig) -> None:
    """Each kind has the same share of training and test, but for two questions."""
    kinds = {split: Counter(t.kind for t in exam.tasks if t.split == split) for split in ("train", "test")}
    train, test = (sum(kinds[split].values()) for split in ("train", "test"))
    assert 0 < train <= config.train
    assert config.least_test <= test <= config.test
    for kind in kinds["train"] | kinds["test"]:
        assert abs(kinds["test"][kind] - kinds["train"][kind] * test / train) <= 2, kind


def options_tell_nothing_alone(exam: Exam) -> None:
    """Four different answers, the gold one of them, at each place as often as at any other within a kind."""
    places: dict[tuple[str, str], Counter[int]] = defaultdict(Counter)
    for task in with_options(exam):
        form = normalise if task.parts else canonical  # `on and off` is not `off and on`
        assert len(task.options) == len({form(option) for option in task.options}) == 4
        assert match_option(task.gold, task.options) == task.gold
        places[task.split, task.kind][task.options.index(task.gold)] += 1
    for found in places.values():
        assert max(found.values()) - min(found[place] for place in range(4)) <= 2  # seen and unseen are dealt apart


def golds_are_not_too_often(exam: Exam, config: ExamConfig) -> None:
    """No answer is right of a larger share of a kind than the cap."""
    for split in ("train", "dev", "test"):
        for kind in {task.kind for task in exam.tasks}:
            golds = Counter(normalise(t.gold) for t in exam.tasks if (t.split, t.kind) == (split, kind))
            # One each of seen and unseen modules is always allowed, however few there are.
            assert max(golds.values(), default=0) <= max(2, config.gold_cap * golds.total() + 1), (split, kind)


def no_leak(library: Library, exam: Exam) -> None:
    """Nothing held out stands in training text, and the check would find it."""
    barred, test = set(exam.held_out.chunks), [task for task in exam.tasks if task.split == "test"]
    texts = [(task.id, "\n".join((task.question, *task.options))) for task in exam.tasks if task.split == "train"]
    texts += [(chunk.id, chunk_text(chunk)) for chunk in library.chunks if chunk.id not in barred]
    report = leaks(texts, exam.held_out, test, library)
    assert report.passed, report.examples
    planted = ("planted", f"see {min(exam.held_out.names)} there")
    assert leaks([planted], exam.held_out, test, library).name_hits == 1
