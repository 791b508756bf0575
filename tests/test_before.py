"""What is broken is found before the teacher is paid: by plan, by the doctor, and by a run that then plays nothing."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from doctor_probes import names, run_of, the
from kettle_run import CONFIG, folder_of

from agents.errors import StageError
from retort.cli import main
from retort.config import load_config
from retort.doctor.before import before_paying, disk_bytes, refuse_broken
from retort.doctor.findings import Finding
from retort.doctor.machine import disk, wanted
from retort.doctor.probes import probe_all
from retort.pipeline import Run

TEACHER = {"teacher": {"reason": "scripted:answer-key"}}
SERVER = Path(__file__).with_name("mcp_thermometer.py")
GOOD = 'def boil(x: int) -> str:\n    """Boil.\n\n    Args:\n        x: Much.\n    """\n    return "hot"\n'
STAGES = ("index", "exam", "collect", "dataset", "cpt", "sft", "evaluate", "leaderboard")


def found(run: Run, *severities: str, start: bool = False) -> list[Finding]:
    """What plan or run would see of all stages."""
    parts = before_paying(run, [stage for stage in STAGES if stage != "cpt"], start=start)
    return [each for _, part in parts for each in part if each.severity in severities]


def kettle_run(root: Path, config: str = CONFIG) -> Run:
    path = folder_of(root, config) / "run.toml"
    return Run(load_config(path), root / "run")


def test_a_sound_config_has_nothing_broken(tmp_path: Path) -> None:
    run = kettle_run(tmp_path)
    assert found(run, "broken") == []
    said = {each.name: each.seen for each in found(run, "fine")}
    assert "pages of" in said["corpus"]
    assert "facts of" in said["facts"]
    assert not run.folder.exists()


def test_a_corpus_that_is_not_there_is_told(tmp_path: Path) -> None:
    run = kettle_run(tmp_path)
    os.rename(tmp_path / "manual", tmp_path / "elsewhere")
    (one,) = found(run, "broken")
    assert one.name == "corpus"
    assert "is not there" in one.seen
    (tmp_path / "manual").mkdir()
    (tmp_path / "manual" / "page.pdf").write_bytes(b"%PDF")
    assert "holds no readable" in found(run, "broken")[0].seen


def test_facts_that_are_none_or_name_no_page_are_told(tmp_path: Path) -> None:
    run = kettle_run(tmp_path)
    facts = tmp_path / "facts.jsonl"
    rows = [json.loads(line) for line in facts.read_text(encoding="utf-8").splitlines()]
    facts.write_text("nothing\n", encoding="utf-8")
    assert [each.name for each in found(run, "broken")] == ["facts"]
    lost = [{**row, "source": "other/page.md"} for row in rows]
    facts.write_text("".join(json.dumps(row) + "\n" for row in lost), encoding="utf-8")
    (one,) = found(run, "broken")
    assert (one.name, one.seen.startswith(f"{len(rows)} of {len(rows)} facts")) == ("facts_without_page", True)
    facts.write_text("".join(json.dumps(row) + "\n" for row in [*rows, lost[0]]) + "{}\n", encoding="utf-8")
    assert {each.name for each in found(run, "warning")} >= {"facts", "facts_without_page"}
    assert found(run, "broken") == []


TOOLS = [
    ("boil", None, "there is no tool 'boil'"),
    ("no_module_here:boil", None, "no module"),
    ("absent.py:boil", None, "no file"),
    ("mine.py:boil", "def boil(:\n", "cannot be read as Python"),
    ("mine.py:bake", GOOD, "has no 'bake'; it has boil"),
    ("mine.py:boil", "import no_such_package_here\n" + GOOD, "imports 'no_such_package_here', which is not installed"),
]


@pytest.mark.parametrize(("spec", "text", "said"), TOOLS)
def test_a_tool_of_ones_own_that_cannot_be_is_told_by_plan_and_doctor(
    spec: str, text: str | None, said: str, tmp_path: Path
) -> None:
    if text is not None:
        (tmp_path / "mine.py").write_text(text, encoding="utf-8")
        spec = f"{tmp_path}/{spec}"
    run = run_of(tmp_path, TEACHER, board={"tools": ["search", spec]})
    for start in (False, True):
        (one,) = found(run, "broken", start=start)
        assert one.name == "tool"
        assert said in one.seen


def test_looking_at_a_plan_runs_no_tool_and_starts_no_server(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    (tmp_path / "mine.py").write_text(f"open({str(marker)!r}, 'w').close()\n{GOOD}", encoding="utf-8")
    program = tmp_path / "server.py"
    program.write_text(f"open({str(marker)!r}, 'w').close()\n", encoding="utf-8")
    server = {"command": sys.executable, "args": [str(program)]}
    run = run_of(tmp_path, TEACHER, board={"tools": [f"{tmp_path / 'mine.py'}:boil"], "mcp": {"x": server}})
    assert found(run, "broken") == []
    assert not marker.exists()
    (one,) = found(run, "broken", start=True)
    assert "does not start" in one.seen
    assert marker.exists()


@pytest.mark.parametrize(
    ("server", "said"),
    [
        ({"command": "no-such-program-here"}, "there is no program 'no-such-program-here'"),
        ({"command": sys.executable, "env": ["RETORT_NO_SUCH_VARIABLE"]}, "$RETORT_NO_SUCH_VARIABLE, which is not set"),
    ],
)
async def test_an_mcp_program_that_is_not_there_is_told(server: dict[str, Any], said: str, tmp_path: Path) -> None:
    run = run_of(tmp_path, TEACHER, board={"mcp": {"thermometer": server}})
    (one,) = found(run, "broken")
    assert said in one.seen
    sections = await probe_all(run, seconds=5)
    assert said in the(sections, "mcp").seen


async def test_the_doctor_starts_the_servers_and_loads_the_tools(tmp_path: Path) -> None:
    pytest.importorskip("mcp")
    (tmp_path / "mine.py").write_text(GOOD, encoding="utf-8")
    board = {
        "tools": ["search", f"{tmp_path / 'mine.py'}:boil"],
        "mcp": {"thermometer": {"command": sys.executable, "args": [str(SERVER)]}},
    }
    sections = await probe_all(run_of(tmp_path, TEACHER, board=board), seconds=5)
    assert "search, boil, temperature" in the(sections, "tools").seen
    assert "corpus" in names(sections, "fine")


def test_a_key_that_an_arm_of_the_leaderboard_needs_is_missed_before_collecting(tmp_path: Path) -> None:
    teams = {**TEACHER, "other": {"reason": {"model": "openai:m@https://host.invalid/v1", "key_env": "RETORT_NO_KEY"}}}
    arms = {"arms": [{"name": "other", "team": "other"}]}
    run = run_of(tmp_path, teams, evaluate=arms)
    (one,) = found(run, "broken")
    assert "'RETORT_NO_KEY' is empty" in one.seen
    assert found(run_of(tmp_path, teams, evaluate={"arms": [{"name": "t", "team": "teacher"}]}), "broken") == []


def test_the_extras_of_every_stage_to_come_are_looked_at(tmp_path: Path) -> None:
    run = kettle_run(tmp_path)
    assert set(wanted(run.config, STAGES)) == {"train", "report"}
    assert set(wanted(run.config, ("index", "exam", "collect"))) == set()
    seat = {"reason": "openai:m@http://127.0.0.1:9/v1"}
    board = {"mcp": {"x": {"command": "y"}}}
    other = run_of(
        tmp_path, {**TEACHER, "rival": seat}, board=board, evaluate={"arms": [{"name": "r", "team": "rival"}]}
    )
    assert set(wanted(other.config, ("collect",))) == {"mcp"}
    assert set(wanted(other.config, STAGES)) == {"mcp", "openai", "report"}


def test_a_disk_that_is_too_small_is_broken(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "config.json").write_text('{"dtype": "bfloat16"}', encoding="utf-8")
    with (tmp_path / "base" / "model.safetensors").open("wb") as stream:
        stream.truncate(10**9)  # a hole: no space is taken
    student = {"base": str(tmp_path / "base"), "stages": ["sft"]}
    full = run_of(tmp_path, TEACHER, student=student, sft={"method": "full"}).config
    episodes = 4_000 * (full.exam.train * full.collect.samples + full.exam.test * len(full.arms()))
    assert disk_bytes(full, STAGES) == episodes + 28 * 10**9 / 2
    lora = run_of(tmp_path, TEACHER, student=student, sft={"method": "lora"}).config
    assert disk_bytes(lora, STAGES) == episodes
    assert disk_bytes(full, ("collect",)) == 4_000 * full.exam.train * full.collect.samples
    one = disk(tmp_path, 1e18)
    assert (one.severity, "takes 1000000000.0 GB or more" in one.seen) == ("broken", True)
    assert disk(tmp_path, 1.0).severity != "broken"


def test_a_run_plays_nothing_while_something_is_broken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETORT_TRUST", "1")  # the tool is ours
    config = CONFIG.replace("[evaluate]", '[board]\ntools = ["search", "mine.py:bake"]\n[evaluate]')
    path = folder_of(tmp_path, config) / "run.toml"
    (tmp_path / "mine.py").write_text(GOOD, encoding="utf-8")
    run = tmp_path / "run"
    assert main(["plan", str(path), "--run", str(run), "--trust"]) == 2
    assert "broken       tool: " in capsys.readouterr().out
    assert main(["run", str(path), "--run", str(run)]) == 2
    said = capsys.readouterr().err
    assert "nothing is played while this is broken" in said
    assert "has no 'bake'; it has boil" in said
    assert (run / "exam.jsonl").exists()
    assert not (run / "ledger.sqlite").exists()
    (tmp_path / "mine.py").write_text(GOOD.replace("boil", "bake"), encoding="utf-8")
    assert main(["collect", str(path), "--run", str(run), "--trust"]) == 0
    assert (run / "ledger.sqlite").exists()


def test_a_refusal_names_several_things(tmp_path: Path) -> None:
    board = {"tools": ["nothing", "neither"], "mcp": {"x": {"command": "no-such-program-here"}}}
    with pytest.raises(StageError) as caught:
        refuse_broken(run_of(tmp_path, TEACHER, board=board), STAGES)
    assert str(caught.value).count("\n  ") == 3


def test_plan_and_doctor_speak_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(folder_of(tmp_path) / "run.toml")
    assert main(["plan", path, "--run", str(tmp_path / "run"), "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert [each["name"] for each in plan["stages"]] == list(STAGES)
    assert (plan["broken"], plan["exam"], plan["played"]) == (False, False, [])
    assert main(["exam", path, "--run", str(tmp_path / "run")]) == 2  # index first
    assert main(["index", path, "--run", str(tmp_path / "run")]) == 0
    assert main(["exam", path, "--run", str(tmp_path / "run")]) == 0
    capsys.readouterr()
    assert main(["plan", path, "--run", str(tmp_path / "run"), "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    first = plan["played"][0]
    assert (first["name"], first["usd"], first["endpoint"]) == ("collect", None, False)
    assert first["calls"] > first["episodes"] > 0
    assert main(["plan", path, "--run", str(tmp_path / "run"), "--json", "--pilot", "4"]) == 0
    (part, *_) = json.loads(capsys.readouterr().out)["pilot"]["parts"]
    assert {each["name"] for each in part["forecasts"]} >= {"calls", "usd", "hours"}
    assert main(["doctor", path, "--run", str(tmp_path / "run"), "--json"]) == 0
    doctor = json.loads(capsys.readouterr().out)
    assert doctor["counts"]["broken"] == 0
    assert {"corpus", "machine"} <= {section["title"] for section in doctor["sections"]}


def test_the_leaderboard_speaks_json(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["leaderboard", str(whole / "run.toml"), "--run", str(whole / "run"), "--json"]) == 0
    board = json.loads(capsys.readouterr().out)
    assert {row["arm"] for row in board["rows"]} >= {"base", "student", "teacher"}
