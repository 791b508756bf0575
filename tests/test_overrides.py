"""`--set KEY=VALUE`: what it takes, what it refuses by name, and what it makes stale on a run folder."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from kettle_run import CONFIG, folder_of

from agents.errors import ConfigError
from retort.cli import main
from retort.config import RunConfig, load_config
from retort.overrides import from_mapping, parse

TEAMS = """
[teams.teacher]
reason = "scripted:answer-key"
[teams."second one"]
reason = { model = "hf:tiny-base", temperature = 0.5 }
[[evaluate.arms]]
name = "a"
team = "student"
[[evaluate.arms]]
name = "b"
team = "teacher"
"""


def loaded(root: Path, *given: str, config: str = CONFIG.replace("[evaluate]", "[dataset]\n[evaluate]")) -> RunConfig:
    """The kettle's config with --set."""
    folder_of(root, config)
    return load_config(root / "run.toml", [parse(text) for text in given])


def test_values_are_toml_and_plain_words_are_strings(tmp_path: Path) -> None:
    config = loaded(
        tmp_path,
        "exam.train=31",
        "exam.seed = 5",
        "sft.lr=1e-4",
        "sft.method=lora",
        'student.transport="text"',
        "tracing.langsmith=true",
        'evaluate.forms=["free"]',
        "board.limits.steps=3",
        "collect.faults.rate=0.25",
        "name=ablation-1",
        "sft.target=q_proj",
    )
    assert (config.exam.train, config.exam_seed(), config.sft.lr, config.sft.method) == (31, 5, 1e-4, "lora")
    assert (config.student.transport, config.tracing.langsmith, config.evaluate.forms) == ("text", True, ("free",))
    assert config.board.limits.steps == 3 and config.name == "ablation-1" and config.sft.target == "q_proj"
    assert config.collect.faults is not None and config.collect.faults.rate == 0.25
    assert config.exam.test == 40, "what is not set stays"


def test_team_names_seats_in_one_line_and_entries_of_lists(tmp_path: Path) -> None:
    config = loaded(
        tmp_path,
        "teams.teacher.reason.temperature=0.7",
        'teams."second one".reason.max_tokens=9',
        "teams.third.reason=openai:m@http://127.0.0.1:9/v1",
        "evaluate.arms.1.mode=cot",
        config=CONFIG.replace("[evaluate]\ntasks = 6\n", TEAMS),
    )
    teacher = config.teams["teacher"].reason
    assert (teacher.model, teacher.temperature) == ("scripted:answer-key", 0.7)
    second = config.teams["second one"].reason
    assert (second.max_tokens, second.temperature) == (9, 0.5)
    assert config.teams["third"].reason.model == "openai:m@http://127.0.0.1:9/v1"
    assert [arm.mode for arm in config.evaluate.arms] == ["react", "cot"]


def test_the_default_teacher_can_be_reached_into(tmp_path: Path) -> None:
    config = loaded(tmp_path, "teams.teacher.reason.temperature=0.5", "teams.other.reason=hf:tiny-base")
    assert config.teams["teacher"].reason.model == "scripted:answer-key"
    assert config.teams["teacher"].reason.temperature == 0.5
    assert list(config.teams) == ["teacher", "other"]


def test_python_values_are_taken_as_they_are(tmp_path: Path) -> None:
    folder_of(tmp_path)
    wanted = {"exam.train": 33, "evaluate.forms": ["choice"], "teams.teacher": {"reason": "hf:tiny-base"}}
    config = load_config(tmp_path / "run.toml", from_mapping(wanted))
    assert (config.exam.train, config.evaluate.forms) == (33, ("choice",))
    assert config.teams["teacher"].reason.model == "hf:tiny-base"


def test_paths_are_relative_to_the_config(tmp_path: Path) -> None:
    assert loaded(tmp_path, "corpus.manuals=pages").corpus.manuals == tmp_path / "pages"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("exam.trian=3", "--set exam.trian: unknown key 'exam.trian'; did you mean 'train'?"),
        ("exma.train=3", "--set exma.train: unknown key 'exma'; did you mean 'exam'?"),
        ("teams.teacher.reason.temprature=1", "did you mean 'temperature'?"),
        ("exam.train=many", "--set exam.train: exam.train: Input should be a valid integer"),
        ("exam.train=many", "(given: 'many')"),
        ("board.top_k=0", "--set board.top_k: board.top_k: Input should be greater than or equal to 1 (given: 0)"),
        ("collect.team=nobody", "--set collect.team: collect.team 'nobody' is not in [teams]"),
        ("exam", "--set exam: write --set KEY=VALUE"),
        ("=3", "write --set KEY=VALUE"),
        ("exam train=3", "--set exam train: that is no key"),
        ("exam.train=", "--set exam.train: nothing stands after ="),
        ("evaluate.forms=[1,", "--set evaluate.forms: not a TOML value"),
        ('name="a', "--set name: not a TOML value"),
        ("exam.train=3\n[board]\ntop_k=1", "--set exam.train: "),
        ("exam.train=nan", "--set exam.train is nan: give a number"),
        ("exam.train=99999999999999999", "--set exam.train is a number of more than 53 bits"),
        ("exam.train.more=3", "--set exam.train.more: exam.train is a value, not a table"),
        ("evaluate.arms.0.name=x", "--set evaluate.arms.0.name"),
    ],
)
def test_what_cannot_be_set_is_named(given: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, given)
    assert said in str(caught.value)


def test_the_end_of_a_list_is_told(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"--set evaluate.arms.2.name: evaluate.arms has no 2, its entries are 0 to 1"
    ):
        loaded(tmp_path, "evaluate.arms.2.name=x", config=CONFIG.replace("[evaluate]\ntasks = 6\n", TEAMS))


def test_a_fault_of_the_file_is_not_blamed_on_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, "exam.train=3", config=CONFIG + "taks = 3\n")
    assert str(caught.value).startswith(f"{tmp_path / 'run.toml'}: unknown key 'evaluate.taks'")


def test_a_file_that_only_an_override_makes_whole_is_taken(tmp_path: Path) -> None:
    assert loaded(tmp_path, "exam.train=30", config=CONFIG.replace("train = 60", 'train = "x"')).exam.train == 30


def test_a_key_given_as_a_value_is_not_shown(tmp_path: Path) -> None:
    secret = "sk-abcdefghijklmnop0123456789"
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, f"teams.teacher.reason.key_env={secret}")
    assert "--set teams.teacher.reason.key_env" in str(caught.value)
    assert secret not in str(caught.value)


def stages(plan: str) -> dict[str, list[str]]:
    """Stage -> state and reason, of a printed plan."""
    found: dict[str, list[str]] = {}
    for row in plan.splitlines():
        if row.startswith("  "):
            found.setdefault(row.split()[0], row.split(maxsplit=2)[1:])
    return found


def test_it_is_written_into_the_run_folder_and_makes_stale_what_depends_on_it(
    copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, run = str(copied / "run.toml"), str(copied / "run")
    before = (copied / "run" / "run.toml").read_bytes()
    assert main(["plan", config, "--run", run, "--set", "sft.max_steps=3"]) == 0
    shown = capsys.readouterr()
    rows = stages(shown.out)
    assert rows["sft"] == ["stale", "[sft] max_steps changed"]
    assert rows["cpt"][0] == "fresh" and rows["evaluate"] == ["stale", "sft is stale"]
    assert shown.err == f"{'set':<12} sft.max_steps = 3, in place of 2\n"
    assert (copied / "run" / "run.toml").read_bytes() == before, "a plan writes nothing"

    assert main(["dataset", run, "--set", "dataset.per_task=2", "--set", "sft.max_steps=3"]) == 0
    shown = capsys.readouterr()
    assert f"{'set':<12} dataset.per_task = 2, in place of" in shown.err
    assert "[dataset] per_task changed" in shown.err
    written = tomllib.loads((copied / "run" / "run.toml").read_text(encoding="utf-8"))
    assert (written["dataset"]["per_task"], written["sft"]["max_steps"]) == (2, 3)

    assert main(["plan", run]) == 0
    rows = stages(capsys.readouterr().out)
    assert rows["dataset"][0] == "fresh" and "[sft] max_steps" in rows["sft"][1]
    assert main(["plan", config, "--run", run]) == 0
    assert "dataset      stale    [dataset] per_task changed" in capsys.readouterr().out


def test_ask_takes_it_too(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    question = json.loads((copied / "run" / "exam.jsonl").read_text(encoding="utf-8").splitlines()[0])["question"]
    line = ["ask", str(copied / "run"), question, "--team", "teacher"]
    assert main([*line, "--set", "board.limits.steps=1"]) == 1
    assert "limit:steps" in capsys.readouterr().out
    assert main(line) == 0
    assert main([*line, "--set", "board.limit.steps=1"]) == 2
    assert "did you mean 'limits'?" in capsys.readouterr().err


def test_the_command_line_names_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder_of(tmp_path)
    for command in ("run", "plan", "doctor", "train"):
        assert main([command, str(tmp_path / "run.toml"), "--set", "exam.trian=1"]) == 2
        assert "retort: --set exam.trian: unknown key 'exam.trian'; did you mean 'train'?" in capsys.readouterr().err
