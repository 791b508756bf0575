"""The whole line on a little microdomain: stages, freshness, errors, and endpoints as teacher and student."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kettle_run import CONFIG, folder_of
from openai_server import Server, serving

from agents.files import read_json, read_jsonl
from agents.models.scripted import LineScript, Scripted, open_scripted
from agents.task import Task
from graphs.runner.ledger import Ledger
from retort.cli import main
from retort.config import load_config
from retort.stages import states
from retort.table import stages_of

ROOT = Path(__file__).resolve().parents[1]


def test_everything_is_made(whole: Path) -> None:
    run = whole / "run"
    stages = stages_of(load_config(whole / "run.toml"))
    for stage in stages:
        for name in stage.makes:
            assert (run / name).exists(), f"{stage.name} makes {name}"
    assert set(read_json(run / "stages.json", "run")) == {stage.name for stage in stages}
    arms = [row["arm"] for row in read_json(run / "leaderboard.json", "leaderboard")["rows"]]
    assert arms == ["base", "base+cpt", "student", "student closed book", "teacher"]


def test_kept_and_dropped_are_the_ledger(whole: Path) -> None:
    run = whole / "run"
    with Ledger(run / "ledger.sqlite") as ledger:
        keys = ledger.keys()
    kept = [row["key"] for row in read_jsonl(run / "kept.jsonl")]
    dropped = [row["key"] for row in read_jsonl(run / "dropped.jsonl")]
    assert len(kept) + len(dropped) == len(keys)
    assert set(kept) | set(dropped) == keys
    assert kept


def test_no_held_out_entity_in_any_training_file(whole: Path) -> None:
    run = whole / "run"
    held_out = read_json(run / "held_out.json", "exam")["entities"]
    assert held_out
    text = "".join((run / "data" / name).read_text() for name in ("sft.jsonl", "cpt.jsonl"))
    assert not [name for name in held_out if name in text]
    tested = {entity for row in read_jsonl(run / "exam.jsonl") if row["split"] == "test" for entity in row["entities"]}
    assert tested <= set(held_out)


def test_the_proofs_stand_beside_the_student(whole: Path) -> None:
    for stage in ("cpt", "sft"):
        proofs = read_json(whole / "run" / "students" / stage / "proofs.json", stage)
        assert proofs
        assert all(proof["passed"] for proof in proofs)
    assert read_json(whole / "run" / "leaks.json", "dataset")[0]["passed"]
    assert read_json(whole / "run" / "board.json", "evaluate")[0]["passed"]


def test_running_again_does_nothing(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    begun = time.monotonic()
    assert main(["run", str(whole / "run.toml"), "--run", str(whole / "run")]) == 0
    said = capsys.readouterr()
    assert said.err.count("fresh") == 8
    assert "teacher" in said.out
    assert str(whole / "run" / "report.html") in said.out
    assert time.monotonic() - begun < 20


def test_a_changed_section_makes_stale_what_follows(whole: Path, tmp_path: Path) -> None:
    run = whole / "run"
    assert set(states(load_config(whole / "run.toml"), run).values()) == {"fresh"}
    (whole / "other.toml").write_text(CONFIG.replace("max_steps = 2\nbatch", "max_steps = 3\nbatch"), encoding="utf-8")
    found = states(load_config(whole / "other.toml"), run)
    assert {name for name, state in found.items() if state == "stale"} == {"sft", "evaluate", "leaderboard"}
    copied = tmp_path / "run"
    shutil.copytree(run, copied)
    (copied / "kept.jsonl").unlink()
    found = states(load_config(whole / "run.toml"), copied)
    assert found["dataset"] == "missing"
    assert found["collect"] == "fresh"
    assert found["sft"] == "stale"


def test_plan_spends_nothing(whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", str(whole / "run.toml"), "--run", str(tmp_path / "none")]) == 0
    said = capsys.readouterr().out
    assert said.count("missing") == 8
    assert not (tmp_path / "none").exists()
    partly = tmp_path / "partly"
    for stage in ("index", "exam"):
        assert main([stage, str(whole / "run.toml"), "--run", str(partly)]) == 0
    capsys.readouterr()
    assert main(["plan", str(whole / "run.toml"), "--run", str(partly)]) == 0
    rows = {
        line.split("  ")[1].strip(): line.split() for line in capsys.readouterr().out.splitlines() if "scripted" in line
    }
    tasks = [Task.model_validate(row) for row in read_jsonl(partly / "exam.jsonl") if row["split"] == "train"]
    assert rows["collect"][1:3] == [str(len(tasks)), str(sum(len(task.hops) + 1 for task in tasks))]
    assert not (partly / "ledger.sqlite").exists()


def test_show(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = whole / "run"
    assert main(["show", str(run)]) == 0
    assert "student" in capsys.readouterr().out
    key = read_jsonl(run / "kept.jsonl")[0]["key"]
    assert main(["show", str(run), key[:8]]) == 0
    said = capsys.readouterr().out
    assert key in said
    assert "-> search(" in said
    assert main(["show", str(run), "nokey"]) == 2
    assert "'nokey'" in capsys.readouterr().err
    assert main(["show", str(run / "nowhere")]) == 2


def test_the_example_script_plays(whole: Path) -> None:
    script = [sys.executable, "examples/play.py", str(whole / "run"), "teacher"]
    done = subprocess.run(script, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "-> search(" in done.stdout
    assert "accepted" in done.stdout


def test_merging_what_is_no_adapter(whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["merge", str(whole / "run" / "students" / "sft"), str(tmp_path / "merged")]) == 2
    assert "nothing to merge" in capsys.readouterr().err
    assert not (tmp_path / "merged").exists()


def test_a_stage_out_of_order_names_the_one_before(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = folder_of(tmp_path)
    assert main(["dataset", str(root / "run.toml"), "--run", str(root / "run")]) == 2
    assert "reads what 'collect' makes, which is missing" in capsys.readouterr().err


def made(root: Path) -> list[str]:
    """Names of what stands in the run folder, the config and hidden files left out."""
    names = [path.name for path in (root / "run").iterdir()]
    return sorted(name for name in names if name not in ("run.toml", "stages.json") and not name.startswith("."))


def test_bad_corpora_and_facts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = folder_of(tmp_path)
    command = ["run", str(root / "run.toml"), "--run", str(root / "run")]
    shutil.move(root / "manual", root / "elsewhere")
    assert main(command) == 2
    assert "manual" in capsys.readouterr().err
    (root / "manual").mkdir()
    assert main(command) == 2
    assert "no readable" in capsys.readouterr().err
    shutil.rmtree(root / "manual")
    shutil.move(root / "elsewhere", root / "manual")
    strangers = [
        json.dumps({"entity": f"toaster_{n}", "attribute": "default", "value": str(n), "source": "x.md"})
        for n in range(9)
    ]
    (root / "facts.jsonl").write_text("\n".join(strangers), encoding="utf-8")
    assert main(["index", *command[1:]]) == 0
    assert main(["exam", *command[1:]]) == 2
    assert "toaster_0" in capsys.readouterr().err
    assert made(root) == ["facts.jsonl", "library", "run.json", "skipped.jsonl"]
    (root / "facts.jsonl").unlink()
    assert main(command) == 2
    assert "facts.jsonl" in capsys.readouterr().err


def test_a_broken_facts_line_is_named_and_the_rest_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = folder_of(tmp_path)
    lines = (root / "facts.jsonl").read_text().splitlines()
    lines[6] = '{"entity": "heater_'
    (root / "facts.jsonl").write_text("\n".join(lines), encoding="utf-8")
    assert main(["index", str(root / "run.toml"), "--run", str(root / "run")]) == 0
    said = capsys.readouterr().err
    assert "line 7" in said
    assert "1 broken line left out" in said
    assert len(read_jsonl(root / "run" / "facts.jsonl")) == len(lines) - 1


def test_a_refused_endpoint_leaves_nothing_half_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = CONFIG + '[collect]\nconcurrency = 4\n[teams.teacher]\nreason = "openai:m@http://127.0.0.1:9/v1"\n'
    root = folder_of(tmp_path, config)
    assert main(["run", str(root / "run.toml"), "--run", str(root / "run")]) == 2
    said = capsys.readouterr().err
    assert "127.0.0.1:9" in said
    assert "again to continue" in said
    assert made(root) == [
        "collect.json",
        "exam.json",
        "exam.jsonl",
        "facts.jsonl",
        "facts_rejected.jsonl",
        "held_out.json",
        "ledger.sqlite",
        "library",
        "run.json",
        "skipped.jsonl",
    ]
    with Ledger(root / "run" / "ledger.sqlite") as ledger:
        assert len(ledger) == 0


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[tuple[Path, Server]]:
    """A folder whose teacher and student are a local OpenAI-protocol server with the exam's key behind it."""
    root = folder_of(tmp_path)
    for stage in ("index", "exam"):
        assert main([stage, str(root / "run.toml"), "--run", str(root / "run")]) == 0
    seat = open_scripted("answer-key", str(root / "run" / "exam.jsonl"))
    assert isinstance(seat, Scripted)
    with serving(seat, thought="hidden") as server:
        yield root, server


def test_endpoints_as_teacher_and_student(endpoint: tuple[Path, Server], capsys: pytest.CaptureFixture[str]) -> None:
    """Must show 6: the same pipeline, the same graph, only the seats' lines differ."""
    root, server = endpoint
    with serving(LineScript(rows=[{"reply": "I guess.\nAnswer: A"}])) as guesser:
        seats = (
            f'[student]\nstages = []\n[teams.teacher]\nreason = "openai:big@{server.url}"\n'
            f'[teams.student]\nreason = "openai:small@{guesser.url}"\n'
        )
        config = CONFIG.replace("[student]\nmax_tokens = 24\n", seats).replace("tasks = 6", "")
        (root / "run.toml").write_text(config, encoding="utf-8")
        assert main(["run", str(root / "run.toml"), "--run", str(root / "run")]) == 0
    table = read_json(root / "run" / "leaderboard.json", "leaderboard")
    rows = {row["arm"]: row for row in table["rows"]}
    assert set(rows) == {"student", "student closed book", "teacher"}
    assert rows["teacher"]["accuracy"]["value"] == 1.0
    assert rows["student"]["accuracy"]["value"] < 0.6
    assert {row["model"] for row in server.seen} == {"big"}
    kept = read_jsonl(root / "run" / "kept.jsonl")
    assert kept[0]["messages"][2]["reasoning_content"] == "hidden"
    assert "hidden" not in (root / "run" / "data" / "sft.jsonl").read_text()
    assert "teacher" in capsys.readouterr().out


def test_control_c_keeps_what_was_finished(tmp_path: Path) -> None:
    root = folder_of(tmp_path)
    for stage in ("index", "exam"):
        assert main([stage, str(root / "run.toml"), "--run", str(root / "run")]) == 0
    seat = open_scripted("answer-key", str(root / "run" / "exam.jsonl"))
    assert isinstance(seat, Scripted)
    with serving(seat, delay=0.1) as server:
        with (root / "run.toml").open("a", encoding="utf-8") as stream:
            stream.write(f'[collect]\nconcurrency = 2\n[teams.teacher]\nreason = "openai:m@{server.url}"\n')
        command = [sys.executable, "-m", "retort", "collect", str(root / "run.toml"), "--run", str(root / "run")]
        process = subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            # A shell starts background jobs with SIGINT ignored, and children inherit that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        end = time.monotonic() + 60
        while len(server.seen) < 20 and time.monotonic() < end:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=60)[1]
        assert process.returncode == 130, said
        assert "run the same command again to continue" in said
        assert "Traceback" not in said
        with Ledger(root / "run" / "ledger.sqlite") as ledger:
            before = len(ledger)
        assert before > 0
        assert main(command[3:]) == 0
    with Ledger(root / "run" / "ledger.sqlite") as ledger:
        wanted = sum(row["split"] == "train" for row in read_jsonl(root / "run" / "exam.jsonl"))
        assert len(ledger) == wanted > before
