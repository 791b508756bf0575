"""What nobody foresaw is one sentence with the next step; RETORT_DEBUG=1 shows where it happened."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from agents.folders import unusable
from agents.storage import storage_error
from retort.cli import complain, main, unexpected


def test_an_error_that_nobody_foresaw_is_one_sentence() -> None:
    said = unexpected(KeyError("a\nb"))
    assert said.startswith(
        "KeyError: 'a\\nb': that is a mistake in Retort; RETORT_DEBUG=1 before the same command shows"
    )
    assert "\n" not in unexpected(ValueError("one\ntwo"))
    assert unexpected(ValueError()).startswith("ValueError: that is a mistake")
    assert len(unexpected(ValueError("x" * 10_000))) < 500


def test_the_traceback_is_shown_where_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for value, shown in (("", False), ("0", False), ("1", True)):
        monkeypatch.setenv("RETORT_DEBUG", value)
        try:
            raise ValueError("here")
        except ValueError as error:
            complain(unexpected(error))
        said = capsys.readouterr().err
        assert ("Traceback" in said) == shown
        assert said.splitlines()[-1].startswith("retort: ValueError: here")


def test_a_bad_command_line_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["plan"])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said == ("retort: the following arguments are required: CONFIG; `retort plan --help` shows what it takes\n")


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.EISDIR, "a folder stands where a file is needed"),
        (errno.ENOTDIR, "a file stands where a folder is needed"),
        (errno.ENAMETOOLONG, "its path is too long"),
        (errno.ELOOP, "its symbolic links lead in a circle"),
    ],
)
def test_paths_that_cannot_be_used_are_told(number: int, said: str) -> None:
    assert said in str(storage_error(OSError(number, "x", "/a/b")))
    assert said in str(unusable(Path("/a/b"), OSError(number, "x", "/a/b")))


def test_the_place_of_a_move_that_failed_is_named() -> None:
    error = OSError(errno.EISDIR, "Is a directory", "/a/.b.tmp", None, "/a/b")
    assert str(storage_error(error)).startswith("/a/b: a folder stands where a file is needed")
