"""The command line: each stage alone or all of them, and what would be run or was played, to look at.

Only argparse is loaded for `--help`; everything heavy loads inside the command that uses it.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .pipeline import Run

SINGLE = {
    "index": (("index",), "manuals -> library"),
    "exam": (("exam",), "facts -> exam with splits and levels"),
    "collect": (("collect",), "the teacher team plays the training tasks into the ledger"),
    "dataset": (("dataset",), "ledger -> kept, dropped and training files"),
    "train": (("cpt", "sft"), "continual pretraining, then fine-tuning, with their proofs"),
    "evaluate": (("evaluate",), "every arm plays the held-out exam in the same graph"),
    "leaderboard": (("leaderboard",), "scores -> leaderboard and report; prints the leaderboard"),
}
BEFORE_EVALUATE = ("index", "exam", "collect", "dataset", "cpt", "sft")


DEBUG = "RETORT_DEBUG"
"""Variable that shows tracebacks."""


def parser() -> argparse.ArgumentParser:
    """The command line's grammar."""
    top = argparse.ArgumentParser(
        prog="retort", description="Distil a team of agents working over your manuals into one small model of your own."
    )
    top.add_argument("--version", action="store_true", help="print the version")
    commands = top.add_subparsers(dest="command", metavar="COMMAND")

    new = commands.add_parser("new", help="write a commented run.toml into a new folder")
    new.add_argument("folder", type=Path, metavar="DIR")

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

    plan = commands.add_parser("plan", help="what would run, how many calls and tokens, without spending any")
    placed(plan)
    plan.add_argument(
        "--pilot", type=int, metavar="N", help="play N training tasks for real and forecast the rest with an interval"
    )

    merge = commands.add_parser("merge", help="write a LoRA student as one full model, for servers")
    merge.add_argument(
        "student", type=Path, metavar="STUDENT", help="a folder with an adapter, e.g. runs/NAME/students/sft"
    )
    merge.add_argument("out", type=Path, metavar="OUT", help="the new model folder")

    doctor = commands.add_parser("doctor", help="probe every seat and this machine before a run is let loose")
    placed(doctor)
    doctor.add_argument("--seconds", type=float, default=30.0, metavar="S", help="for one call at the most")

    ask = commands.add_parser("ask", help="play one question of your own, every turn as it comes")
    ask.add_argument("run", type=Path, metavar="RUN", help="a run folder")
    ask.add_argument("question", metavar="QUESTION")
    ask.add_argument("--team", default="student", help="student, base, cpt, or a name of [teams] (default: student)")
    ask.add_argument(
        "--option", action="append", default=[], metavar="TEXT", help="an answer to choose from; repeat it"
    )
    ask.add_argument("--mode", choices=("react", "cot", "answer"), default="react", help="cot, answer: closed book")
    trusting(ask)

    studio = commands.add_parser("studio", help="LangGraph Studio over a run; a stored trajectory opens as a thread")
    studio.add_argument("run", type=Path, metavar="RUN", help="a run folder")
    studio.add_argument("--trajectory", metavar="KEY", help="open this episode (the start of its key is enough)")
    studio.add_argument("--port", type=int, metavar="N", help="port of the server (default: 2024, or a free one)")
    studio.add_argument("--no-browser", action="store_true", help="print the page's address, do not open it")
    trusting(studio)

    show = commands.add_parser("show", help="a run's leaderboard, or one episode of it, in the terminal")
    show.add_argument("run", type=Path, metavar="RUN", help="a run folder")
    show.add_argument("what", nargs="?", metavar="KEY", help="an episode's key (its start is enough) or a task id")
    show.add_argument("--arm", help="only episodes of this team")
    return top


def placed(command: argparse.ArgumentParser) -> None:
    """Arguments that name a config and its run folder."""
    command.add_argument("config", type=Path, metavar="CONFIG", help="run.toml, or a run folder that holds one")
    command.add_argument("--run", type=Path, metavar="DIR", help="the run folder (default: runs/NAME)")
    trusting(command)


def trusting(command: argparse.ArgumentParser) -> None:
    """The argument that stands for an answer to the question what may be executed."""
    said = (
        "do not ask before tools, MCP commands and templates of the config run, and before keys are sent where it says"
    )
    command.add_argument("--trust", action="store_true", help=said)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status: 0 done, 1 a proof failed, 2 an error to mend, 130 interrupted."""
    arguments = parser().parse_args(argv)
    if arguments.version:
        from . import __version__

        print(f"retort {__version__}")
        return 0
    if arguments.command is None:
        parser().print_help()
        return 2
    if arguments.command == "doctor":
        from .doctor.rooms import shadowed

        said = shadowed()  # before anything of ours is imported by a name that another distribution has taken
        if said:
            print(said)
            return 1
    from agents.errors import ProofError, RetortError

    from .outward import keep_in

    keep_in()
    try:
        return command(arguments)
    except ProofError as error:
        complain(f"blocked: {error}")
        return 1
    except RetortError as error:
        complain(str(error))
        return 2
    except KeyboardInterrupt:
        print("retort: stopped; what was finished is kept, run the same command again to continue", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `retort show ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        from agents.storage import storage_error

        unwritable = storage_error(error)  # a full disk may show in any library that writes
        if unwritable is None:
            raise
        complain(str(unwritable))
        return 2


def complain(said: str) -> None:
    """Print what a command ended with; before it the traceback, where RETORT_DEBUG=1 asks for it."""
    if os.environ.get(DEBUG, "") not in ("", "0"):
        import traceback

        traceback.print_exc()
    print(f"retort: {said}", file=sys.stderr)


def command(arguments: argparse.Namespace) -> int:
    """Run the chosen command."""
    name = arguments.command
    if name == "new":
        from .new import new

        print(new(arguments.folder))
        from .trust import made_here

        made_here(arguments.folder)
        return 0
    if name == "show":
        from .show import show

        print(show(arguments.run, arguments.what, arguments.arm))
        return 0
    if name == "studio":
        from .studio_server import studio

        agreed(arguments)
        return studio(arguments.run, arguments.trajectory, arguments.port, not arguments.no_browser)
    if name == "ask":
        from .ask import ask

        agreed(arguments)
        said = partial(print, flush=True)
        return ask(arguments.run, arguments.question, arguments.team, arguments.option, arguments.mode, said)
    if name == "merge":
        from finetune.merge import merge

        print(merge(str(arguments.student), arguments.out))
        return 0
    run = opened(arguments)
    if name == "plan":
        from .plan import plan

        text, status = plan(run, arguments.pilot)
        print(text)
        return status
    if name == "doctor":
        from .doctor import doctor

        text, status = doctor(run, seconds=arguments.seconds)
        print(text)
        return status
    from .evaluation import dev
    from .pipeline import work
    from .trust import made

    if getattr(arguments, "split", "test") == "dev":
        if name == "run":
            work(run, BEFORE_EVALUATE)
            made(run.config, run.folder)
        print(dev(run, play=name != "leaderboard"))
        return 0
    stages = None if name == "run" else SINGLE[name][0]
    work(run, stages, force=getattr(arguments, "force", False))
    made(run.config, run.folder)
    if name in ("run", "leaderboard"):
        from .show import leaderboard_text

        print(leaderboard_text(run.folder))
    return 0


def opened(arguments: argparse.Namespace) -> Run:
    """The config and run folder that the arguments name."""
    from .config import load_config
    from .outward import settle
    from .pipeline import Run
    from .trust import agree

    config = load_config(arguments.config)
    said = settle(config)
    if said:
        print(said, file=sys.stderr)
    folder = arguments.run
    if folder is None:
        folder = arguments.config if arguments.config.is_dir() else Path("runs") / config.name
    home = arguments.config if arguments.config.is_dir() else arguments.config.parent
    agree(config, home, folder, trust=arguments.trust)
    return Run(config, folder)


def agreed(arguments: argparse.Namespace) -> None:
    """Ask whether what a run folder names may be executed, where that was not agreed to before."""
    if (arguments.run / "run.toml").exists():  # else the command says what is missing
        from .config import load_config
        from .trust import agree

        agree(load_config(arguments.run), arguments.run, arguments.run, trust=arguments.trust)
