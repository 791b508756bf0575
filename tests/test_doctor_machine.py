"""The doctor on seats in this process and on the machine: renderings by token, extras, ports, shadowing packages."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import little
import pytest
import silence
from doctor_probes import names, probed, run_of, the
from tiny_models import FORGETFUL, tiny_model

from agents.context import Board, Limits
from agents.install import install_line
from retort.doctor import doctor
from retort.doctor.machine import STUDIO_PORT, extras, ports, writable
from retort.doctor.prompts import longest_chunk, need

ROOT = Path(__file__).resolve().parents[1]


def test_what_the_board_can_need_grows_with_its_limits() -> None:
    board = Board()
    usual = need(board, 256, 1200)
    assert 0 < usual.likely < usual.worst
    assert need(board, 512, 1200).worst > usual.worst
    assert need(Board(top_k=6), 256, 1200).worst > usual.worst
    assert need(Board(limits=Limits(steps=2)), 256, 1200).worst < usual.worst
    assert need(Board(limits=Limits(searches=1)), 256, 1200).worst < usual.worst
    assert need(Board(extract="off"), 256, 4000).worst > need(Board(extract="off"), 256, 1200).worst > usual.worst
    assert need(Board(tools=("search", "open")), 256, 1200).worst > usual.worst
    # An episode that may use 2,000 tokens in all ends long before its sixth turn.
    assert need(Board(limits=Limits(tokens=2000)), 256, 1200).worst < 2600


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    from agents.models.engine import close_engines

    folder = tmp_path_factory.mktemp("doctor")
    tiny_model(folder / "good", positions=8192)
    tiny_model(folder / "forgetful", template=FORGETFUL, positions=512)
    yield folder
    close_engines()


async def test_a_model_in_process_is_compared_token_by_token(tiny: Path, tmp_path: Path) -> None:
    sections = await probed(tmp_path, {"teacher": {"reason": f"hf:{tiny / 'good'}"}})
    assert names(sections, "broken") == set()
    assert {"thought", "history", "context", "seat"} <= names(sections, "fine")
    sections = await probed(tmp_path, {"teacher": {"reason": f"hf:{tiny / 'forgetful'}"}})
    assert names(sections, "broken") >= {"thought_lost", "context_too_short"}
    assert "512 positions" in the(sections, "context_too_short").seen


async def test_a_model_that_does_not_open_is_told(tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text("{}", encoding="utf-8")
    for model in (f"hf:{tmp_path / 'nowhere'}", f"hf:{tmp_path / 'broken'}"):
        sections = await probed(tmp_path, {"teacher": {"reason": model}})
        assert names(sections, "broken") == {"seat_not_opened"}


async def test_scripted_seats_say_what_they_are(kettle: Path, tmp_path: Path) -> None:
    sections = await probed(tmp_path, {"teacher": {"reason": f"scripted:answer-key@{kettle / 'exam.jsonl'}"}})
    assert "holding the key of 73 tasks" in the(sections, "scripted").seen
    sections = await probed(tmp_path, {"teacher": {"reason": "scripted:answer-key"}})
    assert "not made yet" in the(sections, "scripted").seen
    sections = await probed(tmp_path, {"teacher": {"reason": f"scripted:lines@{tmp_path / 'none.jsonl'}"}})
    assert names(sections, "broken") == {"seat_not_opened"}


async def test_vllm_folders_are_looked_at_and_not_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETORT_VLLM_PYTHON", sys.executable)
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter_config.json").write_text("{}", encoding="utf-8")
    sections = await probed(tmp_path, {"teacher": {"reason": f"vllm:{tmp_path / 'adapter'}"}})
    assert "adapter folder" in the(sections, "seat_not_opened").seen
    sections = await probed(tmp_path, {"teacher": {"reason": f"vllm:{tmp_path / 'none'}"}})
    assert "no config.json" in the(sections, "seat_not_opened").seen


def test_the_machine_is_told_beside_the_seats(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"reply": "x"}\n', encoding="utf-8")
    text, status = doctor(run_of(tmp_path, {"teacher": {"reason": f"scripted:lines@{path}"}}))
    assert status == 0
    for name in ("python", "extra train", "gpu", "disk", "memory", "loopback", "studio_port", "rooms", "run_folder"):
        assert f" {name} " in text
    assert "a script of 1 lines" in text
    assert not (tmp_path / "run").exists()  # looking makes nothing


def test_an_extra_that_the_config_needs_is_told_with_its_line(tmp_path: Path) -> None:
    teams = {"teacher": {"reason": "scripted:answer-key"}}
    plain = {each.name: each for each in extras(run_of(tmp_path, teams).config)}
    wants = {"student": {"stages": ["sft"]}, "sft": {"method": "qlora"}}
    needy = {each.name: each for each in extras(run_of(tmp_path, teams, **wants).config)}
    there = find_spec("bitsandbytes") is not None
    assert plain["extra qlora"].severity == "fine"
    assert needy["extra qlora"].severity == ("fine" if there else "broken")
    assert there or needy["extra qlora"].step == install_line("qlora")


def test_a_taken_port_is_told() -> None:
    with socket.socket() as taken:
        with suppress(OSError):  # somebody else's, then
            taken.bind(("127.0.0.1", STUDIO_PORT))
            taken.listen()
        found = {each.name: each.severity for each in ports()}
    assert found == {"loopback": "fine", "studio_port": "warning"}


def test_a_run_folder_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    assert writable(tmp_path / "file" / "run").severity == "broken"
    assert writable(tmp_path / "runs" / "x").severity == "fine"
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


INTRUDER = (
    "import sys; from retort.doctor.machine import shadowed; said = shadowed(); print(said); sys.exit(said is not None)"
)


def shadow(folder: Path, *, first: bool) -> subprocess.CompletedProcess[str]:
    """Ask in a fresh Python where another distribution's `agents` lies in `folder`."""
    (folder / "agents").mkdir()
    (folder / "agents" / "__init__.py").write_text("", encoding="utf-8")
    about = folder / "openai_agents-1.2.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: openai-agents\nVersion: 1.2\n", encoding="utf-8")
    (about / "RECORD").write_text("agents/__init__.py,,\n", encoding="utf-8")
    order = [str(folder), str(ROOT)] if first else [str(ROOT), str(folder)]
    environment = {**os.environ, "PYTHONPATH": silence.path(*order)}
    return subprocess.run(
        [sys.executable, "-c", INTRUDER], cwd=folder.parent, env=environment, capture_output=True, text=True
    )


def test_an_agents_of_another_distribution_is_told(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    done = shadow(tmp_path / "site", first=True)
    assert done.returncode == 1, done.stderr
    assert "shadowed" in done.stdout
    assert f"`import agents` opens {tmp_path / 'site' / 'agents'} (of openai-agents 1.2)" in done.stdout
    assert "pip uninstall openai-agents" in done.stdout


def test_an_agents_that_lies_behind_ours_shadows_nothing(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    done = shadow(tmp_path / "site", first=False)
    assert (done.returncode, done.stdout.strip()) == (0, "None"), done.stderr


async def test_a_long_chunk_of_the_library_counts(kettle: Path, tmp_path: Path) -> None:
    run = run_of(tmp_path, {"teacher": {"reason": f"scripted:answer-key@{kettle / 'exam.jsonl'}"}})
    shutil.copytree(kettle / "library", run.folder / "library")
    longest = max(len(chunk.text) for chunk in little.library().chunks)
    assert longest_chunk(run.folder / "library") == longest
    assert longest_chunk(tmp_path / "none") == 1200
