"""The parts of a fingerprint: weights, tools, templates, MCP servers, and that each stage lists all of its source."""

from __future__ import annotations

import ast
import os
import shutil
from pathlib import Path

import pytest
from kettle_run import CONFIG, folder_of

from agents.models.bases import tiny_base
from finetune.methods import methods
from retort import parts
from retort.config import RunConfig, load_config
from retort.parts import Parts, changes, part_label
from retort.pipeline import Run
from retort.stages import parts_of, sources
from retort.table import stage_of, stages_of

ROOT = Path(__file__).resolve().parents[1]


def of(stage: str, root: Path) -> Parts:
    """The present parts of a stage of the config in `root`; nothing of it was run."""
    run = Run(load_config(root / "run.toml"), root / "run")
    return parts_of(run, stage_of(run.config, stage), {})


def with_config(root: Path, **replaced: str) -> Path:
    """The kettle's folder with sections of its config begun by other lines."""
    text = CONFIG
    for section, lines in replaced.items():
        text = text.replace(f"[{section}]\n", f"[{section}]\n{lines}\n")
    return folder_of(root, text)


def in_secret(path: Path) -> None:
    """Change a file's last byte; its size and time of change stay."""
    stat = path.stat()
    with path.open("r+b") as stream:
        stream.seek(-1, os.SEEK_END)
        last = stream.read(1)
        stream.seek(-1, os.SEEK_END)
        stream.write(bytes([last[0] ^ 1]))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_the_weights_of_the_base(tmp_path: Path) -> None:
    shutil.copytree(tiny_base(), tmp_path / "base")
    plain = of("cpt", folder_of(tmp_path))
    copied = of("cpt", with_config(tmp_path, student='base = "base"'))
    assert copied == plain, "the same weights in another folder"
    in_secret(tmp_path / "base" / "model.safetensors")
    now = of("cpt", tmp_path)
    assert changes(copied, now) == "the weights of student.base changed"
    assert changes(copied, of("sft", tmp_path)) != ""


def test_an_adapter_depends_on_where_its_base_lies(tmp_path: Path) -> None:
    """Its adapter_config.json names the base, so that a base moved away is one to train anew."""
    shutil.copytree(tiny_base(), tmp_path / "base")
    text = CONFIG.replace('[cpt]\nmethod = "full"', '[cpt]\nmethod = "lora"')
    before = of("cpt", folder_of(tmp_path, text))
    now = of("cpt", folder_of(tmp_path, text.replace("[student]\n", '[student]\nbase = "base"\n')))
    assert changes(before, now) == "[student] base changed"


@pytest.mark.parametrize("section", ["cpt", "sft"])
def test_a_chat_template_goes_by_content(section: str, tmp_path: Path) -> None:
    template = tmp_path / "t.jinja"
    template.write_text("{% generation %}one{% endgeneration %}")
    root = with_config(tmp_path, **{section: f'chat_template = "{template}"'})
    before = of(section, root)
    in_secret(template)
    assert changes(before, of(section, root)) == f"the chat template of [{section}] changed"


def test_how_often_a_training_is_saved_changes_nothing(tmp_path: Path) -> None:
    assert of("sft", with_config(tmp_path, sft="save_every = 7")) == of("sft", folder_of(tmp_path))


@pytest.mark.parametrize("stage", ["collect", "dataset", "evaluate"])
def test_the_users_tools_and_mcp_servers(stage: str, tmp_path: Path) -> None:
    tool, script = tmp_path / "my_tools.py", tmp_path / "server.py"
    tool.write_text("def convert(x: str) -> str:\n    return x\n")
    script.write_text("print(1)\n")
    board = '[board]\ntools = ["search", "my_tools:convert"]\n[board.mcp.units]\ncommand = "python"\nargs = ["{}"]\n'
    text = board.format(script) + CONFIG.replace('name = "kettle"\n', "")
    root = folder_of(tmp_path, 'name = "kettle"\n' + text)
    before = of(stage, root)
    in_secret(tool)
    assert changes(before, of(stage, root)) == "the tool my_tools.py changed"
    in_secret(tool)
    in_secret(script)
    assert changes(before, of(stage, root)) == "the tool units/server.py changed"
    in_secret(script)
    folder_of(
        tmp_path, (root / "run.toml").read_text().replace("[board.mcp.units]\n", '[board.mcp.units]\nenv = ["X"]\n')
    )
    assert changes(before, of(stage, root)) == "[board.mcp.units] env changed"


def test_tools_elsewhere_are_the_same_tools(tmp_path: Path) -> None:
    found = []
    for name in ("a", "b"):
        root = folder_of(tmp_path / name)
        (root / "my_tools.py").write_text("def convert(x: str) -> str:\n    return x\n")
        text = CONFIG.replace("[exam]", '[board]\ntools = ["search", "my_tools:convert"]\n[exam]')
        found.append(of("collect", folder_of(root, text)))
    assert found[0] == found[1]


def test_changes_in_words() -> None:
    before = {"code.a.py": "1", "config.exam.train": "1", "config.seed": "1", "file.exam.jsonl": "1", "x": "1"}
    assert changes(before, before) == ""
    assert changes(before, {**before, "code.a.py": "2"}) == "a.py changed"
    assert changes(before, {**before, "code.a.py": "2", "config.exam.train": "2"}) == "a.py and [exam] train changed"
    more = dict.fromkeys(before, "2")
    assert changes(before, {**before, **more}) == "a.py, [exam] train, seed and 2 more changed"
    assert changes(before, {name: "1" for name in before if name != "config.seed"}) == "seed changed"
    assert part_label("config.board.limits.steps") == "[board.limits] steps"
    assert part_label("team.my.team.reason.weights") == "the weights of the reason seat of my.team"
    assert part_label("team.teacher.all.first_thought") == "[teams.teacher] first_thought"


STARTS = {
    "index": ["agents/corpus/documents.py", "agents/corpus/facts.py", "agents/corpus/library.py"]
    + ["agents/corpus/sources/folder.py", "agents/corpus/sources/stdlib.py"]
    + [f"agents/corpus/loaders/{name}.py" for name in ("html", "man", "markitdown", "plain", "rst")],
    "exam": ["distill/exam/build.py", *(f"distill/exam/{name}.py" for name in ("levels", "live", "scenarios"))],
    "collect": ["graphs/runner/collect.py", "graphs/react.py"],
    "dataset": ["distill/dataset.py", "distill/keep.py", "distill/leaks.py"],
    "cpt": ["finetune/pretrain.py"],
    "sft": ["finetune/sft.py"],
    "dpo": ["finetune/dpo.py"],
    "evaluate": ["evals/replay.py"],
    "leaderboard": ["evals/leaderboard.py", "evals/report/page.py"],
}
NEUTRAL = {
    "agents/bars.py": "draws progress",
    "agents/errors.py": "words of errors",
    "agents/folders.py": "which folders a command may write; what reads a corpus lists it",
    "agents/registry.py": "finds parts by name; each part is listed by its own file",
    "agents/own_code.py": "imports the user's own modules, which are parts by themselves",
    "agents/install.py": "the install line of an error",
    "agents/text.py": "cuts the words of errors",
    "agents/storage.py": "words of errors of files that cannot be written",
    "agents/models/meter.py": "accounts; imported by the record of an episode for a type",
    "agents/spent.py": "a row of accounts, imported for a type",
    "agents/files.py": "reads and writes JSON lines",
    "agents/answers.py": "training reads no answer; what plays and scores lists it",
    "agents/context.py": "seats and boards; training opens no seat of a config",
    "agents/redaction.py": "words of errors",
    "agents/task.py": "imported by the context for a type",
    "graphs/contents.py": "hashes of files",
    "graphs/trajectory.py": "a hash, of the fingerprint of checkpoints",
}
"""Module -> why a stage may import it without depending on it."""
EVERY = RunConfig.model_validate({"name": "x", "corpus": {"source": "stdlib"}, "student": {"stages": methods.names()}})
"""A config with every training."""
ROWS = {"distill/dataset.py", "distill/pairs.py", "distill/rows.py"}
"""Modules that make rows: a training follows the content of its file of rows, not what made it."""
ENDS = {
    ("leaderboard", name): "asks a seat for a score, which the stage evaluate does and lists"
    for name in ("agents/models/structured.py", "evals/journal.py", "graphs/board.py")
} | {("leaderboard", "agents/models/scripted.py"): "opened by a seat; a row asks the provider for words alone"}
"""(stage, module) -> why what the module imports is not looked at either."""


def module_file(name: str) -> Path | None:
    """The file of a module of this project."""
    path = ROOT.joinpath(*name.split("."))
    return next((p for p in (path / "__init__.py", path.with_suffix(".py")) if p.is_file()), None)


def imported(path: Path) -> set[Path]:
    """Files of this project that a file imports, within functions too, but not for types alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    package = list(path.relative_to(ROOT).parent.parts)
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and id(node) not in for_types:
            within = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*within, *([node.module] if node.module else [])])
            names |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return {file for name in names if (file := module_file(name)) is not None}


@pytest.mark.parametrize("stage", STARTS)
def test_a_stage_lists_all_source_that_it_imports(stage: str) -> None:
    """A module that is added to a stage's work has to be added to its list in retort/table.py, or to NEUTRAL here."""
    listed = {name.removeprefix("code.") for name in sources(EVERY)[stage]}
    seen = {ROOT / name for name in ROWS} if stage in methods else set()
    made = set(seen)
    todo = [ROOT / name for name in STARTS[stage]]
    while todo:
        path = todo.pop()
        if path not in seen and (stage, path.relative_to(ROOT).as_posix()) not in ENDS:
            seen.add(path)
            todo += imported(path)
    needed = {path.relative_to(ROOT).as_posix() for path in seen - made if path.name != "__init__.py"} - set(NEUTRAL)
    assert needed <= listed


def test_every_pattern_names_something() -> None:
    for stage in stages_of(EVERY):
        for pattern in stage.code:
            assert parts.code([pattern.removeprefix("!")]), f"{stage.name}: {pattern}"
        assert parts.ABSENT not in parts.code(stage.code).values()


def test_what_the_board_hashes_is_what_collecting_lists() -> None:
    """A change that makes every key another one must make collecting stale."""
    from graphs.board import played_files

    listed = {name.removeprefix("code.") for name in sources(EVERY)["collect"]}
    assert {path.relative_to(ROOT).as_posix() for path in played_files()} <= listed
