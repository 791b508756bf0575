"""The training method of docs/extending/training-methods.md, as it stands there, in a whole run of a user's own."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from kettle_run import CONFIG, folder_of

from agents.errors import ConfigError
from agents.files import read_json
from retort.cli import main
from retort.config import RunConfig, load_config
from retort.pipeline import Run
from retort.plan import plan
from retort.stages import looked_at
from retort.table import stage_of, stages_of
from retort.trust import named

PAGE = Path(__file__).resolve().parents[1] / "docs" / "extending" / "training-methods.md"
CODE, USE, OFFER = re.findall(r"```(?:python|toml)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the example beside run.toml."""
    stages = re.search(r"stages = .*\n", USE)
    assert stages
    section = USE.partition("[Curriculum]")[2]
    config = CONFIG.replace("[student]\n", f"[student]\n{stages.group(0)}") + f"[Curriculum]{section}"
    root = folder_of(tmp_path_factory.mktemp("own"), config.replace("tasks = 6", "tasks = 2"))
    (root / "curriculum.py").write_text(CODE, encoding="utf-8")
    return root


def run_of(home: Path) -> Run:
    return Run(load_config(home / "run.toml"), home / "run", home / "run.toml")


def test_reading_a_config_runs_no_code_of_the_users(tmp_path: Path) -> None:
    root = folder_of(
        tmp_path, CONFIG.replace("[student]\n", '[student]\nstages = ["mine.py:Mine"]\n') + "[Mine]\nx = 1\n"
    )
    (root / "mine.py").write_text("raise SystemExit('it ran')\n")
    config = load_config(root / "run.toml")
    assert config.student.stages == (f"{root / 'mine.py'}:Mine",)
    assert config.student.trainings == ("Mine",)
    assert [arm.name for arm in config.arms()] == ["base", "student", "student closed book", "teacher"]
    assert [each.description for each in named(config)] == [
        f"the training method {root / 'mine.py'}:Mine: the code of its file runs here"
    ]
    assert main(["plan", str(root / "run.toml")]) == 2, "it is asked about first"


def test_the_example_trains_and_is_a_row_of_the_leaderboard(home: Path) -> None:
    assert main(["run", str(home / "run.toml"), "--run", str(home / "run"), "--trust"]) == 0
    run = run_of(home)
    assert [stage.name for stage in stages_of(run.config)][4:6] == ["cpt", "Curriculum"]
    story = read_json(home / "run" / "students" / "Curriculum" / "training.json", "train")
    assert (story["kind"], story["steps"]) == ("Curriculum", 4)
    assert story["config"]["longest_first"] is False
    rows = read_json(home / "run" / "leaderboard.json", "leaderboard")["rows"]
    assert [(row["arm"], row["player"]) for row in rows][:3] == [
        ("base", "base"),
        ("base+cpt", "base+cpt"),
        ("student", "student"),
    ]
    assert rows[2]["seat"].endswith("students/Curriculum")
    text, status = plan(run)
    assert status == 0 and "Curriculum   fresh" in text
    again = load_config(home / "run")
    assert again.training("Curriculum") == run.config.training("Curriculum")


def test_a_change_of_its_file_or_section_makes_it_stale(home: Path) -> None:
    if not (home / "run" / "stages.json").exists():
        pytest.skip("the run of the test before is missing")
    path = home / "curriculum.py"
    before = path.read_text()
    try:
        path.write_text(before + "# another\n")
        assert looked_at(run_of(home))["Curriculum"].why == "the training method's curriculum.py changed"
    finally:
        path.write_text(before)
    text = (home / "run.toml").read_text()
    try:
        (home / "run.toml").write_text(text.replace("max_steps = 4", "max_steps = 5"))
        assert looked_at(run_of(home))["Curriculum"].why == "[Curriculum] max_steps changed"
        (home / "run.toml").write_text(text.replace("max_steps = 4", "max_steps = 4\nlongest = true"))
        with pytest.raises(ConfigError, match=r"Curriculum\.longest: Extra inputs are not permitted"):
            run_of(home).config.training("Curriculum")
    finally:
        (home / "run.toml").write_text(text)


def test_stages_of_an_own_method_follow_its_class(home: Path) -> None:
    stage = stage_of(load_config(home / "run.toml"), "Curriculum")
    assert stage.does == "episodes, the short ones first -> student"
    assert stage.needs == ("dataset", "cpt")
    assert stage.reads == ("data/sft.jsonl",)
    assert "finetune/sft.py" in stage.code, "what it is made of"
    assert "!finetune/dpo.py" in stage.code


def test_another_package_offers_one_by_the_entry_point_of_the_page() -> None:
    from finetune.methods import methods

    assert f'[project.entry-points."{methods.group}"]' in OFFER


def test_sections_are_read_by_their_methods() -> None:
    data = {"name": "x", "corpus": {"source": "stdlib"}}
    config = RunConfig.model_validate({**data, "student": {"stages": ["sft", "dpo"]}, "dpo": {"beta": 0.3}})
    assert config.training("dpo").model_dump()["beta"] == 0.3
    assert [name for name, _ in config.trainings()] == ["sft", "dpo"]
    assert [arm.name for arm in config.arms()] == ["base", "base+sft", "student", "student closed book", "teacher"]
    assert json.loads(config.model_dump_json())["dpo"]["beta"] == 0.3
    assert RunConfig.model_validate(json.loads(config.model_dump_json())) == config
