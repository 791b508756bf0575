"""Lists of four options: each is right once, none is told, none is another's answer, and questions tell nothing."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import silence
from exam_parts import draft

from agents.answers import canonical
from distill.exam.association import Association
from distill.exam.choices import OPTIONS, Dealt, affinity, fits, rings
from distill.exam.drafts import Draft, value_type

NOTHING = Association([])
"""Knows of no question: only the looks of two questions and golds count."""


def dealt(drafts: list[Draft], known: Association = NOTHING, seed: int = 0) -> list[Dealt]:
    return rings(drafts, known, random.Random(seed))


def numbers(count: int, first: int = 0, **changes: object) -> list[Draft]:
    """Look-ups with the golds 100, 101, ... that share nothing with their questions."""
    return [draft(first + n, str(100 + n), question=f"What is asked of {chr(97 + n % 26)}?", **changes)
            for n in range(count)]  # fmt: skip


def test_every_option_is_the_gold_of_one_question() -> None:
    drafts = numbers(24)
    made = dealt(drafts)
    assert len(made) == len(drafts) / OPTIONS
    for one in made:
        assert Counter(one.options) == Counter(draft.gold for draft in one.drafts)
        assert len(set(one.options)) == OPTIONS
    used = [id(draft) for one in made for draft in one.drafts]
    assert len(set(used)) == len(used) == len(drafts)


def test_who_fits_nowhere_gets_no_options() -> None:
    assert dealt(numbers(3)) == []
    assert len(dealt(numbers(6))) == 1
    assert dealt([draft(n, "7") for n in range(20)]) == []


def test_the_answer_with_most_questions_is_served_first() -> None:
    """Four of one value and four of each of three others: all sixteen find a place."""
    drafts = [draft(n, value, question=f"{n}?") for n, value in enumerate(["10", "20", "30", "40"] * 4)]
    assert len(dealt(drafts)) == 4


def test_no_list_has_one_answer_in_two_spellings() -> None:
    golds = ["60s", "60 seconds", "60 sec", "30s", "30 seconds", "15s", "45s", "90s"]
    made = dealt([draft(n, gold, question=f"{n}?") for n, gold in enumerate(golds)])
    assert made
    for one in made:
        assert len({canonical(option) for option in one.options}) == OPTIONS
    assert not fits([draft(0, "1000"), draft(1, "1,000")])
    assert fits([draft(0, "7.1"), draft(1, "7.10")])


def test_options_of_a_list_have_one_form_of_value() -> None:
    golds = [str(n) for n in range(8)] + [f"{n}s" for n in range(8)] + [f"word{chr(97 + n)}" for n in range(8)]
    drafts = [draft(n, gold, question="?" * (n + 1)) for n, gold in enumerate(golds)]
    made = dealt(drafts)
    assert {value_type(one.options[0]) for one in made} >= {"integer", "duration"}
    for one in made:
        assert len({value_type(option) for option in one.options}) == 1


def test_no_option_is_told_in_one_of_the_questions() -> None:
    drafts = [draft(n, str(100 + n), question=f"{chr(97 + n)}?", stated=(str(100 + (n + 1) % 12),)) for n in range(12)]
    made = dealt(drafts)
    assert made
    for one in made:
        told = {canonical(value) for d in one.drafts for value in d.stated}
        assert not told & {canonical(option) for option in one.options}
    assert not fits([draft(0, "5s", stated=("60 seconds",)), draft(1, "60s")])


def test_a_question_that_tells_its_own_answer_gets_no_options() -> None:
    telling = draft(90, "999", question="zz?", stated=("999",))
    assert telling.answered
    assert all(telling not in one.drafts for one in dealt([*numbers(11), telling]))


def test_no_list_reaches_over_two_cells() -> None:
    made = dealt([*numbers(6, cell="test"), *numbers(6, first=50, cell="train1")])
    assert [len({d.cell for d in one.drafts}) for one in made] == [1, 1]


def test_near_questions_are_put_together() -> None:
    """Of two attributes in two modules, each list has questions of one attribute in one module."""
    drafts = [
        draft(n, str(100 + n), question=f"{chr(97 + n)}?", attribute="ab"[n % 2], modules=("mn"[n // 2 % 2],))
        for n in range(16)
    ]
    for one in dealt(drafts):
        assert len({(d.attribute, d.modules) for d in one.drafts}) == 1
    assert affinity(drafts[0], drafts[4]) > affinity(drafts[0], drafts[2]) > affinity(drafts[0], drafts[1])


def square(block: str, lefts: str, rights: str) -> list[Draft]:
    """The four questions over two values on either side, each asked with all four combinations."""
    options = tuple(f"{a} and {b}" for a in lefts for b in rights)
    return [
        draft(n, gold, question=f"Compare {block} {'uv'[n // 2]} with {'xy'[n % 2]}.", square=options, block=block)
        for n, gold in enumerate(options)
    ]


def test_a_square_keeps_its_four_answers() -> None:
    one, two = square("one", "12", "34"), square("two", "56", "78")
    made = dealt([*one, *two])
    assert {frozenset(row.options) for row in made} == {frozenset(one[0].square), frozenset(two[0].square)}
    assert dealt(one[:3]) == []


def speaking(count: int) -> list[Draft]:
    """Questions of four cells whose words tell their answers: what is called w0 is 100, what is called w1 is 101."""
    return [
        draft(n, str(100 + n % 4), question=f"What about kind{chr(97 + n % 4)}{'xyz'[n % 3]} word{chr(97 + n % 4)}?",
              cell=f"train{n // 4 % 4}")
        for n in range(count)
    ]  # fmt: skip


def test_words_that_come_with_an_answer_tell_it() -> None:
    drafts = speaking(64)
    known = Association(drafts)
    one, two, same = drafts[0], drafts[1], drafts[16]
    assert known.score(one, one.key) > 0 > known.score(one, two.key)
    assert known.telling(one, two) > 5
    assert known.telling(one, two) == pytest.approx(known.telling(two, one))
    assert known.telling(one, same) == pytest.approx(0.0)


def test_questions_that_tell_their_answers_are_not_put_together() -> None:
    drafts = speaking(64)
    assert dealt(drafts) != [], "but for their words, they would be"
    assert dealt(drafts, Association(drafts)) == []


def test_what_a_question_of_the_same_cell_says_does_not_count() -> None:
    """A cell is guessed from the others alone."""
    drafts = [draft(n, str(n % 2), question=f"word{'ab'[n % 2]}?", cell="train0") for n in range(20)]
    known = Association([*drafts, draft(99, "7", question="other?", cell="train1")])
    assert known.score(drafts[0], "0") == pytest.approx(known.score(drafts[1], "0"))


def test_a_gold_that_stands_in_its_question_tells_itself() -> None:
    one = draft(0, "gzip", question="Which type has gzip_types?")
    two = draft(1, "lua", question="Which type has the other?")
    assert NOTHING.telling(one, two) > 0
    ring = [one, *(draft(n, gold, question=f"{n}?") for n, gold in enumerate(["lua", "perl", "ruby"], 2))]
    assert dealt(ring, NOTHING) == []


def test_scores_do_not_depend_on_the_order_of_sets() -> None:
    """Sums of floats do: an exam would be another one in each process."""
    program = (
        "from exam_parts import draft; from distill.exam.association import Association\n"
        "names = ['alpha', 'bravo', 'charlie', 'delta', 'echo', 'foxtrot', 'golf', 'hotel', 'india', 'juliett']\n"
        "rows = [draft(n, str(n % 7), question=' '.join(names[:2 + n % 9]), cell=f'train{n % 4}') for n in range(60)]\n"
        "known = Association(rows); print([known.score(d, str(k)) for d in rows for k in range(7)])\n"
    )
    here = Path(__file__).resolve().parent
    said = set()
    for seed in ("1", "2", "3"):
        environment = os.environ | {"PYTHONPATH": silence.path(here.parent, here), "PYTHONHASHSEED": seed}
        done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        said.add(done.stdout)
    assert len(said) == 1
