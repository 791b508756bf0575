"""What the command line takes: numbers and paths that nothing can be done with are refused in one sentence."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import NoReturn

MOST = 1_000_000
"""Of a number of tasks."""
DAY = 86_400
"""Seconds."""


class Parser(argparse.ArgumentParser):
    """Says what is wrong with a command line in one sentence."""

    def error(self, message: str) -> NoReturn:
        """Print the sentence and exit with 2."""
        self.exit(2, f"retort: {message}; `{self.prog} --help` shows what it takes\n")


def whole(text: str) -> int:
    """A whole number of 1 or more."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if not 1 <= number <= MOST:
        raise argparse.ArgumentTypeError(f"{text[:80]!r} is no whole number from 1 to {MOST:,}")
    return number


def seconds(text: str) -> float:
    """A number of seconds above 0, up to a day."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number <= DAY:
        raise argparse.ArgumentTypeError(f"{text[:80]!r} is no number of seconds above 0, up to {DAY:,}")
    return number


def port(text: str) -> int:
    """The number of a port."""
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= 65_535:
        raise argparse.ArgumentTypeError(f"{text[:80]!r} is no port: give a number from 1 to 65535")
    return int(text)


def place(text: str) -> Path:
    """A path that a file system can hold."""
    shown = repr(text if len(text) <= 80 else f"{text[:80]}...")
    if not text or "\0" in text:
        raise argparse.ArgumentTypeError(f"{shown} is no path")
    if len(os.fsencode(text)) > 4_000 or any(len(os.fsencode(part)) > 255 for part in Path(text).parts):
        raise argparse.ArgumentTypeError(f"{shown} is too long for a path: 255 bytes a name at the most")
    path = Path(text)
    try:
        path.resolve()
    except RuntimeError:
        raise argparse.ArgumentTypeError(f"{shown}: its symbolic links lead in a circle") from None
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{shown} cannot be used as a path ({error.strerror})") from None
    return path
