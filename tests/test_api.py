"""Retort as a library: the calls of a notebook, inside a running event loop and without one."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from kettle_run import CONFIG, folder_of
from openai_server import serving

import retort
from agents.errors import ConfigError, FolderError, StageError, TrustError
from agents.models.scripted import AnswerKey
from graphs.runner.ledger import Ledger
from retort.cli import main
from retort.progress import Progress

HEAVY = {"torch", "transformers", "trl", "datasets", "pandas", "langgraph", "langchain_core", "pydantic", "numpy"}
PUBLIC = {
    "Leaderboard", "Progress", "RetortError", "Run", "RunConfig", "Task", "TrainingResult", "Trajectories",
    "Trajectory", "__version__", "close", "play",
}  # fmt: skip


async def test_the_calls_of_a_notebook_inside_a_running_loop(copied: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Everything is made anew here: two samples a task, another training, and what follows."""
    changed = {"collect.samples": 2, "sft.max_steps": 1}
    run = retort.Run.load(copied / "run.toml", copied / "run", overrides=changed)
    done = await run.collect_async()
    again = run.collect()
    assert again == done and done.parts["react"].played == done.parts["react"].known == 47
    assert str(run.dataset()).startswith("60 kept")
    result = run.train("sft")
    assert isinstance(result, retort.TrainingResult)
    assert (result.steps, result.out, all(proof.passed for proof in result.proofs)) == (
        1,
        run.folder / "students/sft",
        True,
    )
    assert "1 steps" in str(result)
    board = run.evaluate()
    assert isinstance(board, retort.Leaderboard)
    frame = board.to_pandas()
    assert list(frame["arm"]) == [row.arm for row in board.rows]
    assert board._repr_html_().count("<table>") == 2
    rows = run.trajectories(accepted=True).to_dataset("trl")
    assert len(rows) == 120 and {"messages", "tools"} <= set(rows.column_names)
    calls = [m["tool_calls"][0] for m in rows[0]["messages"] if m.get("tool_calls")]
    assert list(calls[0]["function"]["arguments"]) == ["query"]
    task = run.tasks("test")[0]
    trajectory = await retort.play(task, team=run.team("student"))
    assert isinstance(trajectory, retort.Trajectory) and trajectory.task_id == task.id
    both = await asyncio.gather(*(retort.play(task, team=run.team("teacher")) for _ in range(2)))
    assert [each.verdict.correct for each in both] == [True, True]
    assert run.report.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert {found.state for _, found in run.plan().stages} == {"fresh"}
    assert capfd.readouterr() == ("", ""), "a library prints nothing"


def test_the_same_calls_without_a_loop(copied: Path) -> None:
    run = retort.Run.load(copied / "run")
    made = run.index()
    assert str(made) == f"6 pages, {made.chunks} chunks, {made.facts} facts" and made.documents == 6
    exam = run.exam()
    assert (exam.train, exam.dev, exam.test) == (len(run.tasks("train")), len(run.tasks("dev")), len(run.tasks("test")))
    assert asyncio.run(run.collect_async()) == run.collect()
    assert run.dataset().kept == 60
    assert run.train() == run.train("sft")
    assert run.train("cpt").steps == 2
    board = run.run()
    assert board == run.evaluate() and str(board).startswith("student: ")
    assert run.play(run.tasks("test")[0], "teacher").verdict.correct
    assert len(run.trajectories("test", team="teacher")) == 12
    assert "nothing would be played" in str(run.plan())
    with pytest.raises(ConfigError, match="no training of this run is named 'dpo'; there are cpt, sft"):
        run.train("dpo")


def test_nothing_is_printed_and_progress_is_told(
    copied: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    told: list[Progress] = []
    run = retort.Run.load(copied / "run", overrides={"collect.samples": 2}, progress=told.append)
    with caplog.at_level(logging.INFO, logger="retort"):
        run.collect()
        run.collect()
    assert capfd.readouterr() == ("", "")
    lines = [record.message for record in caplog.records if record.name == "retort"]
    assert lines[0] == "collect      teacher team -> ledger  ([collect] samples changed)"
    assert lines[-1] == "collect      fresh"
    assert [each.text for each in told if each.done is None] == lines
    counts = [each for each in told if each.done is not None]
    assert counts[-1].done == counts[-1].wanted
    assert len(counts) == 60


def test_the_command_line_prints_what_the_logger_gets(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["index", str(copied / "run.toml"), "--run", str(copied / "run")]) == 0
    assert capsys.readouterr().err == "index        fresh\n"
    assert not logging.getLogger("retort").handlers


def test_stages_keep_to_order_locks_and_force(tmp_path: Path, copied: Path) -> None:
    folder_of(tmp_path)
    run = retort.Run.load(tmp_path)
    assert run.folder == tmp_path / "runs" / "kettle" and not run.folder.exists()
    with pytest.raises(StageError, match="collect reads what 'exam' makes, which is missing"):
        run.collect()
    with pytest.raises(StageError, match="call run.index"):
        run.play(retort.Run.load(copied / "run").tasks("test")[0], "teacher")
    from retort.lock import alone

    run.index()
    with alone(run.folder), pytest.raises(StageError, match="is in use by process"):
        run.exam()
    before = (run.folder / "stages.json").stat().st_mtime_ns
    run.index()
    assert (run.folder / "stages.json").stat().st_mtime_ns == before, "a fresh stage does nothing"
    run.index(force=True)
    assert (run.folder / "stages.json").stat().st_mtime_ns != before


async def test_a_collection_that_is_cancelled_ends_and_goes_on_later(tmp_path: Path) -> None:
    folder_of(tmp_path, CONFIG + "[collect]\nconcurrency = 2\nchoice = 0\n")
    first = retort.Run.load(tmp_path)
    first.index()
    first.exam()
    with serving(AnswerKey(tasks=tuple(first.tasks("train"))), delay=0.1) as server:
        seat = {"teams.teacher.reason": f"openai:m@{server.url}"}
        run = retort.Run.load(tmp_path, overrides=seat)
        playing = asyncio.create_task(run.collect_async())
        while len(server.seen) < 8:
            await asyncio.sleep(0.05)
        with pytest.raises(StageError, match="the stage 'collect' works in this process"):
            run.index()
        with pytest.raises(StageError, match="play when it has ended"):
            run.play(run.tasks("train")[0], "teacher")
        playing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await playing
        calls = len(server.seen)
        await asyncio.sleep(0.5)
        assert len(server.seen) == calls, "nothing is paid for after it"
        with Ledger(run.folder / "ledger.sqlite") as ledger:
            before = len(ledger)
        assert 0 < before < 60
    with serving(AnswerKey(tasks=tuple(first.tasks("train")))) as server:
        run = retort.Run.load(tmp_path, overrides={"teams.teacher.reason": f"openai:m@{server.url}"})
        assert (await run.collect_async()).parts["react"].wanted == 60
    assert not [each for each in threading.enumerate() if each.name == "retort-call"]


def test_a_run_that_is_built_in_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder_of(tmp_path)
    monkeypatch.chdir(tmp_path)
    config = retort.RunConfig(name="built", corpus={"manuals": "manual", "facts": "facts.jsonl"}, exam={"train": 50})
    run = retort.Run.create(config, tmp_path / "made", overrides={"exam.test": 30})
    assert run.index().documents == 6
    same = retort.Run.load(tmp_path / "made")
    assert same.config == run.config and (same.config.exam.train, same.config.exam.test) == (50, 30)
    assert retort.Run.create(config, tmp_path / "made").config.exam.test != 30, "the folder is opened again"
    with pytest.raises(ConfigError, match=r"^the config: unknown key 'exm'; did you mean 'exam'"):
        retort.Run.create({"name": "x", "corpus": {"source": "stdlib"}, "exm": {}}, tmp_path / "other")
    with pytest.raises(StageError, match="holds the run 'built', not 'other'"):
        retort.Run.create(config.model_copy(update={"name": "other"}), tmp_path / "made")
    with pytest.raises(FolderError, match="is no run folder and holds"):
        retort.Run.create(config, tmp_path / "manual")
    from_file = retort.Run.create(tmp_path / "run.toml", tmp_path / "third")
    assert from_file.config.name == "kettle" and (tmp_path / "third" / "run.toml").exists()


def test_code_that_a_config_names_is_not_run_before_it_was_agreed_to(tmp_path: Path) -> None:
    folder_of(tmp_path, CONFIG + '[board]\ntools = ["search", "own:tool"]\n')
    (tmp_path / "own.py").write_text("raise SystemExit('it ran')\n", encoding="utf-8")
    run = retort.Run.load(tmp_path)
    with pytest.raises(TrustError, match=r"the tool .*own\.py:tool.*\n.*give trust=True to Run\.load"):
        run.index()
    assert retort.Run.load(tmp_path, trust=True).index().documents == 6
    assert run.index().documents == 6, "it is asked once"


def test_a_team_of_no_run_needs_a_context(copied: Path) -> None:
    run = retort.Run.load(copied / "run")
    bare, task = run.config.teams["teacher"].named("teacher"), run.tasks("test")[0]
    with pytest.raises(ConfigError, match="belongs to no run"):
        asyncio.run(retort.play(task, team=bare))
    context = run.context("teacher", "react", "score", held_out=False)
    assert asyncio.run(retort.play(task, team=context.team, context=context, form="choice")).form == "choice"
    assert run.team("teacher") == context.team and hash(run.team("teacher")) == hash(run.team("teacher"))


def test_the_package_is_light_and_says_what_is_public() -> None:
    program = "import sys, retort; retort.__version__; print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not HEAVY & set(out.stdout.split())
    assert set(retort.__all__) == PUBLIC and len(retort.__all__) == len(PUBLIC)
    assert dir(retort) == sorted(PUBLIC)
    for name in PUBLIC:
        assert getattr(retort, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        retort.nothing  # noqa: B018
    root = Path(retort.__file__).parent.parent
    for room in ("agents", "graphs", "distill", "finetune", "evals", "retort"):
        assert (root / room / "py.typed").is_file()
