"""What the tests of the doctor share: a run with given teams, its findings by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from retort.config import RunConfig
from retort.doctor.findings import Finding, Section
from retort.doctor.probes import probe_all
from retort.pipeline import Run


def run_of(folder: Path, teams: dict[str, Any], **sections: Any) -> Run:
    """A run with those teams and nothing to train; the first team collects."""
    values: dict[str, Any] = {
        "name": "x",
        "corpus": {"source": "stdlib"},
        "teams": {"student": next(iter(teams.values())), **teams},
        "collect": {"team": next(iter(teams))},
        "student": {"stages": []},
    }
    return Run(RunConfig.model_validate(values | sections), folder / "run")


def seat(url: str, model: str = "base", **values: Any) -> dict[str, Any]:
    """A team whose reasoner sits at `url`."""
    return {"reason": {"model": f"openai:{model}@{url}", **values}}


async def probed(folder: Path, teams: dict[str, Any], seconds: float = 10.0, **sections: Any) -> list[Section]:
    """The sections of the seats and the base, without those of corpus, index and machine."""
    every = await probe_all(run_of(folder, teams, **sections), seconds=seconds)
    return [section for section in every if section.title.partition(":")[0] not in ("corpus", "index", "machine")]


def names(sections: list[Section], *severities: str) -> set[str]:
    """Names of the findings of these severities."""
    return {each.name for section in sections for each in section.findings if each.severity in severities}


def the(sections: list[Section], name: str) -> Finding:
    """The one finding of that name."""
    found = [each for section in sections for each in section.findings if each.name == name]
    assert len(found) == 1, [each.name for section in sections for each in section.findings]
    return found[0]
