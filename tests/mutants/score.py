"""Mutation testing of single modules with mutmut 3: how many planted faults the tests of a module notice.

`make mutants` runs every module of modules.toml, `make mutants ONLY=evals/stats.py` one. Each module has a workspace of
its own under .mutants/, so a stopped run goes on where it was. When a module's tests change, the mutants that survived
are tried again; those that were killed are taken to stay killed until `--fresh`.
"""

from __future__ import annotations

import argparse
import difflib
import fnmatch
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import libcst as cst
import libcst.matchers as m
from mutmut.stats import status_by_exit_code

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / ".mutants"
LINKED = ("agents", "benchmarks", "distill", "evals", "examples", "finetune", "graphs", "recipes", "retort", "tests")
NOTICED = {"killed", "timeout", "segfault"}
"""What mutmut calls a mutant that a test failed on, that never ended, or that ended the process."""
HEADER = "module\tmutant\tchange\twhy it may survive"
CACHES = {"cache", "lru_cache"}
"""Decorators whose results of the first run, without a mutant, every later one would see: all are forks of it."""
SQL = re.compile(r"\b(SELECT|INSERT|UPDATE|DELETE|PRAGMA)\b|excluded\.")
SETTINGS = """

[tool.mutmut]
source_paths = [{module}]
pytest_add_cli_args = ["-p", "no:cacheprovider", "-p", "no:cov"]
pytest_add_cli_args_test_selection = {tests}
timeout_constant = 2.0
timeout_multiplier = 10.0
track_dependencies = false
use_git_change_detection = false
on_dependency_change = "ignore"
"""


class Undecorated(cst.CSTTransformer):
    """Writes `@d def f` as `def f` and `f = d(f)`: mutmut leaves decorated functions alone, and scores are such."""

    def __init__(self) -> None:
        self.depth = 0

    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:
        """Count how deep functions are nested: mutmut replaces only outer ones."""
        self.depth += 1

    def leave_FunctionDef(
        self, original_node: cst.FunctionDef, updated_node: cst.FunctionDef
    ) -> cst.FunctionDef | cst.FlattenSentinel[cst.BaseStatement]:
        """Take the decorators off, unless mutmut can handle them; a cache stays off, since it would be full already."""
        self.depth -= 1
        decorators = [each.decorator for each in updated_node.decorators]
        known = [isinstance(each, cst.Name) and each.value in ("staticmethod", "classmethod") for each in decorators]
        if self.depth or not decorators or any(known):
            return updated_node
        decorators = [each for each in decorators if not CACHES & {part.value for part in m.findall(each, m.Name())}]
        name = cst.Name(updated_node.name.value)
        value: cst.BaseExpression = name
        for decorator in reversed(decorators):
            value = cst.Call(func=decorator, args=[cst.Arg(value)])
        if not decorators:
            return updated_node.with_changes(decorators=[])
        assignment = cst.SimpleStatementLine([cst.Assign([cst.AssignTarget(name)], value)])
        return cst.FlattenSentinel([updated_node.with_changes(decorators=[]), assignment])


def write_if_changed(path: Path, text: str) -> None:
    """Write a file unless it holds the text already: mutmut goes by the time of change."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def link(path: Path, target: Path) -> None:
    """Make `path` a link to `target`, which may have moved."""
    if path.is_symlink():
        path.unlink()
    path.symlink_to(target)


def prepare(module: str, tests: list[str]) -> Path:
    """The module's workspace: its source, the settings, and links to everything else; returns the folder."""
    work = WORK / module.removesuffix(".py").replace("/", ".")
    (work / "mutants" / Path(module).parent).mkdir(parents=True, exist_ok=True)
    source = (ROOT / module).read_text(encoding="utf-8")
    write_if_changed(work / module, cst.parse_module(source).visit(Undecorated()).code)
    settings = SETTINGS.format(module=json.dumps(module), tests=json.dumps(tests))
    write_if_changed(work / "pyproject.toml", (ROOT / "pyproject.toml").read_text(encoding="utf-8") + settings)
    for name in LINKED:
        if name != Path(module).parts[0]:
            link(work / "mutants" / name, ROOT / name)
    for level in list(Path(module).parents)[:-1]:
        inner = Path(module).relative_to(level).parts[0]
        for target in (ROOT / level).iterdir():
            # The module itself is what mutmut writes: a link there, or above it, would lead it to the source.
            if target.name not in (inner, "__pycache__"):
                link(work / "mutants" / level / target.name, target)
    return work


def forget_what_changed(work: Path, tests: list[str]) -> None:
    """After a change of tests, have mutmut measure them again and try again what survived them."""
    files = {ROOT / test.partition("::")[0] for test in tests if test.startswith("tests/")}
    files |= {path for path in (ROOT / "tests").glob("*.py") if not path.name.startswith("test_")}
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(files))).hexdigest()
    stamp = work / "tests.sha256"
    if stamp.exists() and stamp.read_text() != digest:
        (work / "mutants" / "mutmut-stats.json").unlink(missing_ok=True)
        for meta in (work / "mutants").rglob("*.meta"):
            data = json.loads(meta.read_text())
            codes = data["exit_code_by_key"]
            data["exit_code_by_key"] = {
                name: code if status_by_exit_code[code] in NOTICED else None for name, code in codes.items()
            }
            meta.write_text(json.dumps(data, indent=4))
    write_if_changed(stamp, digest)


def results(work: Path, module: str) -> dict[str, str]:
    """Mutant -> what became of it; empty where nothing ran yet."""
    meta = work / "mutants" / f"{module}.meta"
    if not meta.exists():
        return {}
    codes = json.loads(meta.read_text())["exit_code_by_key"]
    return {name.rpartition(".")[2]: status_by_exit_code[code] for name, code in codes.items()}


def changed_lines(work: Path, module: str, mutant: str) -> tuple[list[str], list[str]]:
    """The lines that a mutant changes, before and after; the function's own name in them is `...`."""
    spans = json.loads((work / "mutants" / f"{module}.spans").read_text())["spans"]
    lines = (work / "mutants" / module).read_text(encoding="utf-8").splitlines()
    original = mutant.rpartition("_")[0] + "_orig"
    one, two = (
        [line.strip().replace(name, "...") for line in lines[slice(spans[name][0] - 1, spans[name][1])]]
        for name in (original, mutant)
    )
    changed = list(difflib.unified_diff(one, two, n=0, lineterm=""))[2:]
    return [line[1:] for line in changed if line[0] == "-"], [line[1:] for line in changed if line[0] == "+"]


def equivalent(before: list[str], after: list[str]) -> bool:
    """Whether a mutant cannot matter: it changes the case of an SQL statement, which SQLite does not look at."""
    one, two = " ".join(before), " ".join(after)
    return one.casefold() == two.casefold() and SQL.search(one) is not None


def reason(module: str, before: list[str], after: list[str], reasons: list[dict[str, str]]) -> str:
    """Why a mutant may survive, by the first rule of reasons.toml that fits what it changes; empty where none does."""
    changed = "\n".join([*before, "=>", *after])
    for rule in reasons:
        if fnmatch.fnmatch(module, rule.get("module", "*")) and re.search(rule["match"], changed):
            return rule["why"]
    return ""


def row(module: str, name: str, before: list[str], after: list[str], why: str) -> str:
    """One line of survivors.tsv: module, mutant, what it changes, and why it may survive."""
    change = f"{' '.join(before)} => {' '.join(after)}".replace("\t", " ")
    return "\t".join((module, name, change, why or "to be killed"))


def run(module: str, tests: list[str], fresh: bool) -> tuple[Path, int]:
    """Try every mutant of a module that has no result yet; returns the workspace and mutmut's exit status."""
    if fresh:
        shutil.rmtree(WORK / module.removesuffix(".py").replace("/", "."), ignore_errors=True)
    work = prepare(module, tests)
    forget_what_changed(work, tests)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    command = [str(Path(sys.executable).with_name("mutmut")), "run", "--max-children", "1"]
    with (work / "mutmut.log").open("w", encoding="utf-8") as log:
        done = subprocess.run(command, cwd=work, env=environment, stdout=log, stderr=subprocess.STDOUT)
    return work, done.returncode


def main() -> int:
    """Run the modules asked for, print a score each; 1 when one could not be run or is below the bar."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("module", nargs="*", help="as in modules.toml; all when none is named")
    parser.add_argument("--fresh", action="store_true", help="forget earlier results of these modules")
    parser.add_argument("--show", action="store_true", help="run nothing; print the mutants that survive")
    parser.add_argument("--list", action="store_true", help="run nothing; write survivors.tsv, each with its reason")
    asked = parser.parse_args()
    config = tomllib.loads(Path(__file__).with_name("modules.toml").read_text(encoding="utf-8"))
    unknown = set(asked.module) - set(config["modules"])
    if unknown:
        parser.error(f"no such module in modules.toml: {', '.join(sorted(unknown))}")
    reasons = tomllib.loads(Path(__file__).with_name("reasons.toml").read_text(encoding="utf-8"))["reason"]
    listed: list[str] = []
    noticed, every, failed = 0, 0, False
    for module in asked.module or config["modules"]:
        tests = config["modules"][module]
        if asked.show or asked.list:
            work, status = WORK / module.removesuffix(".py").replace("/", "."), 0
        else:
            work, status = run(module, tests, asked.fresh)
        found = results(work, module)
        lines = {name: changed_lines(work, module, name) for name, what in found.items() if what not in NOTICED}
        survivors = {name: each for name, each in lines.items() if not equivalent(*each)}
        total = len(found) - len(lines) + len(survivors)
        killed = total - len(survivors)
        share = killed / total if total else 0.0
        low = share < config["bar"]
        same = f", {len(lines) - len(survivors)} equivalent" if len(lines) > len(survivors) else ""
        note = f"  mutmut failed: see {work / 'mutmut.log'}" if status else "  below the bar" if low else ""
        print(f"{module:28} {killed:4} of {total:4} killed  {share:6.1%}{same}{note}", flush=True)
        if asked.show:
            for name, (before, after) in survivors.items():
                print(f"  {name} ({found[name]})", *(f"      -{line}" for line in before), sep="\n")
                print(*(f"      +{line}" for line in after), sep="\n")
        listed += [row(module, name, *each, reason(module, *each, reasons)) for name, each in survivors.items()]
        noticed, every, failed = noticed + killed, every + total, failed or low or status != 0
    print(f"{'all':28} {noticed:4} of {every:4} killed  {noticed / max(1, every):6.1%}")
    if asked.list:
        Path(__file__).with_name("survivors.tsv").write_text("\n".join([HEADER, *listed]) + "\n", encoding="utf-8")
        open_ones = sum(line.endswith("\tto be killed") for line in listed)
        print(f"{len(listed)} survive, {len(listed) - open_ones} of them with a reason")
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
