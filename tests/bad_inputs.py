"""The table of bad inputs, first part: what a row is, and run.toml. tests/bad_files.py has files and command lines."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import little

BASE = """name = "kettle"
[corpus]
manuals = "manual"
facts = "facts.jsonl"
[exam]
train = 60
test = 40
"""
CONFIG = ("index", "{root}/run.toml")
"""The command of rows on run.toml: it reads all of it, and is quick."""


@dataclass(frozen=True)
class Bad:
    """A bad input, and what is expected of the answer."""

    name: str
    make: Callable[[Path], None]
    """Spoils a project in a folder."""
    said: str
    """What the one sentence must hold; `{root}` is the project's folder."""
    line: tuple[str, ...] = CONFIG
    status: int = 2
    """Exit status; 0 where bad input is counted and listed."""
    mend: Callable[[Path], None] | None = None
    """What the sentence says to do; afterwards `then`, or the same line, succeeds."""
    then: tuple[tuple[str, ...], ...] = ()
    """Command lines that the sentence names, done in this order."""
    whole: bool = False
    """Whether it spoils a run that went to its end."""
    wrote: frozenset[str] = field(default_factory=frozenset)
    """Files outside of run folders that the next step itself makes."""


def small(root: Path) -> None:
    """A project of one page and three facts."""
    (root / "manual").mkdir(parents=True)
    (root / "manual" / "heater.md").write_text(little.pages()["heater.md"], encoding="utf-8")
    lines = [
        f'{{"entity": "heater_{name}", "attribute": "default", "value": "{value}", "source": "manual/heater.md"}}'
        for name, value in (("limit", "3"), ("margin", "17"), ("floor", "31"))
    ]
    (root / "facts.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (root / "run.toml").write_text(BASE, encoding="utf-8")


def mended(root: Path) -> None:
    """The good run.toml again."""
    (root / "run.toml").write_text(BASE, encoding="utf-8")


def with_key(section: str, row: str) -> str:
    """The good run.toml with a key of a section set."""
    key = row.partition("=")[0].strip()
    if not section:
        return f"{row}\n" + re.sub(rf"^{re.escape(key)} = .*\n", "", BASE, flags=re.M)
    found = re.search(rf"^\[{section}\]\n((?:[a-z].*\n)*)", BASE, flags=re.M)
    if not found:
        return f"{BASE}[{section}]\n{row}\n"
    kept = "".join(line + "\n" for line in found[1].splitlines() if line.partition(" =")[0] != key)
    return BASE.replace(found[0], f"[{section}]\n{kept}{row}\n")


def key(section: str, row: str, said: str) -> Bad:
    """A row of the table: one key of run.toml."""
    text = with_key(section, row)
    return raw(f"[{section}] {row[:60]}", text.encode(), said)


def raw(name: str, content: bytes, said: str) -> Bad:
    """A row of the table: all of run.toml."""

    def make(root: Path) -> None:
        (root / "run.toml").write_bytes(content)

    return Bad(name, make, said, mend=mended)


LONG = "x" * 5000


def seat(model: str, more: str, said: str) -> Bad:
    """A row of the table: the teacher's seat."""
    return key("teams.teacher", f'reason = {{model = "{model}"{", " + more if more else ""}}}', said)


DEMO = "scripted:answer-key"
KEYS = [
    key("", 'name = ""', "name: String should match pattern"),
    key("", "name = 3", "name: Input should be a valid string (given: 3)"),
    key("", 'name = "Müller"', "name: String should match pattern"),
    key("", 'name = "a/b"', "(given: 'a/b')"),
    key("", 'name = "../up"', "(given: '../up')"),
    key("", f'name = "{LONG}"', "name: String should have at most 100 characters"),
    key("", 'seed = "a"', "seed: Input should be a valid integer"),
    key("", "seed = 1.5", "seed: Input should be a valid integer"),
    key("", "sede = 1", "unknown key 'sede'; did you mean 'seed'?"),
    key("", "seed = 99999999999999999999", "seed is a number of more than 53 bits: give a smaller one"),
    key("corpus", 'manuals = "none"', "none' is not there: give a folder of .md"),
    key("corpus", 'manuals = "facts.jsonl"', "facts.jsonl' is no folder"),
    key("corpus", "manuals = 3", "corpus.manuals: Input is not a valid path"),
    key("corpus", f'manuals = "{LONG}"', "its path is too long for this file system"),
    key("corpus", 'manuals = "a\\u0000b"', "corpus.manuals holds a NUL character"),
    key("corpus", 'facts = "none.jsonl"', "none.jsonl': No such file or directory"),
    key("corpus", 'facts = "manual"', "it is no file"),
    key("corpus", 'facts = "/proc/self/mem"', "/mem': Input/output error"),
    key("corpus", 'source = "stdlib"', "the source 'stdlib' has pages and facts of its own: take manuals"),
    key("corpus", 'source = "x"', "corpus: no source is named 'x'; there are folder, stdlib"),
    key("corpus", 'loaders = {"log" = "text"}', "'log' is no suffix of a file: write it as '.log'"),
    key("corpus", 'loaders = {".log" = "txt"}', "no loader is named 'txt'; there are markdown, text, rst, html, man"),
    key("corpus", 'manual = "x"', "unknown key 'corpus.manual'; did you mean 'manuals'?"),
    key("exam", "train = -1", "exam.train: Input should be greater than or equal to 0 (given: -1)"),
    key("exam", 'train = "many"', "exam.train: Input should be a valid integer"),
    key("exam", "train = 1000000000", "exam.train: Input should be less than or equal to 1000000"),
    key("exam", "train = nan", "exam.train is nan: give a number"),
    key("exam", "dev = -1", "exam.dev: "),
    key("exam", "test = 0", "exam.test: Input should be greater than or equal to 1 (given: 0)"),
    key("exam", "test = inf", "exam.test is inf"),
    key("exam", "tests = 5", "unknown key 'exam.tests'; did you mean 'test'?"),
    key("exam", "engineer = 2", "exam.engineer: Input should be less than or equal to 1"),
    key("exam", "engineer = 1.0", "make them sum to 1 (now 1.5)"),
    key("exam", "professional = -0.1", "exam.professional: "),
    key("exam", "consultant = nan", "exam.consultant is nan"),
    key("exam", "held_out = 0", "exam.held_out: Input should be greater than 0"),
    key("exam", "held_out = 1", "exam.held_out: Input should be less than 1"),
    key("exam", "held_out_modules = 1.0", "exam.held_out_modules: "),
    key("exam", "gold_cap = 0", "exam.gold_cap: "),
    key("exam", "guessable = -1", "exam.guessable: "),
    key("exam", "barred = 0", "exam.barred: "),
    key("exam", "least_test = 0", "exam.least_test: "),
    key("exam", "choice = 7", "exam.choice: Input should be a valid boolean"),
    key("exam", "wordings = 3", "exam.wordings: Input should be a valid dictionary"),
    key("exam", 'wordings = {default = ["What?"]}', "exam.wordings: each wording needs {entity}"),
    key("board", "top_k = 0", "board.top_k: Input should be greater than or equal to 1"),
    key("board", "top_k = 1000000000", "board.top_k: Input should be less than or equal to 20"),
    key("board", 'extract = "all"', "board.extract: Input should be 'off', 'lexical' or 'seat' (given: 'all')"),
    key("board", 'tools = "search"', "board.tools: Input should be a valid tuple"),
    key("board", "limits = 3", "board.limits: "),
    key("board.limits", "steps = 0", "board.limits.steps: "),
    key("board.limits", "step = 3", "unknown key 'board.limits.step'; did you mean 'steps'?"),
    key("board", "mcp = 3", "board.mcp: Input should be a valid dictionary"),
    key("collect", "samples = 0", "collect.samples: "),
    key("collect", "samples = 1000000", "collect.samples: Input should be less than or equal to 10000"),
    key("collect", "enough = 0", "collect.enough: "),
    key("collect", "concurrency = -1", "collect.concurrency: "),
    key("collect", "concurrency = 1e400", "collect.concurrency is inf: give a number"),
    key("collect", "workers = 1000000", "collect.workers: Input should be less than or equal to 1000"),
    key("collect", "choice = 2", "collect.choice: "),
    key("collect", "tasks = 0", "collect.tasks: "),
    key("collect", "modes = []", "collect.modes: Tuple should have at least 1 item"),
    key("collect", 'modes = ["walk"]', "collect.modes.0: Input should be 'react', 'cot' or 'answer' (given: 'walk')"),
    key("collect", 'verify = "no"', "collect.verify: Input should be 'off', 'score' or 'revise'"),
    key("collect", 'team = "nobody"', "collect.team 'nobody' is not in [teams]: teacher"),
    key("collect", "faults = {rate = 2}", "collect.faults.rate: "),
    key("budget", "usd = -1", "budget.usd: Input should be greater than 0"),
    key("budget", "usd = nan", "budget.usd is nan"),
    key("budget", "tokens = 1.5", "budget.tokens: Input should be a valid integer"),
    key("budget", 'hours = "x"', "budget.hours: Input should be a valid number"),
    key("budget", "minutes = 1", "unknown key 'budget.minutes'; known here: hours, tokens, usd"),
    key("dataset", 'per_task = "a"', "dataset.per_task: "),
    key("student", "base = 3", "student.base: Input should be a valid string"),
    key("student", 'stages = ["x"]', "student.stages: no training method is named 'x'; there are cpt, sft, dpo"),
    key("student", 'stages = ["sft", "cpt"]', "student.stages: 'cpt' learns plain text, which would undo 'sft'"),
    key("student", 'stages = ["sft", "sft"]', "student.stages: 'sft' stands twice"),
    key("student", 'stages = ["mine.py:exam"]', "student.stages: 'exam' cannot name a training"),
    key("dpo", "beta = 0", "dpo.beta: "),
    key("student", "stages = []", "[teams.student] must say who plays the student"),
    key("student", 'transport = "post"', "student.transport: Input should be 'native', 'text' or 'hermes'"),
    key("student", "max_tokens = 0", "student.max_tokens: "),
    key("cpt", "lr = -1", "cpt.lr: "),
    key("cpt", "max_steps = 0", "cpt.max_steps: "),
    key("sft", 'method = "x"', "sft.method: Input should be 'lora', 'qlora' or 'full' (given: 'x')"),
    key("sft", "r = 0", "sft.r: "),
    key("sft", "dropout = 2", "sft.dropout: "),
    key("sft", "lr = inf", "sft.lr is inf"),
    key("sft", "epochs = 0", "sft.epochs: "),
    key("sft", "batch = 0", "sft.batch: "),
    key("sft", "max_length = 1", "sft.max_length: "),
    key("sft", "targets = []", "unknown key 'sft.targets'; did you mean 'target'?"),
    key("evaluate", "concurrency = 0", "evaluate.concurrency: "),
    key("evaluate", "forms = []", 'evaluate.forms: name one or both of "free" and "choice", each once'),
    key("evaluate", 'forms = ["free", "free"]', "each once"),
    key("evaluate", "tasks = 0", "evaluate.tasks: "),
    key("evaluate", "arms = 3", "evaluate.arms: Input should be a valid tuple"),
    key("evaluate", 'arms = [{name = "a"}]', "evaluate.arms.0.team: Field required"),
    key("evaluate", 'arms = [{name = "a", team = "x"}]', "team 'x' is not one of base, cpt, student, teacher"),
    key("evaluate", 'arms = [{name = "../x", team = "base"}]', "'../x' cannot name a team or an arm"),
    key("evaluate", 'arms = [{name = "", team = "base"}]', "'' cannot name a team or an arm"),
    key("evaluate", 'arms = [{name="a",team="base"}, {name="a",team="cpt"}]', "two arms have the same name"),
    key(
        "teams",
        'teacher = {reason = "scripted:answer-key"}\n"a/b" = {reason = "scripted:answer-key"}',
        "'a/b' cannot name",
    ),
    key("teams", "teacher = 3", "teams.teacher: "),
    key("teams", "teacher = {}", "teams.teacher.reason: Field required"),
    key("tracing", "langsmith = 7", "tracing.langsmith: Input should be a valid boolean"),
    seat("", "", "seat '': expected provider:model[@url]"),
    seat("opnai:x", "", "'opnai:x'"),
    seat("openai:", "", "names no model after 'openai:'"),
    seat("openai:m@nourl", "", "'openai:m@nourl': what follows @ is no address, write http(s)://HOST"),
    seat("openai:m@ftp://x/v1", "", "what follows @ is no address"),
    seat("openai:m@http://", "", "what follows @ is no address"),
    seat("openai:m@http://h:99999/v1", "", "what follows @ is no address"),
    seat("scripted:x", "", "scripted seats are scripted:answer-key and scripted:lines@FILE"),
    seat("scripted:lines", "", "scripted:lines@FILE"),
    seat("hf:", "", "names no model after 'hf:'"),
    seat(DEMO, "temperature = -1", "teams.teacher.reason.temperature: "),
    seat(DEMO, "temperature = nan", "teams.teacher.reason.temperature is nan"),
    seat(DEMO, "temprature = 1", "did you mean 'temperature'?"),
    seat(DEMO, "max_tokens = 0", "teams.teacher.reason.max_tokens: "),
    seat(DEMO, "timeout = 0", "teams.teacher.reason.timeout: "),
    seat(DEMO, 'transport = "x"', "teams.teacher.reason.transport: "),
    seat(DEMO, "price = {prompt = -1, completion = 1}", "teams.teacher.reason.price.prompt: "),
    seat(DEMO, 'key_env = "sk-abcdefghijklmnopqrstuvwxyz123456"', "this is no name of an environment variable"),
]
TEXTS = [
    raw("an empty run.toml", b"", "run.toml is empty: `retort new DIR` writes a commented run.toml"),
    raw("a run.toml of blanks", b"  \n\n", "is empty"),
    raw("a value left out", b'name = "x"\nseed =\n', "is not TOML: Invalid value (at line 2"),
    raw("a quote left open", b'name = "x\n', "is not TOML: "),
    raw("a bracket left open", b'name = "x"\n[corpus\n', "is not TOML: "),
    raw("a key twice", b'name = "x"\nname = "y"\n', "is not TOML: Cannot overwrite a value"),
    raw("a section twice", BASE.encode() + b"[exam]\n", "is not TOML: Cannot declare ('exam',) twice"),
    raw("JSON", b'{"name": "x"}', "is not TOML: "),
    raw("YAML", b"name: x\n", "is not TOML: "),
    raw("Latin-1", BASE.encode() + "# Kessel für Tee\n".encode("latin-1"), "line 8: not UTF-8"),
    raw("UTF-16", BASE.encode("utf-16"), "line 1: not UTF-8"),
    raw("binary", bytes(range(256)), "not UTF-8"),
    raw("a control character", BASE.encode() + b"# \x00\n", "is not TOML: "),
    raw("nested too deeply", BASE.encode() + b"a = " + b"[" * 100_000, "nested too deeply"),
    raw("a number of 10,000 digits", BASE.encode() + b"[budget]\ntokens = " + b"9" * 10_000, "is not TOML: "),
    raw("a huge file", b"#" * 5_000_000, "larger than 4,000,000 bytes"),
    raw("no section [corpus]", b'name = "x"\n', "corpus: Field required"),
    raw("an empty section [corpus]", b'name = "x"\n[corpus]\n', 'give manuals = "FOLDER" with facts = "FILE"'),
    raw("a section with a slip", BASE.encode() + b"[exm]\n", "unknown key 'exm'; did you mean 'exam'?"),
    raw(
        "an unknown key of 9,000 characters", BASE.encode() + b"[exam." + b"k" * 9000 + b"]\n", "unknown key 'exam.kkk"
    ),
]
ROWS = KEYS + TEXTS
