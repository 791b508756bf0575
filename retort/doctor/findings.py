"""What the doctor found, one line each, and how it is printed.

Standard library only: the check for a shadowing distribution has to speak where nothing else of the house imports.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from agents.models.meter import Account

Severity = Literal["broken", "warning", "fine"]
ORDER: tuple[Severity, ...] = ("broken", "warning", "fine")
MAX_SEEN = 400
"""Characters of one column at the most: what an endpoint says is quoted, never poured out."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    name: str
    """Stable: scripts may look for it."""
    severity: Severity
    seen: str
    """What was seen, in numbers where there are any."""
    step: str = ""
    """The next thing to do; a line for run.toml where that helps."""


@dataclass(frozen=True)
class Section:
    """The findings on one subject."""

    title: str
    findings: tuple[Finding, ...]
    account: Account | None = None
    """What probing cost; None where nothing was called."""


def line_of(text: str, most: int = MAX_SEEN) -> str:
    """`text` as one bounded line with control characters shown, not obeyed: it may come from an endpoint."""
    shown = "".join(c if c.isprintable() else " " if c in "\r\n\t" else repr(c)[1:-1] for c in text[: 4 * most])
    shown = " ".join(shown.split())
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def without(text: str, secret: str) -> str:
    """`text` without a key, however it was written on its way here; to be cut afterwards."""
    from agents.redaction import redacted  # late: see above

    return redacted(text, [secret])


def sorted_findings(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Broken ones first, otherwise in the order in which they were looked at."""
    return tuple(sorted(findings, key=lambda each: ORDER.index(each.severity)))


def status(sections: Sequence[Section]) -> int:
    """Exit status: 1 where anything is broken."""
    return int(any(each.severity == "broken" for section in sections for each in section.findings))


def json_text(sections: Sequence[Section], **about: str) -> str:
    """The findings as one JSON object: `about`, the counts, and each section with its findings and what it cost."""
    rows = [
        {
            "title": section.title,
            "findings": [asdict(each) for each in sorted_findings(section.findings)],
            "spent": spent([section]),
        }
        for section in sections
    ]
    whole = {**about, "counts": counts(sections), "sections": rows}
    return json.dumps(whole, ensure_ascii=False, indent=2)


def counts(sections: Sequence[Section]) -> dict[str, int]:
    """Severity -> number of findings."""
    every = [each for section in sections for each in section.findings]
    return {name: sum(each.severity == name for each in every) for name in ORDER}


def spent(sections: Sequence[Section]) -> dict[str, Any]:
    """Calls, tokens as the endpoints report them, and USD of some sections together."""
    accounts = [section.account for section in sections if section.account is not None]
    return {name: sum(getattr(each, name) for each in accounts) for name in ("calls", "prompt", "completion", "usd")}


def in_words(sections: Sequence[Section]) -> str:
    """The same in a line."""
    cost = spent(sections)
    paid = f", {cost['usd']:.4f} USD" if cost["usd"] else ""
    return f"{cost['calls']} calls, {cost['prompt']:,} prompt and {cost['completion']:,} reply tokens{paid}"


def table(sections: Sequence[Section]) -> str:
    """The findings as text, one line each under the title of its subject, and a last line that counts them."""
    every = [each for section in sections for each in section.findings]
    wide = max((len(each.name) for each in every), default=0)
    lines: list[str] = []
    for section in sections:
        cost = f"  ({in_words([section])})" if spent([section])["calls"] else ""
        lines.append(f"{line_of(section.title, 160)}{cost}")
        for each in sorted_findings(section.findings):
            step = f"  -> {line_of(each.step)}" if each.step else ""
            lines.append(f"  {each.severity:<8} {each.name:<{wide}}  {line_of(each.seen)}{step}")
        lines.append("")
    found = ", ".join(f"{count} {name}" for name, count in counts(sections).items())
    lines.append(f"{found}; the doctor spent {in_words(sections)}")
    return "\n".join(lines)
