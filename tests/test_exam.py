"""The exam of a made-up manual: what holds of every exam, same seed same exam, and the errors that say what to do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import little
import pytest
import silence
from exam_parts import check, draft, with_options

from agents.corpus.documents import read_corpus
from agents.corpus.facts import Fact, read_facts
from agents.corpus.library import Library
from agents.errors import ExamError
from distill.exam.build import Exam, ExamConfig, build_exam, cell_of, unseen_first
from distill.exam.names import Names
from distill.exam.paraphrase import as_asked
from distill.exam.tasks import aliases

CONFIG = ExamConfig(train=60, dev=8, test=40, held_out=0.35)
FREE = CONFIG.model_copy(update={"choice": False})
Kettle = tuple[list[Fact], Library]


@pytest.fixture(scope="module")
def manual(tmp_path_factory: pytest.TempPathFactory) -> Kettle:
    root = little.write_microdomain(tmp_path_factory.mktemp("manual"))
    return read_facts(root / "facts.jsonl")[0], Library.build(read_corpus(root / "manual"))


@pytest.fixture(scope="module")
def exam(manual: Kettle) -> Exam:
    return build_exam(*manual, CONFIG)


@pytest.fixture(scope="module")
def free(manual: Kettle) -> Exam:
    return build_exam(*manual, FREE)


def test_what_holds_of_every_exam(manual: Kettle, exam: Exam) -> None:
    check(*manual, exam, CONFIG)
    assert {task.split for task in exam.tasks} == {"train", "dev", "test"}
    assert {task.kind for task in exam.tasks} == {"lookup", "pair", "effective", "release"}


def test_sizes_and_shares_are_those_of_the_config(exam: Exam) -> None:
    assert Counter(task.split for task in exam.tasks) == {"train": 60, "dev": 8, "test": 40}
    levels = Counter(task.level for task in exam.tasks if task.split == "test")
    assert levels == {"engineer": 20, "professional": 12, "consultant": 8}
    assert exam.counts["facts"] == {"given": 216, "usable": 216}
    assert exam.counts["options"]["with"] == len(with_options(exam)) > 40
    assert json.loads(json.dumps(exam.counts)) == exam.counts


def test_shares_of_levels_need_not_sum_to_one(manual: Kettle) -> None:
    config = FREE.model_copy(update={"engineer": 2.0, "professional": 2.0, "consultant": 0.0})
    made = build_exam(*manual, config)
    assert Counter(t.level for t in made.tasks if t.split == "test") == {"engineer": 20, "professional": 20}
    with pytest.raises(ExamError, match="are all 0"):
        build_exam(*manual, FREE.model_copy(update={"engineer": 0.0, "professional": 0.0, "consultant": 0.0}))


def test_the_summary_says_what_there_is_and_what_guessing_gets(exam: Exam) -> None:
    said = exam.summary()
    assert "held out {groups: " in said
    assert "free   overall       best baseline: " in said
    assert "choice overall       best baseline: " in said
    assert f"of {len(with_options(exam))} (chance 25%)" in said


def test_same_seed_same_exam(exam: Exam) -> None:
    """In another process, too, where sets come in another order."""
    program = (
        "import sys, little; from pathlib import Path; from agents.corpus.documents import read_corpus\n"
        "from agents.corpus.facts import read_facts; from agents.corpus.library import Library\n"
        "from distill.exam.build import ExamConfig, build_exam\n"
        "root = little.write_microdomain(Path(sys.argv[1])); found, _ = read_facts(root / 'facts.jsonl')\n"
        "library = Library.build(read_corpus(root / 'manual'))\n"
        "print(build_exam(found, library, ExamConfig.model_validate_json(sys.argv[2])).model_dump_json())\n"
    )
    here = Path(__file__).resolve().parent
    seed = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    environment = os.environ | {"PYTHONPATH": silence.path(here.parent, here), "PYTHONHASHSEED": seed}
    with TemporaryDirectory() as folder:
        command = [sys.executable, "-c", program, folder, CONFIG.model_dump_json()]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert Exam.model_validate_json(done.stdout) == exam


def test_another_seed_is_another_exam(manual: Kettle, free: Exam) -> None:
    other = build_exam(*manual, FREE.model_copy(update={"seed": 1}))
    assert other.held_out.groups != free.held_out.groups
    assert {t.question for t in other.tasks} != {t.question for t in free.tasks}


def test_without_the_choice_form_nothing_is_dealt(manual: Kettle, free: Exam) -> None:
    check(*manual, free, FREE)
    assert with_options(free) == []
    assert set(free.baselines) == {"free"}
    assert free.audit == {}
    assert "options alone" not in free.summary()


def test_a_held_out_module_is_barred_whole(manual: Kettle) -> None:
    """A page that no fact is about is barred with its module, and no question of training is about the module."""
    found, _ = manual
    spare = [fact for fact in found if not fact.entity.endswith("_idle")]  # these sections stay, without facts
    library = little.library()
    made = build_exam(spare, library, FREE.model_copy(update={"held_out_modules": 0.3, "held_out": 0.5}))
    assert made.held_out.modules
    for module in made.held_out.modules:
        pages = {chunk.id for chunk in library.chunks if chunk.document == module}
        assert len(pages) > len(little.NAMES)
        assert pages <= set(made.held_out.chunks)
        assert {t.split for t in made.tasks if any(e.startswith(f"{module}_") for e in t.entities)} == {"test"}
    unseen = [task for task in made.tasks if task.unseen_module]
    assert unseen
    for task in unseen:
        assert {hop.entity.partition("_")[0] for hop in task.hops} <= set(made.held_out.modules)


def test_own_wordings_are_asked(manual: Kettle) -> None:
    own = ("How fast is {entity}?",)
    made = build_exam(*manual, FREE.model_copy(update={"wordings": {"default": own}}))
    asked = [t for t in made.tasks if t.kind == "lookup" and t.provenance["attribute"] == "default"]
    assert asked
    assert all(as_asked(task).question == f"How fast is `{task.entities[0]}`?" for task in asked)


def test_no_training_question_names_what_is_held_out(exam: Exam) -> None:
    names = Names(exam.held_out.names)
    for task in exam.tasks:
        if task.split != "test":
            assert not names.within("\n".join((task.question, task.gold, *task.options)))


def test_the_cell_of_a_group_is_its_own_for_good() -> None:
    assert cell_of("a", "test") == "test"
    assert cell_of("a", "dev") == "dev"
    cells = Counter(cell_of(f"g{n}", "train") for n in range(400))
    assert set(cells) == {"train0", "train1", "train2", "train3"}
    assert min(cells.values()) > 60


def test_an_argument_may_be_said_without_its_brackets(manual: Kettle) -> None:
    assert aliases("<file>") == ("file",)
    assert aliases("file") == aliases("<a> <b>") == ()


def test_unseen_questions_are_those_of_held_out_modules_alone() -> None:
    rows = [draft(0, "1", modules=("m",)), draft(1, "1", modules=("m", "n")), draft(2, "1", modules=())]
    new, old = unseen_first(rows, {"m"})
    assert (new, old) == (rows[:1], rows[1:])


def edited(found: list[Fact], change: Callable[[Fact], dict[str, Any]]) -> list[Fact]:
    return [fact.model_copy(update=change(fact)) for fact in found]


def test_two_facts_alike_ask_one_question(manual: Kettle) -> None:
    found, library = manual
    made = build_exam([*found, *found[:30]], library, FREE)
    assert len({task.question for task in made.tasks}) == len(made.tasks)


def test_where_every_answer_is_the_same_there_is_nothing_to_ask(manual: Kettle) -> None:
    found, library = manual
    kinds = [fact for fact in found if fact.attribute == "kind"]
    shown = edited(kinds, lambda fact: {"value": "flag", "quote": f"Kind: {fact.value}"})
    with pytest.raises(ExamError, match=r"only \d+ test questions of \d+ usable facts"):
        build_exam(shown, library, FREE.model_copy(update={"least_test": 20}))


def test_too_few_facts_are_an_error_that_says_what_to_do(manual: Kettle) -> None:
    found, library = manual
    with pytest.raises(ExamError, match=r"there are no facts: an exam needs a facts\.jsonl"):
        build_exam([], library, CONFIG)
    with pytest.raises(ExamError, match=r"only 0 test questions of 1 usable facts: at least 1 need"):
        build_exam(found[:1], library, CONFIG)
    ghosts = edited(found[:3], lambda fact: {"entity": f"ghost_{fact.entity}"})
    with pytest.raises(ExamError, match=r"entity 'ghost_heater_limit'.*stands in no document"):
        build_exam(ghosts, library, CONFIG)


def test_an_exam_goes_through_a_file(exam: Exam, tmp_path: Path) -> None:
    path = tmp_path / "exam.json"
    path.write_text(exam.model_dump_json(), encoding="utf-8")
    assert Exam.model_validate_json(path.read_text(encoding="utf-8")) == exam
