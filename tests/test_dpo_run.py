"""The whole line with DPO behind SFT: pairs of its own ledger, a stage, a student, and a row of the leaderboard."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from kettle_run import CONFIG, folder_of

from agents.files import read_json, read_jsonl
from evals.report.material import proofs as material_proofs
from evals.report.material import trainings
from finetune.methods import BUILTIN, in_order, method, sources_of
from graphs.runner.ledger import Ledger
from retort.cli import main
from retort.config import load_config
from retort.pipeline import Run
from retort.stages import states
from retort.table import stages_of

ROOT = Path(__file__).resolve().parents[1]
MORE = """
[collect]
samples = 3
[teams.teacher]
reason = "scripted:answer-key?errors=0.25"
[dpo]
method = "full"
max_steps = 3
batch = 2
lr = 1e-4
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose run went from manuals to leaderboard with three trainings."""
    text = CONFIG.replace("[student]\n", '[student]\nstages = ["cpt", "sft", "dpo"]\n').replace(
        "tasks = 6", "tasks = 3"
    )
    root = folder_of(tmp_path_factory.mktemp("dpo"), text + MORE)
    assert main(["run", str(root / "run.toml"), "--run", str(root / "run")]) == 0
    return root


def test_pairs_come_from_siblings_of_the_ledger(home: Path) -> None:
    run = home / "run"
    rows = read_jsonl(run / "data" / "dpo.jsonl")
    assert len(rows) >= 10
    assert read_json(run / "dataset.json", "dataset")["rows"] == {"dpo": len(rows)}
    kept = {row["key"] for row in read_jsonl(run / "kept.jsonl")}
    with Ledger(run / "ledger.sqlite") as ledger:
        for row in rows:
            good, bad = ledger.episode(row["key"]), ledger.episode(row["rejected_key"])
            assert good.task_id == bad.task_id == row["task_id"] and good.sample != bad.sample
            assert good.verdict.accepted and good.key in kept | {row["key"]}
            assert row["chosen"] != row["rejected"]
            assert row["messages"][-1]["role"] in ("user", "tool")
    assert {row["turn"] for row in rows} >= {2, 4}, "at the first turn, and behind a search"
    text = (run / "data" / "dpo.jsonl").read_text()
    assert not [name for name in read_json(run / "held_out.json", "exam")["entities"] if name in text]
    leak = read_json(run / "leaks.json", "dataset")[0]
    files = [len(read_jsonl(run / "data" / f"{name}.jsonl")) for name in ("sft", "cpt", "dpo")]
    assert leak["passed"] and leak["numbers"]["texts"] == sum(files)


def test_the_student_before_and_after_is_a_row_each(home: Path) -> None:
    rows = read_json(home / "run" / "leaderboard.json", "leaderboard")["rows"]
    assert [(row["arm"], row["player"]) for row in rows] == [
        ("base", "base"),
        ("base+cpt", "base+cpt"),
        ("base+cpt+sft", "base+cpt+sft"),
        ("student", "student"),
        ("student closed book", "student"),
        ("teacher", "teacher"),
    ]
    seats = {row["arm"]: row["seat"].rpartition("/")[2] for row in rows}
    assert (seats["base+cpt"], seats["base+cpt+sft"], seats["student"]) == ("cpt", "sft", "dpo")
    hows = {row["arm"]: row["also"].get("choice", {}).get("how") for row in rows}
    assert (hows["base+cpt"], hows["base+cpt+sft"], hows["student"]) == ("likelihood", "graph", "graph")
    assert "?errors=0.25" in rows[-1]["seat"] and rows[-1]["demonstrator"]


def test_the_stages_the_report_and_the_proofs(home: Path) -> None:
    run = home / "run"
    config = load_config(home / "run.toml")
    assert [stage.name for stage in stages_of(config)][3:7] == ["dataset", "cpt", "sft", "dpo"]
    assert set(states(config, run).values()) == {"fresh"}
    story = read_json(run / "students" / "dpo" / "training.json", "train")
    assert story["base"].endswith("students/sft")
    assert story["rows"] == len(read_jsonl(run / "data" / "dpo.jsonl"))
    proofs = read_json(run / "students" / "dpo" / "proofs.json", "train")
    assert {"template", "mask"} < {each["name"] for each in proofs} and all(each["passed"] for each in proofs)
    assert [row["student"] for row in trainings(run)] == ["cpt", "sft", "dpo"]
    assert [each.of for each in material_proofs(run) if each.name == "saved"] == ["cpt", "sft", "dpo"]


def test_what_makes_dpo_stale(home: Path, tmp_path: Path) -> None:
    run = home / "run"
    text = (home / "run.toml").read_text()
    other = home / "other.toml"
    try:
        other.write_text(text.replace("lr = 1e-4", "lr = 2e-4"))
        found = states(load_config(other), run)
        assert {name for name, state in found.items() if state == "stale"} == {"dpo", "evaluate", "leaderboard"}
        other.write_text(text.replace("max_steps = 2\nbatch", "max_steps = 3\nbatch"))
        found = states(load_config(other), run)
        assert {name for name, state in found.items() if state == "stale"} == {"sft", "dpo", "evaluate", "leaderboard"}
        other.write_text(text.replace('"sft", "dpo"]', '"sft"]'))
        found = states(load_config(other), run)
        assert (found["collect"], found["dataset"]) == ("fresh", "stale"), "its counts tell of the pairs"
        assert "dpo" not in found
    finally:
        other.unlink()


def test_a_run_without_dpo_misses_its_rows_once_it_is_named(whole: Path, tmp_path: Path) -> None:
    assert not (whole / "run" / "data" / "dpo.jsonl").exists()
    (tmp_path / "run.toml").write_text(
        (whole / "run.toml")
        .read_text()
        .replace("[student]\n", '[student]\nstages = ["cpt", "sft", "dpo"]\n')
        .replace('"manual"', f'"{whole / "manual"}"')
        .replace('"facts.jsonl"', f'"{whole / "facts.jsonl"}"')
    )
    found = states(load_config(tmp_path / "run.toml"), whole / "run")
    assert (found["collect"], found["dataset"], found["dpo"]) == ("fresh", "missing", "missing")


def test_every_model_of_the_chain_is_a_team(home: Path) -> None:
    run = Run(load_config(home / "run.toml"), home / "run")
    assert run.config.team_names() == ["base", "cpt", "sft", "student", "teacher"]
    assert run.team("sft").reason.model == f"hf:{home / 'run' / 'students' / 'sft'}"
    assert run.team("student").reason.model == f"hf:{home / 'run' / 'students' / 'dpo'}"


def test_no_method_is_named_outside_its_own_file() -> None:
    """Must show 3: names stand in the methods' files, in the registry's list, and in the defaults of the config."""
    own = {path for name in BUILTIN for path in sources_of(name)}
    named = re.compile("|".join(f"[\"']{name}[\"']" for name in BUILTIN))
    found = {}
    for room in ("agents", "graphs", "distill", "finetune", "evals", "retort"):
        for path in sorted((ROOT / room).rglob("*.py")):
            lines = [line for line in path.read_text(encoding="utf-8").splitlines() if named.search(line)]
            if lines and path not in own:
                found[path.relative_to(ROOT).as_posix()] = lines
    allowed = {"finetune/methods.py": 1, "retort/config.py": 1}
    assert {name: len(lines) for name, lines in found.items() if len(lines) > allowed.get(name, 0)} == {}, found


def test_orders_of_stages() -> None:
    assert in_order(("cpt", "sft", "dpo")) is None
    assert in_order(("dpo",)) is None
    assert in_order(()) is None
    assert "'cpt' learns plain text, which would undo 'dpo'" in (in_order(("sft", "dpo", "cpt")) or "")
    assert method("dpo").name == "dpo"
