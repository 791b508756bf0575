"""Attributes in words of their own become grammatical questions."""

from __future__ import annotations

import re

import pytest

from distill.exam.wording import parameter_of, wording

ATTRIBUTES = {
    "default": (
        "What is the default of {entity}?",
        "the default of {entity}",
        "what is the default of each?",
        "What is its default?",
    ),
    "protocols": (
        "What are the protocols of {entity}?",
        "the protocols of {entity}",
        "what are the protocols of each?",
        "What are its protocols?",
    ),
    "class of storage": (
        "What is the class of storage of {entity}?",
        "the class of storage of {entity}",
        "what is the class of storage of each?",
        "What is its class of storage?",
    ),
    "added in version": (
        "In which version was {entity} added?",
        "the version in which {entity} was added",
        "in which version was each added?",
        "In which version was it added?",
    ),
    "appeared in version": (
        "In which version did {entity} first appear?",
        "the version in which {entity} appeared",
        "in which version did each first appear?",
        "In which version did it first appear?",
    ),
    "made in the country": (
        "In which country was {entity} made?",
        "the country in which {entity} was made",
        "in which country was each made?",
        "In which country was it made?",
    ),
    "available since version": (
        "Since which version is {entity} available?",
        "the version since which {entity} is available",
        "since which version is each available?",
        "Since which version is it available?",
    ),
    "valid until the year": (
        "Until which year is {entity} valid?",
        "the year until which {entity} is valid",
        "until which year is each valid?",
        "Until which year is it valid?",
    ),
    "mutually exclusive with": (
        "What is {entity} mutually exclusive with?",
        "what {entity} is mutually exclusive with",
        "what is each mutually exclusive with?",
        "What is it mutually exclusive with?",
    ),
    "implied by": (
        "What is {entity} implied by?",
        "what {entity} is implied by",
        "what is each implied by?",
        "What is it implied by?",
    ),
    "default of `timeout`": (
        "What is the default value of parameter `timeout` of {entity}?",
        "the default value of parameter `timeout` of {entity}",
        "what is the default value of parameter `timeout` of each?",
        "What is the default value of its parameter `timeout`?",
    ),
}
PLURALS = {"contexts": "are", "units of time": "are", "status": "is", "basis": "is", "class": "is", "gas": "is"}


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_questions_are_grammatical(attribute: str) -> None:
    made = wording(attribute)
    assert (made.asks[0], made.clause, made.each, made.its) == ATTRIBUTES[attribute]


@pytest.mark.parametrize("attribute", [*ATTRIBUTES, *PLURALS])
def test_every_wording_is_one_question_about_its_entity(attribute: str) -> None:
    made = wording(attribute)
    assert len(set(made.asks)) == len(made.asks) >= 2
    for ask in made.asks:
        assert ask.count("{entity}") == 1
        assert ask[0].isupper()
        assert ask.endswith("?")
    assert made.clause.count("{entity}") == 1
    assert made.each[0].islower()
    assert made.its[0].isupper()
    for text in (*made.asks, made.clause, made.each, made.its):
        plain = text.replace("{entity}", "`thing`")
        assert not re.search(r"\b(\w+) \1\b", plain), f"a word twice in {plain!r}"
        assert not re.search(r"[{}]|  | \?", plain), plain


@pytest.mark.parametrize("attribute", PLURALS)
def test_plurals_are_plural(attribute: str) -> None:
    assert wording(attribute).asks[0] == f"What {PLURALS[attribute]} the {attribute} of {{entity}}?"


def test_own_wordings_replace_the_made_ones() -> None:
    own = {"default": ("How high is {entity} set at first?", "What does {entity} start at?")}
    made = wording("default", own)
    assert made.asks == own["default"]
    assert made.each == "how high is each set at first?"
    assert made.its == "How high is it set at first?"
    assert made.clause == "the default of {entity}"
    assert wording("context", own) == wording("context")


def test_the_parameter_of_an_attribute() -> None:
    assert parameter_of("default of `key`") == "key"
    assert parameter_of("default") is None
    assert parameter_of("default of `a` and `b`") is None
