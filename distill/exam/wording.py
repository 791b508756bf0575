"""How an attribute is asked for in English: several wordings of one question, for one entity, for two, or for `it`.

Attributes come from a facts file in words of their own (`default`, `protocols`, `added in version`, `mutually exclusive
with`); their shape decides the grammar. A run may give its own wordings of an attribute, `[exam.wordings]`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

ENTITY = "{entity}"
"""Stands for the entity in a wording, which every wording holds once."""

_TICKED = re.compile(r"^default of `([^`]+)`$")
_DONE_IN = re.compile(r"^(\w+ed|\w+wn|made|set|given) in (?:which |the )?(.+)$")
_STATE_SINCE = re.compile(r"^(\w+(?:able|ible|ed|id|ete)) (since|until|from) (?:the )?(.+)$")
_HEAD_ENDS = re.compile(r"\s(?:in|of|for|per|by|with|to|from|at|on)\s")
_ENDS_OPEN = re.compile(r"\s(?:with|by|to|from|on|in|for|at|of|as)$")
APPEARING = {"appeared": "appear", "arrived": "arrive", "emerged": "emerge", "started": "start", "began": "begin"}
"""Verbs that take no object: a thing appears, it is not appeared."""


@dataclass(frozen=True)
class Wording:
    """An attribute's questions."""

    asks: tuple[str, ...]
    """Whole questions with `{entity}` in them."""
    clause: str
    """What is asked for as a noun phrase, with `{entity}` in it: `the default of {entity}`."""
    each: str
    """The end of a question about two entities named before: `what is the default of each?`."""
    its: str
    """A question about something named before: `What is its default?`."""


def parameter_of(attribute: str) -> str | None:
    """The parameter whose default an attribute gives; None for other attributes."""
    match = _TICKED.match(attribute)
    return match.group(1) if match else None


def wording(attribute: str, own: Mapping[str, Sequence[str]] | None = None) -> Wording:
    """The wordings of an attribute.

    Args:
        own: attribute -> questions of the user's, with `{entity}` in each; they replace the ones made here.

    >>> wording("added in version").asks[0].format(entity="--foo")
    'In which version was --foo added?'
    """
    made = _made(attribute)
    given = tuple((own or {}).get(attribute, ()))
    if not given:
        return made
    first = given[0]
    return Wording(given, made.clause, _lower(first.replace(ENTITY, "each")), first.replace(ENTITY, "it"))


def _made(attribute: str) -> Wording:
    name = parameter_of(attribute)
    if name is not None:
        return Wording(
            (
                f"What is the default value of parameter `{name}` of {ENTITY}?",
                f"Which default value does parameter `{name}` of {ENTITY} have?",
                f"Which value does parameter `{name}` of {ENTITY} have when it is left out?",
            ),
            f"the default value of parameter `{name}` of {ENTITY}",
            f"what is the default value of parameter `{name}` of each?",
            f"What is the default value of its parameter `{name}`?",
        )
    done = _DONE_IN.match(attribute)
    if done:
        return _of_event(*done.groups())
    state = _STATE_SINCE.match(attribute)
    if state:
        adjective, word, noun = state.groups()
        ask = f"{word.capitalize()} which {noun} is {{}} {adjective}?"
        other = f"Which {noun} is {{}} {adjective} {word}?"
        return _asked(ask, other, clause=f"the {noun} {word} which {ENTITY} is {adjective}")
    if _ENDS_OPEN.search(attribute):
        return _asked(
            f"What is {{}} {attribute}?",
            f"According to the manual, what is {{}} {attribute}?",
            clause=f"what {ENTITY} is {attribute}",
        )
    verb, does = ("are", "Which") if _plural(attribute) else ("is", "Which")
    return Wording(
        (
            f"What {verb} the {attribute} of {ENTITY}?",
            f"{does} {attribute} does {ENTITY} have?",
            f"Look up {ENTITY}: what {verb} its {attribute}?",
        ),
        f"the {attribute} of {ENTITY}",
        f"what {verb} the {attribute} of each?",
        f"What {verb} its {attribute}?",
    )


def _of_event(participle: str, noun: str) -> Wording:
    if participle in APPEARING:
        ask, other = (
            f"In which {noun} did {{}} first {APPEARING[participle]}?",
            f"Which {noun} did {{}} {APPEARING[participle]} in?",
        )
        return _asked(ask, other, clause=f"the {noun} in which {ENTITY} {participle}")
    ask, other = f"In which {noun} was {{}} {participle}?", f"Which {noun} was {{}} {participle} in?"
    return _asked(ask, other, clause=f"the {noun} in which {ENTITY} was {participle}")


def _asked(*templates: str, clause: str) -> Wording:
    """A wording of questions with one gap each."""
    first = templates[0]
    return Wording(
        tuple(template.format(ENTITY) for template in templates),
        clause,
        _lower(first.format("each")),
        first.format("it"),
    )


def _plural(attribute: str) -> bool:
    """Whether the head of a noun phrase is a plural by its look: `protocols`, not `class`, `status` or `basis`."""
    head = _HEAD_ENDS.split(attribute)[0].split()[-1]
    return len(head) > 3 and head.endswith("s") and not head.endswith(("ss", "us", "is"))


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
