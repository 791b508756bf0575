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

from .grammar import SINGLE, parser

if TYPE_CHECKING:
    from .overrides import Override
    from .pipeline import Run

DEBUG = "RETORT_DEBUG"
"""Variable that shows tracebacks."""


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
        from .doctor.machine import shadowed

        text = shadowed()  # before anything of ours is imported by a name that another distribution has taken
        if text:
            print(text)
            return 1
    from agents.errors import ProofError, RetortError

    from .outward import keep_in
    from .progress import printed

    keep_in()
    try:
        with printed():
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

        # A full disk may show in any library that writes.
        complain(str(storage_error(error) or unexpected(error)))
        return 2


def unexpected(error: Exception) -> str:
    """What is said of an error that nobody foresaw."""
    first = (str(error).strip().splitlines() or [""])[0][:200]
    kind = type(error).__name__
    return (
        f"{kind}{f': {first}' if first else ''}: that is a mistake in Retort; {DEBUG}=1 before the same command shows "
        "where, please report that"
    )


def complain(text: str) -> None:
    """Print what a command ended with; before it the traceback, where RETORT_DEBUG=1 asks for it."""
    if os.environ.get(DEBUG, "") not in ("", "0"):
        import traceback

        traceback.print_exc()
    print(f"retort: {text}", file=sys.stderr)


def command(arguments: argparse.Namespace) -> int:
    """Run the chosen command."""
    name = arguments.command
    if name == "new":
        from .new import new

        print(new(arguments.folder, sample=not arguments.bare))
        from .trust import made_here

        made_here(arguments.folder)
        return 0
    if name in ("show", "studio", "ask"):
        from .folders import run_given

        arguments.run = run_given(arguments.run)
    if name == "show":
        from .show import show

        print(show(arguments.run, arguments.what, arguments.arm))
        return 0
    if name in ("list", "compare", "export"):
        return look(arguments)
    if name == "studio":
        from .studio_server import studio

        agreed(arguments)
        return studio(arguments.run, arguments.trajectory, arguments.port, not arguments.no_browser)
    if name == "ask":
        from .ask import ask

        wanted = replaced(arguments, arguments.run / "run.toml")
        agreed(arguments, wanted)
        write = partial(print, flush=True)
        question = arguments.question
        return ask(arguments.run, question, arguments.team, arguments.option, arguments.mode, write, overrides=wanted)
    if name == "merge":
        from finetune.merge import merge

        print(merge(str(arguments.student), arguments.out))
        return 0
    run = opened(arguments)
    if name == "plan":
        from .plan import plan

        text, status = plan(run, arguments.pilot, as_json=arguments.json)
        print(text)
        return status
    if name == "doctor":
        from .doctor import doctor

        text, status = doctor(run, seconds=arguments.seconds, as_json=arguments.json)
        print(text)
        return status
    if name == "benchmark":
        from .benchmark import benchmark
        from .paths import absolute_tool

        result = benchmark(run, absolute_tool(arguments.name, Path()), arguments.arm)
        print(result.model_dump_json(indent=2) if arguments.json else result.text())
        return 0
    from .evaluation import dev
    from .pipeline import work
    from .table import stages_before
    from .trust import made

    as_json = getattr(arguments, "json", False)
    if getattr(arguments, "split", "test") == "dev":
        if name == "run":
            work(run, stages_before(run.config, "evaluate"))
            made(run.config, run.folder)
        table = dev(run, play=name != "leaderboard")
        print(json_file(run.folder / "leaderboard.dev.json") if as_json else table)
        return 0
    stages = None if name == "run" else SINGLE[name][0] or run.config.student.trainings
    work(run, stages, force=getattr(arguments, "force", False))
    made(run.config, run.folder)
    if name in ("run", "leaderboard"):
        from .show import leaderboard_text

        print(json_file(run.folder / "leaderboard.json") if as_json else leaderboard_text(run.folder))
    return 0


def look(arguments: argparse.Namespace) -> int:
    """Run a command of `looks`."""
    from .folders import run_given

    for name in ("run", "first", "second"):
        if hasattr(arguments, name):
            setattr(arguments, name, run_given(getattr(arguments, name)))
    if arguments.command == "list":
        from .listing import Listing, Wanted

        names = ("arm", "label", "level", "stop", "text", "right", "split")
        listing = Listing(arguments.run, Wanted(**{name: getattr(arguments, name) for name in names}))
        for line in listing.lines(as_json=arguments.json):
            print(line)
        print(listing.count(), file=sys.stderr)
    elif arguments.command == "compare":
        from .against import compared, text

        found = compared(arguments.first, arguments.second, arguments.arm, arguments.form)
        print(found.model_dump_json(indent=2) if arguments.json else text(found))
    else:
        from .export import export
        from .paths import absolute_tool

        form, more = absolute_tool(arguments.format, Path()), {"dropped": arguments.dropped, "pages": arguments.pages}
        print(export(arguments.run, arguments.out, form, arguments.container, **more))
    return 0


def json_file(path: Path) -> str:
    """What a command wrote as JSON, for standard output."""
    return path.read_text(encoding="utf-8").rstrip()


def opened(arguments: argparse.Namespace) -> Run:
    """The config and run folder that the arguments name."""
    from .config import load_config
    from .folders import beside, elsewhere, place_of
    from .outward import settle
    from .pipeline import Run
    from .trust import agree

    place = place_of(arguments.config)
    config = load_config(place.config, replaced(arguments, place.config))
    text = settle(config)
    if text:
        print(text, file=sys.stderr)
    folder = arguments.run or place.run or beside(place.config, config.name)
    if folder != arguments.run and (noted := elsewhere(place.config, config.name, folder)):
        print(noted, file=sys.stderr)
    run = Run(config, folder, place.config)
    run.check_place()
    agree(config, place.config.parent, run.folder, trust=arguments.trust)
    return run


def replaced(arguments: argparse.Namespace, config: Path) -> list[Override]:
    """What --set replaces of a config, each said aloud."""
    from .overrides import parse, summary
    from .toml_file import read_toml

    wanted = [parse(text) for text in arguments.overrides]
    if wanted and config.is_file():  # else the command says what is missing
        for line in summary(wanted, read_toml(config)):
            print(line, file=sys.stderr)
    return wanted


def agreed(arguments: argparse.Namespace, overrides: Sequence[Override] = ()) -> None:
    """Ask whether what a run folder names may be executed, where that was not agreed to before."""
    if (arguments.run / "run.toml").exists():  # else the command says what is missing
        from .config import load_config
        from .trust import agree

        agree(load_config(arguments.run, overrides), arguments.run, arguments.run, trust=arguments.trust)
