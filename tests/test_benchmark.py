"""`retort benchmark`: arms play an outside exam once, are compared item by item, and no stage becomes stale by it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agents.errors import StageError
from agents.files import read_json, read_jsonl, write_jsonl
from evals.benchmarks.calls import Calls
from evals.benchmarks.sitting import Result, arm_result, comparisons
from graphs.runner.ledger import Ledger
from retort.cli import main
from retort.products import made

CONFIG = """
name = "greenhouse"
[corpus]
manuals = "manual"
facts = "facts.jsonl"
[teams.teacher]
reason = "scripted:lines@teacher.jsonl"
[teams.student]
reason = "scripted:lines@student.jsonl"
[student]
stages = []
[[evaluate.arms]]
name = "the teacher"
team = "teacher"
[[evaluate.arms]]
name = "student"
team = "student"
[[evaluate.arms]]
name = "student closed book"
team = "student"
mode = "cot"
"""


def script(which: int) -> list[dict[str, Any]]:
    """Replies to the benchmark: right for all but every `which`-th item that wants one call."""
    rows: list[dict[str, Any]] = []
    for number, item in enumerate(Calls().prepare(Path())):
        if len(item.calls) == 1 and number % which:
            arguments = {name: values[0] for name, values in item.calls[0].arguments.items()}
            rows.append(
                {"when": item.question, "reply": "", "call": {"name": item.calls[0].name, "arguments": arguments}}
            )
    return [*rows, {"reply": "I call nothing."}]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "manual").mkdir()
    (tmp_path / "manual" / "a.md").write_text("# A\n\nx\n", encoding="utf-8")
    (tmp_path / "facts.jsonl").write_text("", encoding="utf-8")
    (tmp_path / "run.toml").write_text(CONFIG, encoding="utf-8")
    write_jsonl(tmp_path / "teacher.jsonl", script(1000))
    write_jsonl(tmp_path / "student.jsonl", script(2))
    return tmp_path


def test_the_arms_of_a_run_sit_a_benchmark_and_are_compared(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["benchmark", "calls", str(root / "run.toml"), "--run", str(root / "run")]) == 0
    said = capsys.readouterr().out
    assert said.startswith("calls: one turn with six tools that no training has seen; 40 items\n")
    assert "the teacher  77.5 [62-88]     68   100" in said and "student      55.0 [40-69]     36   100" in said
    assert "student - the teacher: -22.5 points [" in said and "0 won 9 lost" in said and "closed book" not in said
    folder = root / "run" / "scores" / "benchmarks" / "calls"
    assert {path.name for path in folder.iterdir()} >= {
        "student.jsonl",
        "the-teacher.jsonl",
        "result.json",
        "result.md",
    }
    assert "| student | 55.0 [40-69] | 36 | 100 |" in (folder / "result.md").read_text(encoding="utf-8")
    result = Result.model_validate(read_json(folder / "result.json", "evaluate"))
    assert result.arms[0].values["none-01"] == {"right": 1.0, "called": None, "abstained": 1.0}
    assert made(root / "run", ("scores",)) == {}, "no stage makes it"


def test_what_was_played_is_not_played_again(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["benchmark", "calls", str(root / "run.toml"), "--run", str(root / "run"), "--json", "--arm"]
    folder = root / "run" / "scores" / "benchmarks" / "calls"

    def calls() -> int:
        with Ledger(folder / "ledger.sqlite") as ledger:
            return ledger.accounts()["benchmark:calls"].calls

    assert main([*command, "student"]) == 0
    first = json.loads(capsys.readouterr().out)
    assert [each["arm"] for each in first["arms"]] == ["student"] and first["comparisons"] == {} and calls() == 40
    assert main([*command, "student"]) == 0
    assert json.loads(capsys.readouterr().out) == first and calls() == 40
    write_jsonl(root / "student.jsonl", script(3))
    assert main([*command, "student"]) == 0
    assert json.loads(capsys.readouterr().out)["arms"][0]["right"] != first["arms"][0]["right"] and calls() == 80
    assert len(read_jsonl(folder / "student.jsonl")) == 80, "what another player did is kept beside it"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["clals", "RUN"], "did you mean 'calls'?"),
        (
            ["calls", "RUN", "--arm", "base"],
            "no arm is named 'base'; there are the teacher, student, student closed book",
        ),
        (
            ["own.py:Broken", "RUN"],
            "benchmark 'Broken' failed on its item 'x' (ZeroDivisionError: division by zero): mend",
        ),
        (["own.py:Absent", "RUN"], "the file of questions is not on this machine"),
        (["own.py:Empty", "RUN"], "benchmark 'Empty' has no items"),
    ],
)
def test_what_cannot_be_played_is_named(
    more: list[str], said: str, root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "own.py").write_text(OWN, encoding="utf-8")
    monkeypatch.chdir(root)
    command = [str(root / "run.toml") if each == "RUN" else each for each in more]
    assert main(["benchmark", *command, "--run", str(root / "run")]) == 2
    assert said in capsys.readouterr().err


OWN = """
from pydantic import BaseModel
from agents.errors import StageError
from evals.benchmarks import Benchmark


class Item(BaseModel):
    id: str


class Empty(Benchmark):
    def prepare(self, folder):
        return []


class Broken(Empty):
    def prepare(self, folder):
        return [Item(id="x")]

    async def play(self, item, player):
        return {"a": 1 / 0}


class Absent(Empty):
    def prepare(self, folder):
        raise StageError("the file of questions is not on this machine: put it into /data")
"""


def test_forgetting_is_a_difference_between_base_and_student() -> None:
    """Ten items: the base gets eight, the student five of these; hand-counted."""
    ids = [f"i{n}" for n in range(10)]
    arms = [
        arm_result(
            name,
            Calls.columns,
            {i: {"right": float(n < most), "called": None, "abstained": None} for n, i in enumerate(ids)},
        )
        for name, most in (("base", 8), ("student", 5))
    ]
    found = comparisons(arms, "right", ids)["student"]
    assert (found.other, found.difference, found.better, found.worse) == ("base", pytest.approx(-0.3), 0, 3)
    assert found.p == pytest.approx(0.25), "exact McNemar of 0 to 3"
    assert arms[1].means == {"right": 0.5, "called": None, "abstained": None}


def test_a_benchmark_whose_scores_lack_a_column_is_named() -> None:
    from evals.benchmarks.sitting import scored

    item = Calls().prepare(Path())[0]

    class Half(Calls):
        def score(self, item: Any, played: Any) -> Any:
            return {"right": 1.0}

    with pytest.raises(StageError, match=r"benchmark 'half' failed on its item 'one-01' \(KeyError.*columns"):
        scored(Half(), "half", item, {})
