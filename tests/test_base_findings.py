"""What a base can do is found out before a teacher is paid: plan, doctor and run say the same and refuse the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from doctor_probes import names, probed, the
from little import write_microdomain
from tiny_models import BARE, FORGETFUL, FUSSY, MARKED, tiny_model

from agents.errors import StageError
from retort.cli import main
from retort.config import RunConfig, load_config
from retort.doctor.base import base_findings
from retort.doctor.before import refuse
from retort.doctor.findings import Finding
from retort.pipeline import Run

TINY: dict[str, Any] = {"hidden": 32, "layers": 1}
UNENDED = BARE.replace("m['content'] + '<|im_end|>'", "m['content']")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("findings")
    for name, template in (
        ("good", "qwen3"),
        ("bare", BARE),
        ("fussy", FUSSY),
        ("none", None),
        ("forgetful", FORGETFUL),
        ("unended", UNENDED),
        ("marked", MARKED),
    ):
        tiny_model(folder / name, template=template, positions=4096, **TINY)
    tiny_model(folder / "short", positions=300, **TINY)
    tiny_model(folder / "middling", positions=1500, **TINY)
    return folder


def config_of(base: Path | str, **sections: Any) -> RunConfig:
    student = {"base": str(base), **sections.pop("student", {})}
    values = {"name": "x", "corpus": {"source": "stdlib"}, "student": student}
    return RunConfig.model_validate({**values, **sections})


def broken(findings: list[Finding]) -> list[Finding]:
    return [each for each in findings if each.severity == "broken"]


def changed(home: Path, tmp_path: Path, **changes: Any) -> Path:
    """A copy of the good base with another config.json."""
    import shutil

    folder = tmp_path / "changed"
    shutil.copytree(home / "good", folder)
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**settings, **changes}))
    return folder


@pytest.mark.parametrize("name", ["good", "marked"])
def test_a_base_that_can_is_fine_in_every_way(home: Path, name: str) -> None:
    found = base_findings(config_of(home / name))
    assert {each.severity for each in found} == {"fine"}
    assert {each.name for each in found} == {"template", "positions", "base"}
    refuse([("student.base", found)])


def test_the_tiny_base_needs_no_look() -> None:
    assert {each.severity for each in base_findings(config_of("tiny-base", board={"top_k": 1}))} == {"fine"}
    assert base_findings(config_of("tiny-base", student={"stages": []}, teams={"student": TEAM, "teacher": TEAM})) == []


TEAM = {"reason": "scripted:answer-key"}

TEMPLATES = [
    ("bare", "tools_lost", 'set chat_template = "chatml"'),
    ("fussy", "template_raises", 'set chat_template = "chatml"'),
    ("none", "template_missing", 'set chat_template = "chatml"'),
    ("forgetful", "thought_lost", 'set chat_template = "chatml"'),
    ("unended", "tools_lost", 'set chat_template = "chatml"'),
]


@pytest.mark.parametrize(("name", "finding", "step"), TEMPLATES)
def test_a_template_that_cannot_is_told_with_a_setting_that_was_tried(
    home: Path, name: str, finding: str, step: str
) -> None:
    found = broken(base_findings(config_of(home / name)))
    assert finding in {each.name for each in found}
    assert all(step in each.step for each in found)
    assert broken(base_findings(config_of(home / name, student={"chat_template": "chatml"}))) == []
    with pytest.raises(StageError, match=r"student.base cannot be trained, .*\[student\]"):
        refuse([("student.base", found)])


def test_a_raising_template_is_told_by_its_first_line(home: Path) -> None:
    (found,) = broken(base_findings(config_of(home / "fussy")))
    assert found.seen == "the chat template raises at the system and user turns: System role not supported"


def test_a_transport_in_words_needs_no_tools_of_the_template(home: Path) -> None:
    for wire in ("text", "hermes"):
        assert broken(base_findings(config_of(home / "bare", student={"transport": wire}))) == []
    (found,) = broken(base_findings(config_of(home / "unended", student={"transport": "text"})))
    assert found.name == "stop_not_trained"


def test_the_template_of_each_training_is_looked_at(home: Path) -> None:
    found = broken(base_findings(config_of(home / "bare", sft={"chat_template": "chatml"})))
    assert {each.name for each in found} >= {"tools_lost"}  # cpt and the arm `base` have the base's own
    (found_,) = broken(base_findings(config_of(home / "good", sft={"chat_template": "chatlm"})))
    assert "chatlm" in found_.seen


METHODS: list[tuple[dict[str, Any], str]] = [
    ({"sft": {"method": "qlora"}, "cpt": {"method": "lora"}}, 'sft.method = "qlora" starts from an adapter'),
    ({"sft": {"method": "qlora"}}, 'sft.method = "qlora" needs bitsandbytes'),
    ({"cpt": {"method": "qlora"}}, 'cpt.method = "qlora" needs bitsandbytes'),
]


@pytest.mark.parametrize(("sections", "said"), METHODS)
def test_a_method_that_cannot_be_is_told_in_one_sentence(home: Path, sections: dict[str, Any], said: str) -> None:
    from importlib.util import find_spec

    if "bitsandbytes" in said and find_spec("bitsandbytes") is not None:
        pytest.skip("bitsandbytes is installed")
    found = broken(base_findings(config_of(home / "good", **sections)))
    assert said in found[0].seen
    assert found[0].step


def test_an_adapter_takes_no_four_bits(home: Path, tmp_path: Path) -> None:
    settings = {"base_model_name_or_path": str(home / "good"), "peft_type": "LORA"}
    (tmp_path / "adapter_config.json").write_text(json.dumps(settings))
    found = broken(base_findings(config_of(tmp_path, student={"stages": ["sft"]}, sft={"method": "qlora"})))
    assert "starts from an adapter" in found[0].seen
    assert "`retort merge`" in found[0].step


SHAPES: list[tuple[dict[str, Any], str]] = [
    ({"quantization_config": {"quant_method": "gptq"}}, "base_quantised"),
    ({"dtype": "float8_e4m3fn"}, "base_dtype"),
    ({"is_encoder_decoder": True}, "base_not_causal"),
    ({"model_type": "bert-of-tomorrow"}, "base_not_causal"),
    ({"vocab_size": 100}, "vocabulary"),
]


@pytest.mark.parametrize(("changes", "name"), SHAPES)
def test_a_model_that_is_no_base_is_told(home: Path, tmp_path: Path, changes: dict[str, Any], name: str) -> None:
    (found,) = broken(base_findings(config_of(changed(home, tmp_path, **changes))))
    assert found.name == name
    assert found.step


def test_what_is_no_model_is_told(tmp_path: Path) -> None:
    for name in (tmp_path / "nowhere", tmp_path):
        (found,) = broken(base_findings(config_of(name)))
        assert found.name == "base_not_opened"
    (tmp_path / "config.json").write_text("{")
    assert "cannot be read" in broken(base_findings(config_of(tmp_path)))[0].seen
    (tmp_path / "config.json").write_text('{"model_type": "qwen3"}')
    assert "no weights" in broken(base_findings(config_of(tmp_path)))[0].seen


def test_positions_refuse_one_look_up_that_does_not_fit_and_warn_of_a_long_episode(home: Path) -> None:
    (found,) = broken(base_findings(config_of(home / "short")))
    assert found.name == "positions"
    assert found.seen.startswith("300 positions, and an episode of one look-up needs")
    warned = [each for each in base_findings(config_of(home / "middling")) if each.severity == "warning"]
    assert [each.name for each in warned] == ["positions"]
    assert "limit:context" in warned[0].seen


async def test_the_doctor_tells_the_same(home: Path, tmp_path: Path) -> None:
    student = {"base": str(home / "bare"), "stages": ["sft"]}
    sections = await probed(tmp_path, {"teacher": {"reason": "scripted:answer-key"}}, student=student)
    assert "tools_lost" in names(sections, "broken")
    assert "chatml" in the(sections, "tools_lost").step


def write_run(folder: Path, base: Path, more: str = "") -> Path:
    write_microdomain(folder)
    path = folder / "run.toml"
    path.write_text(
        'name = "kettle"\n[corpus]\nmanuals = "manual"\nfacts = "facts.jsonl"\n[exam]\ntrain = 12\ntest = 8\n'
        f'[student]\nbase = {json.dumps(str(base))}\nstages = ["sft"]\n{more}'
    )
    return path


def test_plan_and_run_refuse_before_anybody_is_paid(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_run(tmp_path, home / "bare")
    run = tmp_path / "run"
    assert main(["plan", str(path), "--run", str(run), "--trust"]) == 2
    assert "broken       tools_lost" in capsys.readouterr().out
    assert main(["plan", str(path), "--run", str(run), "--pilot", "2"]) == 2
    assert main(["run", str(path), "--run", str(run)]) == 2
    said = capsys.readouterr().err
    assert "student.base cannot be trained, tools_lost: the chat template leaves out" in said
    assert 'set chat_template = "chatml" in [student]' in said
    assert (run / "exam.jsonl").exists()
    assert not (run / "ledger.sqlite").exists()


def test_transport_and_template_reach_every_arm_of_the_student(home: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.jinja"
    own.write_text(MARKED)
    path = write_run(tmp_path, home / "bare", 'transport = "hermes"\nchat_template = "own.jinja"\n')
    config = load_config(path)
    assert config.student.chat_template == str(own)
    run = Run(config, tmp_path / "run")
    (run.folder / "students" / "sft").mkdir(parents=True)
    base, student = run.team("base").reason, run.team("student").reason
    assert (base.transport, base.chat_template) == ("hermes", str(own))
    assert (student.transport, student.chat_template) == ("hermes", None)
    assert config.sft.templated(config.student.chat_template).chat_template == str(own)


def test_another_template_or_transport_is_another_student(home: Path, tmp_path: Path) -> None:
    from retort.stages import parts_of, sources
    from retort.table import stage_of

    own = tmp_path / "own.jinja"
    code = sources(config_of(home / "bare"))

    def depends(**student: Any) -> dict[str, dict[str, str]]:
        run = Run(config_of(home / "bare", student=student), tmp_path / "run")
        return {
            name: parts_of(run, stage_of(run.config, name), code[name])
            for name in ("collect", "cpt", "sft", "evaluate")
        }

    def changed(one: dict[str, dict[str, str]], two: dict[str, dict[str, str]]) -> dict[str, set[str]]:
        both = {name: {**one[name], **two[name]} for name in one}
        return {
            name: found
            for name, every in both.items()
            if (found := {part for part in every if one[name].get(part) != two[name].get(part)})
        }

    own.write_text(MARKED)
    first = depends(chat_template=str(own))
    own.write_text(MARKED + " ")
    found = changed(first, depends(chat_template=str(own)))
    assert found["cpt"] == {"template.cpt"}
    assert found["sft"] == {"template.sft"}
    assert found["evaluate"] == {"team.base.reason.chat_template"}
    assert "collect" not in found
    assert changed(depends(), depends(transport="text"))["sft"] == {"config.student.transport"}
