"""Freshness by content: what makes which stage stale, what does not, and what plan and run say of it."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import silence
from kettle_run import CONFIG, folder_of
from openai_server import serving

from agents.files import read_json
from agents.models.scripted import Scripted, open_scripted
from retort.cli import main
from retort.config import load_config
from retort.pipeline import Run
from retort.stages import Found, looked_at, sources, states

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("agents", "distill", "evals", "finetune", "graphs", "recipes", "retort")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project's packages whose source a test may edit."""
    root = tmp_path_factory.mktemp("project")
    for room in ROOMS:
        shutil.copytree(ROOT / room, root / room, ignore=shutil.ignore_patterns("__pycache__"))
    return root


def seen(root: Path, project: Path | None = None) -> dict[str, Found]:
    """The stages of the run in `root`."""
    run = Run(load_config(root / "run.toml"), root / "run")
    return looked_at(run, sources(run.config, project) if project else None)


def stale(found: dict[str, Found]) -> dict[str, str]:
    """Stage -> reason of those that are stale for a reason of their own."""
    own = {name: what.why.partition("; ")[0] for name, what in found.items() if what.state != "fresh"}
    return {name: why for name, why in own.items() if not why.endswith(("is stale", "is missing"))}


def edited(root: Path, text: str) -> None:
    """Give the run another config."""
    (root / "run.toml").write_text(text, encoding="utf-8")


CODE = {
    "agents/prompts/react.txt": {"collect", "dataset", "evaluate"},
    "agents/models/gate.py": {"collect", "dataset", "evaluate"},
    "agents/models/hf.py": {"collect", "dataset", "cpt", "sft", "evaluate"},
    "agents/corpus/sources/stdlib.py": {"index", "exam"},
    "distill/exam/build.py": {"exam"},
    "graphs/runner/worker.py": {"collect", "evaluate"},
    "distill/keep.py": {"dataset"},
    "distill/leaks.py": {"dataset"},
    "finetune/pretrain.py": {"cpt"},
    "finetune/sft.py": {"sft"},
    "finetune/dpo.py": set(),
    "finetune/methods.py": {"cpt", "sft"},
    "distill/pairs.py": set(),
    "finetune/trainer.py": {"cpt", "sft"},
    "evals/scores.py": {"evaluate", "leaderboard"},
    "evals/report/page.html.jinja": {"leaderboard"},
    "retort/cli.py": set(),
    "retort/show.py": set(),
    "graphs/checkpoints.py": set(),
}


@pytest.mark.parametrize("file", CODE)
def test_source_makes_stale_what_it_makes(file: str, whole: Path, project: Path) -> None:
    path = project / file
    before = path.read_text(encoding="utf-8")
    assert set(stale(seen(whole, project))) == set(), "the same source elsewhere is the same source"
    try:
        path.write_text(before + "\n# another\n", encoding="utf-8")
        found = stale(seen(whole, project))
    finally:
        path.write_text(before, encoding="utf-8")
    # An hf player's own code is named with its seat as well.
    assert found.keys() == CODE[file]
    assert all(file in why and why.endswith(" changed") for why in found.values())


def test_a_stage_looks_at_its_own_function_of_work_py(whole: Path, project: Path) -> None:
    path = project / "retort" / "work.py"
    before = path.read_text(encoding="utf-8")
    try:
        path.write_text(before.replace("def exam(run: Run) -> str:\n", "def exam(run: Run) -> str:\n    # another\n"))
        found = stale(seen(whole, project))
    finally:
        path.write_text(before, encoding="utf-8")
    assert found == {"exam": "retort/work.py:exam changed"}


def test_what_follows_a_stale_stage_says_so(copied: Path) -> None:
    edited(copied, CONFIG.replace("max_steps = 2\nbatch", "max_steps = 3\nbatch"))
    found = seen(copied)
    assert found["sft"].why == "[sft] max_steps changed"
    assert found["evaluate"].why == "sft is stale"
    assert found["leaderboard"].why == "evaluate is stale"
    assert found["dataset"].state == "fresh"


TEACHER = '[teams.teacher]\nreason = {{ model = "scripted:answer-key", {} }}'
SETTINGS: dict[str, dict[str, str]] = {
    "[collect]\nsamples = 2": {"collect": "[collect] samples changed", "dataset": "[collect] samples changed"},
    "[board]\ntop_k = 1": {"collect": "[board] top_k changed", "evaluate": "[board] top_k changed"},
    "[board.limits]\nsteps = 5": {"collect": "[board.limits] steps changed"},
    "[dataset]\nper_task = 2": {"dataset": "[dataset] per_task changed"},
    TEACHER.format("temperature = 0.5"): {
        "collect": "[teams.teacher] reason.temperature changed",
        "evaluate": "[teams.teacher] reason.temperature changed",
    },
    "[collect]\nconcurrency = 3\nworkers = 2": {},
    TEACHER.format("timeout = 5, concurrency = 3, price = { prompt = 2 }"): {},
    f'{TEACHER.format("max_tokens = 256")}\n[teams.other]\nreason = "openai:m@http://127.0.0.1:9/v1"': {},
    "[budget]\nusd = 3": {},
}


@pytest.mark.parametrize("section", SETTINGS)
def test_settings_make_stale_what_they_change(section: str, copied: Path) -> None:
    edited(copied, CONFIG.replace("[exam]", f"{section}\n[exam]"))
    found = stale(seen(copied))
    assert {name: found.get(name) for name in SETTINGS[section]} == SETTINGS[section]
    if not SETTINGS[section]:
        assert not found


def test_a_changed_key_of_the_exam_is_named(copied: Path) -> None:
    edited(copied, CONFIG.replace("train = 60", "train = 61"))
    assert stale(seen(copied)) == {"exam": "[exam] train changed"}


def test_the_run_folders_own_config_says_the_same(copied: Path) -> None:
    """The exam has the run's seed where it has none of its own, and so it is in the config that the run keeps."""
    edited(copied, "seed = 7\n" + CONFIG)
    run = Run(load_config(copied / "run.toml"), copied / "run")
    assert stale(looked_at(run))["exam"] == "[exam] seed changed"
    assert retort("exam", copied).returncode == 0
    again = Run(load_config(copied / "run"), copied / "run")
    assert states(again.config, run.folder)["exam"] == "fresh"


def test_the_corpus_goes_by_content_and_relative_path(copied: Path, tmp_path: Path) -> None:
    manual = copied / "manual"
    for path in [*manual.iterdir(), copied / "facts.jsonl"]:
        os.utime(path, (1, 1))
    assert not stale(seen(copied))
    shutil.copytree(manual, tmp_path / "elsewhere" / "manual")
    shutil.copy(copied / "facts.jsonl", tmp_path / "elsewhere")
    edited(copied, CONFIG.replace('"manual"', '"../elsewhere/manual"').replace('"facts', '"../elsewhere/facts'))
    assert not stale(seen(copied))
    page = tmp_path / "elsewhere" / "manual" / "pump.md"
    stat = page.stat()
    page.write_text(page.read_text().replace("pump", "bump", 1))
    os.utime(page, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert page.stat().st_size == stat.st_size
    assert stale(seen(copied)) == {"index": "the manuals changed"}
    page.write_text(page.read_text().replace("bump", "pump", 1))
    page.rename(page.with_name("pumps.md"))
    assert stale(seen(copied)) == {"index": "the manuals changed"}


def test_a_file_that_is_no_page_changes_nothing(copied: Path) -> None:
    (copied / "manual" / "picture.png").write_bytes(b"no page")
    assert not stale(seen(copied))


def retort(command: str, root: Path, project: Path = ROOT, *more: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the project in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": silence.path(project)}
    line = [sys.executable, "-m", "retort", command, str(root / "run.toml"), "--run", str(root / "run"), *more]
    return subprocess.run(line, cwd=project, capture_output=True, text=True, env=environment)


def test_plan_and_run_say_what_changed_and_the_rest_stays(copied: Path, project: Path) -> None:
    """A comment in the filters has the dataset made again; it comes out as it was, so nothing is trained or played."""
    path = project / "distill" / "keep.py"
    before = path.read_text(encoding="utf-8")
    try:
        path.write_text(before + "\n# another\n", encoding="utf-8")
        planned = retort("plan", copied, project)
        ran = retort("run", copied, project)
        again = retort("plan", copied, project)
    finally:
        path.write_text(before, encoding="utf-8")
    rows = {
        line.split()[0]: line.split(maxsplit=2)[1:] for line in planned.stdout.splitlines() if line.startswith("  ")
    }
    assert rows["dataset"] == ["stale", "distill/keep.py changed"]
    assert rows["collect"] == ["fresh", "nothing to do"]
    assert ran.returncode == 0, ran.stderr
    assert "(distill/keep.py changed)" in ran.stderr
    assert ran.stderr.count("fresh") == 7, ran.stderr
    assert again.stdout.count("nothing to do") == 8


def test_plan_of_a_finished_run_is_quick(whole: Path) -> None:
    """Under 2 s of CPU, the best of three: other tests share the machine, so its clock tells little."""
    times = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert retort("plan", whole).returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(times) < 2


def test_what_changes_while_a_stage_is_done_makes_it_stale(tmp_path: Path) -> None:
    """Parts are those of before: what was read may have been the old or the new."""
    root = folder_of(tmp_path)
    for stage in ("index", "exam"):
        assert main([stage, str(root / "run.toml"), "--run", str(root / "run")]) == 0
    exam = root / "run" / "exam.jsonl"
    seat = open_scripted("answer-key", str(exam))
    assert isinstance(seat, Scripted)

    def fault(number: int, body: dict[str, Any]) -> None:
        if number == 3:
            exam.write_text(exam.read_text() + "\n")

    with serving(seat, fault=fault) as server:
        edited(root, CONFIG + f'[teams.teacher]\nreason = "openai:m@{server.url}"\n')
        assert main(["collect", str(root / "run.toml"), "--run", str(root / "run")]) == 0
    found = seen(root)
    assert found["collect"].why == "exam.jsonl changed; exam is stale"
    assert found["exam"].why == "exam.jsonl is not what the stage made"


def test_stages_json_has_the_named_parts(whole: Path) -> None:
    marks = read_json(whole / "run" / "stages.json", "run")
    assert {"config.exam.train", "code.distill/exam/build.py", "file.facts.jsonl"} <= set(marks["exam"]["parts"])
    assert {"team.student.reason.weights", "code.agents/prompts/react.txt"} <= set(marks["evaluate"]["parts"])
    assert "weights.base" in marks["cpt"]["parts"]
    assert marks["exam"]["made"]["exam.jsonl"]["size"] == (whole / "run" / "exam.jsonl").stat().st_size
    assert marks["collect"]["made"]["ledger.sqlite"]["episodes"] > 0


def test_a_run_of_an_older_version_is_stale(copied: Path) -> None:
    path = copied / "run" / "stages.json"
    path.write_text('{"index": {"fingerprint": "x", "seconds": 1}, "exam": 3}')
    found = seen(copied)
    assert (found["index"].state, found["exam"].state) == ("stale", "missing")
    assert "another version" in found["index"].why
