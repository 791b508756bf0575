"""The command line's grammar: every command with its arguments.

Only argparse is loaded, for `--help`.
"""

from __future__ import annotations

import argparse

from .arguments import Parser, place, port, seconds, whole

SINGLE: dict[str, tuple[tuple[str, ...], str]] = {
    "index": (("index",), "manuals -> library"),
    "exam": (("exam",), "facts -> exam with splits and levels"),
    "collect": (("collect",), "the teacher team plays the training tasks into the ledger"),
    "dataset": (("dataset",), "ledger -> kept, dropped and training files"),
    "train": ((), "every training of [student] stages in their order, with their proofs"),
    "evaluate": (("evaluate",), "every arm plays the held-out exam in the same graph"),
    "leaderboard": (("leaderboard",), "scores -> leaderboard and report; prints the leaderboard"),
}
"""Command -> its stages (none: those that the config trains), and what it does."""


def parser() -> argparse.ArgumentParser:
    """The command line's grammar."""
    top = Parser(
        prog="retort", description="Distil a team of agents working over your manuals into one small model of your own."
    )
    top.add_argument("--version", action="store_true", help="print the version")
    commands = top.add_subparsers(dest="command", metavar="COMMAND")

    new = commands.add_parser("new", help="write a commented run.toml and a sample manual that runs into a new folder")
    new.add_argument("folder", type=place, metavar="DIR")
    new.add_argument("--bare", action="store_true", help="run.toml alone, without the sample manual")

    for name, text in [("run", "all stages that are missing or stale, ending with the leaderboard")] + [
        (name, about) for name, (_, about) in SINGLE.items()
    ]:
        one = commands.add_parser(name, help=text)
        placed(one)
        if name != "run":
            one.add_argument("--force", action="store_true", help="do it again even where it is fresh")
        if name in ("run", "evaluate", "leaderboard"):
            one.add_argument(
                "--split",
                choices=("dev", "test"),
                default="test",
                help="dev: the tasks for choosing",
            )
        if name == "leaderboard":
            machine_readable(one)

    benchmark = commands.add_parser("benchmark", help="the arms play an outside exam: what can the student do no more")
    benchmark.add_argument("name", metavar="NAME", help="calls, one of an installed package, or /path/file.py:Class")
    placed(benchmark)
    benchmark.add_argument(
        "--arm", action="append", default=[], metavar="ARM", help="a row of the leaderboard; repeat it"
    )
    machine_readable(benchmark)

    plan = commands.add_parser("plan", help="what would run, how many calls and tokens, without spending any")
    placed(plan)
    plan.add_argument(
        "--pilot", type=whole, metavar="N", help="play N training tasks for real and forecast the rest with an interval"
    )
    machine_readable(plan)

    merge = commands.add_parser("merge", help="write a LoRA student as one full model, for servers")
    merge.add_argument(
        "student", type=place, metavar="STUDENT", help="a folder with an adapter, e.g. runs/NAME/students/sft"
    )
    merge.add_argument("out", type=place, metavar="OUT", help="the new model folder")

    doctor = commands.add_parser("doctor", help="probe every seat and this machine before a run is let loose")
    placed(doctor)
    doctor.add_argument("--seconds", type=seconds, default=30.0, metavar="S", help="for one call at the most")
    machine_readable(doctor)

    ask = commands.add_parser("ask", help="play one question of your own, every turn as it comes")
    ask.add_argument("run", type=place, metavar="RUN", help="a run folder, or the config of one")
    ask.add_argument("question", nargs="?", metavar="QUESTION", help="without one: a session, questions are read")
    ask.add_argument(
        "--team", default="student", help="student, base, a name of [student] stages, or of [teams] (default: student)"
    )
    ask.add_argument(
        "--option", action="append", default=[], metavar="TEXT", help="an answer to choose from; repeat it"
    )
    ask.add_argument("--mode", choices=("react", "cot", "answer"), default="react", help="cot, answer: closed book")
    overriding(ask)
    trusting(ask)

    studio = commands.add_parser("studio", help="LangGraph Studio over a run; a stored trajectory opens as a thread")
    studio.add_argument("run", type=place, metavar="RUN", help="a run folder, or the config of one")
    studio.add_argument("--trajectory", metavar="KEY", help="open this episode (the start of its key is enough)")
    studio.add_argument("--port", type=port, metavar="N", help="port of the server (default: 2024, or a free one)")
    studio.add_argument("--no-browser", action="store_true", help="print the page's address, do not open it")
    trusting(studio)

    show = commands.add_parser("show", help="a run's leaderboard, or one episode of it, in the terminal")
    show.add_argument("run", type=place, metavar="RUN", help="a run folder, or the config of one")
    show.add_argument("what", nargs="?", metavar="KEY", help="an episode's key (its start is enough) or a task id")
    show.add_argument("--arm", help="only episodes of this team")
    looks(commands)
    return top


def looks(commands: argparse._SubParsersAction[Parser]) -> None:
    """The commands that read run folders and play nothing."""
    listing = commands.add_parser("list", help="a run's episodes by arm, label, level and text, with their keys")
    listing.add_argument("run", type=place, metavar="RUN", help="a run folder, or the config of one")
    listing.add_argument("--arm", help="a row of the leaderboard; of what was collected, the team")
    listing.add_argument("--label", help="accepted, wrong, ungrounded, limit, ...")
    listing.add_argument("--level", help="engineer, professional or consultant")
    listing.add_argument("--stop", help="answered, gave_up, malformed, loop, limit, limit:NAME, ...")
    listing.add_argument("--text", help="stands in question, answer or a message, in capitals or not")
    listing.add_argument("--split", choices=("train", "dev", "test"), help="train: what was collected")
    ended = listing.add_mutually_exclusive_group()
    ended.add_argument("--right", action="store_true", default=None, help="ended with the gold")
    ended.add_argument("--wrong", dest="right", action="store_false", help="did not")
    machine_readable(listing, "an object a line")

    compare = commands.add_parser("compare", help="one arm of two runs, paired over the test tasks that both played")
    compare.add_argument("first", type=place, metavar="RUN_A", help="a run folder")
    compare.add_argument("second", type=place, metavar="RUN_B", help="another")
    compare.add_argument("--arm", default="student", help="a row of both leaderboards (default: student)")
    compare.add_argument("--form", choices=("free", "choice"), help="default: the primary form of the runs")
    machine_readable(compare)

    export = commands.add_parser("export", help="a run's dataset as a folder that other tools read, with its card")
    export.add_argument("run", type=place, metavar="RUN", help="a run folder, or the config of one")
    export.add_argument("out", type=place, metavar="OUT", help="the new folder")
    export.add_argument(
        "--format",
        default="trl",
        metavar="NAME",
        help="trl (default), openai, sharegpt, one of an installed package, or your own /path/file.py:Class",
    )
    export.add_argument("--container", choices=("jsonl", "parquet", "hf"), default="jsonl", help="of the rows")
    export.add_argument("--dropped", action="store_true", help="also the episodes left out, with the reasons")
    export.add_argument("--pages", action="store_true", help="also the manual's sections for pretraining")


def machine_readable(command: argparse.ArgumentParser, how: str = "one object") -> None:
    """The argument that asks for JSON."""
    command.add_argument("--json", action="store_true", help=f"print JSON, {how}")


def placed(command: argparse.ArgumentParser) -> None:
    """Arguments that name a config and its run folder."""
    command.add_argument(
        "config", type=place, metavar="CONFIG", help="run.toml, the folder that holds it, or a run folder"
    )
    command.add_argument("--run", type=place, metavar="DIR", help="the run folder (default: runs/NAME beside run.toml)")
    overriding(command)
    trusting(command)


def overriding(command: argparse.ArgumentParser) -> None:
    """The argument that replaces values of the config."""
    command.add_argument(
        "--set",
        action="append",
        default=[],
        dest="overrides",
        metavar="KEY=VALUE",
        help="replace a value of run.toml, e.g. sft.max_steps=20; repeat it for more",
    )


def trusting(command: argparse.ArgumentParser) -> None:
    """The argument that stands for an answer to the question what may be executed."""
    text = (
        "do not ask before tools, MCP commands and templates of the config run, and before keys are sent where it says"
    )
    command.add_argument("--trust", action="store_true", help=text)
