"""Names of scripted seats: which script plays, and how often it goes wrong on purpose."""

from __future__ import annotations

from urllib.parse import parse_qsl

from ..errors import SeatError

SCRIPTS = ("answer-key", "lines")


def script_of(name: str) -> tuple[str, float]:
    """`answer-key?errors=0.2` -> the script, and the share of its turns that go wrong.

    Raises:
        SeatError: there is no such script, or it does not take the option.
    """
    script, _, given = name.partition("?")
    if script not in SCRIPTS:
        raise SeatError(f"scripted seat {name!r} is not known: there are answer-key@EXAM and lines@FILE")
    options = dict(parse_qsl(given, keep_blank_values=True))
    try:
        errors = float(options.pop("errors", "0"))
    except ValueError:
        errors = -1.0
    if (given and script == "lines") or options or not 0 <= errors <= 1 or (given and "errors=" not in given):
        raise SeatError(f"scripted seat {name!r}: the one option is answer-key?errors=SHARE, a number from 0 to 1")
    return script, errors
