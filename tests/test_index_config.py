"""[index] of run.toml: resolved, hashed into stages and board, told by plan and doctor, agreed to where code runs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import little
import pytest
import silence
from embedding_models import embedding, static_model
from kettle_run import CONFIG, folder_of

from agents.corpus.indexes import IndexConfig
from agents.corpus.library import Library
from agents.errors import ConfigError
from agents.models.meter import Budget
from graphs.board import board_hash, board_parts
from retort.cli import main
from retort.config import load_config
from retort.doctor.before import index_findings
from retort.pipeline import Run
from retort.stages import looked_at, parts_of
from retort.table import STAGES
from retort.trust import named, trained

ROOT = Path(__file__).resolve().parents[1]
OWN = '''"""An index of the user's own."""

from agents.corpus.indexes import Index, IndexSettings

class Titles(Index):
    """Chunks whose title holds a word of the query."""

    class Settings(IndexSettings):
        """[index] of this kind."""
        factor: float = 1.0

    def search(self, query, k):
        """In the order of the corpus."""
        words = {word.strip("`?.,") for word in query.casefold().split()}
        found = [(len(words & set(chunk.title.casefold().split())), chunk) for chunk in self.chunks]
        best = sorted((pair for pair in found if pair[0]), key=lambda pair: -pair[0])
        return [(chunk, self.settings.factor * count) for count, chunk in best][:k]
'''


def with_index(root: Path, section: str) -> Path:
    """The kettle's folder with an [index]."""
    return folder_of(root, CONFIG.replace("[exam]", f"{section}\n[exam]"))


def command(root: Path, *words: str) -> int:
    """A command on the run of a folder."""
    return main([words[0], str(root / "run.toml"), "--run", str(root / "run"), *words[1:]])


def test_two_indexes_are_two_boards(kettle: Path, tmp_path: Path) -> None:
    model = static_model(tmp_path / "model")
    dense = {"kind": "dense", "model": str(model)}
    every = [
        IndexConfig(),
        IndexConfig.model_validate({"kind": "bm25", "b": 0.5}),
        IndexConfig.model_validate(dense),
        IndexConfig.model_validate({**dense, "query_prefix": "query "}),
        IndexConfig.model_validate({"kind": "hybrid", "parts": {"words": {"kind": "bm25"}, "vectors": dense}}),
    ]
    chunks = Library.open(kettle / "library").chunks
    found = []
    for number, config in enumerate(every):
        run = shutil.copytree(kettle, tmp_path / str(number))
        Library.of(chunks, config).save(run / "library")
        found.append(board_parts(little.context(run)))
        assert board_hash(little.context(run)) == board_hash(little.context(run))
    plain = board_parts(little.context(kettle))
    assert found[0] == plain
    for parts in found[1:]:
        assert {name for name in parts if parts[name] != plain[name]} == {"index"}
    assert len({parts["index"] for parts in found}) == len(every)


def test_a_run_with_a_dense_index_and_what_makes_it_stale(tmp_path: Path) -> None:
    static_model(tmp_path / "models" / "static")
    root = with_index(tmp_path, '[index]\nkind = "dense"\nmodel = "models/static"')
    for stage in ("index", "exam", "collect"):
        assert command(root, stage) == 0
    run = Run(load_config(root / "run.toml"), root / "run")
    assert run.config.index.options["model"] == str(root / "models" / "static")
    assert load_config(root / "run").index == run.config.index, "the run folder's own config says the same"
    found = looked_at(run)
    assert [found[name].state for name in ("index", "exam", "collect")] == ["fresh"] * 3
    static_model(tmp_path / "models" / "static", scale=2.0)
    assert looked_at(run)["index"].why == "the model of the dense index changed"
    (root / "run.toml").write_text(CONFIG)
    other = Run(load_config(root / "run.toml"), root / "run")
    assert "[index] kind" in looked_at(other)["index"].why
    assert command(root, "index") == 0
    now = looked_at(other)
    assert now["index"].state == now["exam"].state == "fresh", "the same chunks make the same exam"
    assert now["collect"].why == "library/library.json changed"


def test_where_vectors_are_made_faster_is_no_other_library(tmp_path: Path) -> None:
    static_model(tmp_path / "model")
    made = []
    for batch in (8, 16):
        root = with_index(tmp_path, f'[index]\nkind = "dense"\nmodel = "model"\nbatch = {batch}')
        assert command(root, "index") == 0
        made.append((root / "run" / "library" / "library.json").read_bytes())
    assert made[0] == made[1]


def test_a_wrong_key_is_told_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"index: unknown key 'modle' .*did you mean 'model'\?"):
        load_config(with_index(tmp_path, '[index]\nkind = "dense"\nmodle = "x"') / "run.toml")
    with pytest.raises(ConfigError, match=r"no index is named 'dens'; .*did you mean 'dense'\?"):
        load_config(with_index(tmp_path, '[index]\nkind = "dens"') / "run.toml")


def test_the_plan_says_what_an_index_lacks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(with_index(tmp_path, '[index]\nkind = "dense"\nmodel = "gone"'), "plan") == 2
    said = capsys.readouterr().out
    assert "broken       model_missing: [index] model: there is no folder 'gone'" in said
    (tmp_path / "gone").mkdir()
    assert command(tmp_path, "plan") == 2
    assert "is no embedding model" in capsys.readouterr().out


def test_a_silent_endpoint_and_an_empty_key_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    with embedding() as server:
        url = server.url

        def findings(**rest: object) -> list[str]:
            config = IndexConfig.model_validate({"kind": "dense", "model": "m", "url": url, **rest})
            budget = Budget(usd=2)
            return [f"{each.severity} {each.name}" for each in index_findings(config, budget)]

        assert findings(price=0.1) == ["fine index"]
        assert findings() == ["broken price_missing"]
        assert server.seen == [], "a plan sends nothing"
        config = IndexConfig.model_validate({"kind": "dense", "model": "m", "url": url})
        (tried,) = index_findings(config, Budget(), start=True)
        assert tried.seen == "dense: m makes vectors of 32 numbers" and server.texts == ["word"]
    assert findings(price=0.1) == ["broken endpoint_refused"]
    url = "https://192.0.2.1/v1"
    assert findings(price=0.1, key_env="NO_SUCH_KEY") == ["broken key_missing"]


def test_a_missing_package_is_told_with_the_line_that_installs_it(tmp_path: Path) -> None:
    """In a process whose folder of packages is taken away before it is looked for."""
    model = static_model(tmp_path / "model")
    program = (
        "import sys\n"
        "from agents.corpus.indexes import IndexConfig\n"
        "from agents.models.meter import Budget\n"
        "from retort.doctor.before import index_findings\n"
        f"config = IndexConfig.model_validate(dict(kind='dense', model={str(model)!r}))\n"
        "sys.path[:] = [p for p in sys.path if 'site-packages' not in p]\n"
        "print(index_findings(config, Budget())[0])\n"
    )
    environment = {**os.environ, "PYTHONPATH": silence.path(ROOT)}
    line = [sys.executable, "-c", program]
    done = subprocess.run(line, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "name='extra dense', severity='broken', seen='model2vec is not installed" in done.stdout
    assert "[dense]'" in done.stdout


def test_a_budget_in_money_needs_the_price_of_a_nested_endpoint() -> None:
    parts = {"a": {"kind": "bm25"}, "b": {"kind": "dense", "model": "m", "url": "http://127.0.0.1:9/v1"}}
    config = IndexConfig.model_validate({"kind": "hybrid", "parts": parts})
    names = [each.name for each in index_findings(config, Budget(usd=1))]
    assert names == ["endpoint_refused", "price_missing"]


def test_an_index_of_ones_own_plays_to_the_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = with_index(tmp_path, '[index]\nkind = "mine.py:Titles"\nfactor = 2.0')
    (root / "mine.py").write_text(OWN)
    config = load_config(root / "run.toml")
    assert config.index.kind == f"{root / 'mine.py'}:Titles"
    assert "mine.py:Titles: the code of its file runs here" in " ".join(each.description for each in named(config))
    assert command(root, "run", "--trust") == 0
    run = Run(config, root / "run")
    episodes = list((root / "run" / "scores").glob("teacher.trajectories.jsonl"))
    hits = [
        hit for line in episodes[0].read_text().splitlines() for s in json.loads(line)["tool_uses"] for hit in s["hits"]
    ]
    assert hits and all(hit["score"] % 2 == 0 for hit in hits), "scores are those of the user's own class"
    before = board_parts(run.context("teacher", "react", "score", held_out=False))
    (root / "mine.py").write_text(OWN + "\n# another\n")
    assert looked_at(run)["index"].why == "the index mine.py changed"
    program = (
        "import json, sys; from retort.config import load_config; from retort.pipeline import Run\n"
        "from graphs.board import board_parts; from pathlib import Path\n"
        "run = Run(load_config(Path(sys.argv[1])), Path(sys.argv[2]))\n"
        "print(json.dumps(board_parts(run.context('teacher', 'react', 'score', held_out=False))))"
    )
    line = [sys.executable, "-c", program, str(root / "run.toml"), str(root / "run")]
    environment = {**os.environ, "PYTHONPATH": silence.path(ROOT)}
    done = subprocess.run(line, env=environment, capture_output=True, text=True)
    after = json.loads(done.stdout)
    assert {name for name in after if after[name] != before[name]} == {"index"}, "its file is part of the board"


def test_a_plan_runs_no_code_of_the_users_own(tmp_path: Path) -> None:
    root = with_index(tmp_path, '[index]\nkind = "mine.py:Titles"')
    mark = tmp_path / "it-ran"
    (root / "mine.py").write_text(f"import pathlib\npathlib.Path({str(mark)!r}).touch()\n" + OWN)
    assert command(root, "plan", "--trust") == 0
    run = Run(load_config(root / "run.toml"), root / "run")
    assert "index.mine.py" in parts_of(run, STAGES["index"], {})
    assert not mark.exists()


def test_a_class_that_is_no_index_is_told(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("class Thing:\n    pass\n")
    config = IndexConfig.model_validate({"kind": f"{tmp_path / 'mine.py'}:Thing"})
    (finding,) = index_findings(config, Budget(), start=True)
    assert finding.severity == "broken" and "make it a class that extends agents.corpus.indexes.Index" in finding.seen


def test_an_index_of_another_package(tmp_path: Path) -> None:
    about = tmp_path / "elsewhere-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: elsewhere\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[retort.indexes]\ntitles = elsewhere:Titles\n")
    (tmp_path / "elsewhere.py").write_text(OWN)
    root = with_index(tmp_path / "run", '[index]\nkind = "titles"\nfactor = 3.0')
    environment = {**os.environ, "PYTHONPATH": silence.path(tmp_path, ROOT)}
    line = [sys.executable, "-m", "retort", "index", str(root / "run.toml"), "--run", str(root / "run")]
    done = subprocess.run(line, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    about_it = json.loads((root / "run" / "library" / "library.json").read_text())["index"]
    assert about_it["kind"] == "titles" and about_it["factor"] == 3.0 and len(about_it["code"]) == 64


def test_what_a_foreign_run_folders_library_names_is_told(
    kettle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library is opened as its own index.json says, whatever the run.toml beside it says."""
    run = shutil.copytree(kettle, tmp_path / "run")
    place = run / "library" / "index.json"
    assert trained(run) == []
    place.write_text(json.dumps({"kind": f"{tmp_path / 'theirs.py'}:Index"}))
    assert ["theirs.py:Index: the code of its file runs here" in each.description for each in trained(run)] == [True]
    monkeypatch.setenv("A_KEY", "abcdef")
    place.write_text(json.dumps({"kind": "dense", "model": "m", "url": "https://example.org/v1", "key_env": "A_KEY"}))
    (sent,) = trained(run)
    assert sent.description == "the index sends $A_KEY and every query to https://example.org/v1"


def test_a_library_of_an_older_version_is_refused(kettle: Path, tmp_path: Path) -> None:
    from agents.errors import StageError

    folder = shutil.copytree(kettle / "library", tmp_path / "library")
    about = json.loads((folder / "library.json").read_text())
    (folder / "library.json").write_text(json.dumps({**about, "version": 1}))
    with pytest.raises(StageError, match="broken or of another version: run the stage 'index' again"):
        Library.open(folder)


def test_the_doctor_tries_the_model_of_an_index(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    static_model(tmp_path / "model")
    section = '[index]\nkind = "dense"\nmodel = "model"\n[student]\nstages = []\n'
    section += '[teams.student]\nreason = "scripted:answer-key"'
    text = CONFIG.replace("[student]\nmax_tokens = 24\n", "").replace("[exam]", f"{section}\n[exam]")
    root = folder_of(tmp_path, text + '[teams.teacher]\nreason = "scripted:answer-key"\n')
    command(root, "doctor")
    said = capsys.readouterr().out
    assert "index: dense" in said and "model makes vectors of 32 numbers" in said
    (tmp_path / "model" / "model.safetensors").write_bytes(b"broken")
    assert command(root, "doctor") == 1
    assert "index_fails" in capsys.readouterr().out
