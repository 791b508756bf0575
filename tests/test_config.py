"""run.toml: unknown keys, wrong values and missing files are named, with the next thing to do."""

from __future__ import annotations

import tomllib
from pathlib import Path

import little
import pytest

from agents.errors import ConfigError, FolderError, StageError
from retort.cli import main
from retort.config import load_config, write_resolved
from retort.new import new

GOOD = 'name = "x"\n[corpus]\nsource = "stdlib"\n'


def written(folder: Path, text: str) -> Path:
    """A run.toml with that text."""
    path = folder / "run.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GOOD + "[exm]\n", "unknown key 'exm'; did you mean 'exam'?"),
        (GOOD + "[board]\ntopk = 3\n", "unknown key 'board.topk'; did you mean 'top_k'?"),
        (GOOD + "[board.limits]\nstep = 3\n", "unknown key 'board.limits.step'; did you mean 'steps'?"),
        (GOOD + "[collect]\nzzz = 1\n", "unknown key 'collect.zzz'; known here: choice, concurrency, enough"),
        (GOOD + '[teams.a]\nreason = {model = "hf:x", temprature = 1}\n', "did you mean 'temperature'?"),
        (GOOD + '[teams.a]\nreasn = "hf:x"\n', "did you mean 'reason'?"),
        (GOOD + '[[evaluate.arms]]\nname = "a"\nteem = "student"\n', "did you mean 'team'?"),
        (GOOD + "[board]\ntop_k = 0\n", "board.top_k: Input should be greater than or equal to 1 (given: 0)"),
        (GOOD + '[collect]\nteam = "nobody"\n', "'nobody' is not in [teams]"),
        (GOOD + '[teams.teacher]\nreason = "opnai:x"\n', "opnai:x"),
        (GOOD + '[[evaluate.arms]]\nname = "a"\nteam = "nobody"\n', "'nobody' is not one of"),
        (GOOD + "[student]\nstages = []\n", "[teams.student] must say who plays"),
        ('name = "../../etc"\n[corpus]\nsource = "stdlib"\n', "name: String should match pattern"),
        ('name = "x"\n[corpus]\nmanuals = "m"\n', 'manuals needs facts = "facts.jsonl"'),
        ('name = "x"\n[corpus]\n', 'give manuals = "FOLDER" with facts = "FILE", or a source: stdlib'),
        ("name = \n", "is not TOML"),
        ('name = "x"\n', "corpus: Field required"),
    ],
)
def test_what_is_wrong_is_named(text: str, said: str, tmp_path: Path) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_missing_file_tells_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="retort new DIR"):
        load_config(tmp_path / "run.toml")


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    little.write_microdomain(tmp_path)
    path = written(tmp_path, 'name = "x"\n[corpus]\nmanuals = "manual"\nfacts = "facts.jsonl"\n')
    config = load_config(path)
    assert config.corpus.manuals == tmp_path / "manual"
    assert config.corpus.facts == tmp_path / "facts.jsonl"


def test_the_resolved_config_reads_back_the_same(tmp_path: Path) -> None:
    little.write_microdomain(tmp_path)
    text = 'name = "x"\n[corpus]\nmanuals = "manual"\nfacts = "facts.jsonl"\n[teams.teacher]\nreason = "hf:tiny-base"\n'
    config = load_config(written(tmp_path, text))
    write_resolved(config, tmp_path / "run")
    assert load_config(tmp_path / "run") == config
    other = config.model_copy(update={"name": "y"})
    with pytest.raises(StageError, match="holds the run 'x', not 'y'"):
        write_resolved(other, tmp_path / "run")


def test_new_writes_a_commented_config_that_loads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "my kettle"
    assert main(["new", str(folder), "--bare"]) == 0
    assert [path.name for path in folder.iterdir()] == ["run.toml"]
    assert "retort plan" in capsys.readouterr().out
    text = (folder / "run.toml").read_text()
    assert text.count("#") > 15
    little.write_microdomain(folder)
    config = load_config(folder / "run.toml")
    assert config.name == "my-kettle"
    assert config.teams["teacher"].reason.model == "scripted:answer-key"
    with pytest.raises(FolderError, match="already, which stays as it is"):
        new(folder)


def test_every_commented_default_of_the_template_is_the_default(tmp_path: Path) -> None:
    """Taking the comment signs off changes nothing: the template shows what is so."""
    new(tmp_path / "a", sample=False)
    text = (tmp_path / "a" / "run.toml").read_text()
    lines = []
    for line in text.splitlines():
        bare = line.removeprefix("# ")
        shown = line.startswith("# ") and (" = " in bare.split("  ")[0] or bare.startswith("[board.limits]"))
        prose = bare.startswith(("  ", "Every", "A seat", "honest", "name", "team", "mode", "The default"))
        lines.append(bare if shown and not prose else line)
    tomllib.loads("\n".join(lines))
    plain = load_config(tmp_path / "a" / "run.toml")
    (tmp_path / "b").mkdir()
    shown_config = load_config(written(tmp_path / "b", "\n".join(lines)))
    same = {"exam", "board", "collect", "student", "sft", "evaluate", "seed"}
    assert shown_config.model_dump(include=same) == plain.model_dump(include=same)
    assert lines != text.splitlines()


def test_the_command_line_prints_errors_without_a_trace(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(tmp_path / "none.toml")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("retort: ")
    assert "Traceback" not in said
