"""How final messages are read, and which option an answer names."""

from __future__ import annotations

import pytest

from agents.answers import bears, gave_up, match_option, normalise, parse_final, same_answer, stands_in


@pytest.mark.parametrize(
    ("text", "answer", "quotes"),
    [
        ("The manual says so.\nQuote: a=1\nAnswer: 1", "1", ("a=1",)),
        ("Quote: x\nQuote: y\nAnswer: x and y", "x and y", ("x", "y")),
        ("**Answer:** `off`", "`off`", ()),
        ("> Answer: 5\n", "5", ()),
        ("__Answer__: _ssl", "_ssl", ()),
        ("Quote: __main__\nAnswer: **kwargs", "**kwargs", ("__main__",)),
        ("Answer: 1\nNo, wait.\nAnswer: 2", "2", ()),
        ("the answer: is not a tag in the middle", None, ()),
        ("Answer:", None, ()),
        ("", None, ()),
    ],
)
def test_final_messages(text: str, answer: str | None, quotes: tuple[str, ...]) -> None:
    final = parse_final(text)
    assert (final.answer, final.quotes) == (answer, quotes)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("`http`, `server`, `location`", "http, location, server"),
        ("'utf-8'", "utf-8"),
        ("  7.64.1. ", "7.64.1"),
        ("a   b", "a b"),
    ],
)
def test_same_after_normalisation(one: str, other: str) -> None:
    assert normalise(one) == normalise(other)


@pytest.mark.parametrize(("one", "other"), [("-a", "-A"), ("(1, 2)", "(2, 1)"), ("1.0", "1.00"), ("...", "")])
def test_different_after_normalisation(one: str, other: str) -> None:
    assert normalise(one) != normalise(other)


@pytest.mark.parametrize(
    ("answer", "option"),
    [
        ("-1", "-1"),
        ("B", "-1"),
        ("(b)", None),
        ("B)", "-1"),
        ("B) -1", "-1"),
        ("B) None", None),
        ("None or -1", None),
        ("E", None),
        ("", None),
        (None, None),
    ],
)
def test_exactly_one_option_must_match(answer: str | None, option: str | None) -> None:
    assert match_option(answer, ("None", "-1", "0", "False")) == option


def test_a_letter_that_is_also_an_options_text_is_ambiguous() -> None:
    assert match_option("A", ("B", "A")) is None
    assert match_option("A", ("A", "B")) == "A"


def test_open_questions_compare_text() -> None:
    assert same_answer("`off`", "off", ())
    assert not same_answer(None, "off", ())


def test_giving_up_is_one_agreed_phrase() -> None:
    assert gave_up("i don't know.")
    assert not gave_up("unknown")


@pytest.mark.parametrize(
    ("quote", "text", "there"),
    [
        ("Default: 17", "x\nDefault:  17\ny", True),
        ("Default: 17", "Default: 171", False),
        ("maxsplit=-1", "f(sep=None, maxsplit=-1)", True),
        ("split=-1", "f(maxsplit=-1)", False),
        ("", "anything", False),
    ],
)
def test_a_quote_stands_whole(quote: str, text: str, there: bool) -> None:
    assert stands_in(quote, text) is there


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        ("60 seconds", "60s"),
        ("60 s.", "60s"),
        ("30", "30.0"),
        ("1,000", "1000"),
        ("1e3", "1000"),
        ("+5", "5"),
        ("none", "None"),
        ("TRUE", "True"),
        ("'utf-8'", "utf-8"),
        ("`http`, server and location", "http, location, server"),
        ("8 KB", "8k"),
        ("-0", "0"),
        ("http, and server", "server, http"),
    ],
)
def test_free_answers_that_are_the_same_value(answer: str, gold: str) -> None:
    assert same_answer(answer, gold)
    assert same_answer(gold, answer)


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        ("7.1", "7.10"),
        ("ast.expr", "ast.Expr"),
        ("-a", "-A"),
        ("60", "60s"),
        ("60m", "60s"),
        ("", "0"),
        (".", "0"),
        ("-5", "5"),
        ("utf_8", "utf-8"),
        ("x", "X"),
        ("http", "http, server"),
        ("e5", "0"),
    ],
)
def test_free_answers_that_are_not(answer: str, gold: str) -> None:
    assert not same_answer(answer, gold)
    assert not same_answer(gold, answer)


def test_parts_may_be_joined_otherwise_but_not_exchanged() -> None:
    gold, parts = "7.1 and 60s", ("7.1", "60s")
    assert same_answer("7.1, 60 seconds", gold, parts=parts)
    assert same_answer("`7.1` and `60s`.", gold, parts=parts)
    assert not same_answer("60s and 7.1", gold, parts=parts)
    assert not same_answer("7.1", gold, parts=parts)
    assert not same_answer("7.1 and 60s and 8", gold, parts=parts)


@pytest.mark.parametrize(
    ("answer", "parts", "right"),
    [
        ("on and off", ("on", "off"), True),
        ("off and on", ("on", "off"), False),
        ("off, on", ("on", "off"), False),
        ("On, off", ("on", "off"), True),
        ("on; and off.", ("on", "off"), True),
        ("http / server", ("http", "server"), True),
        ("server and http", ("http", "server"), False),
        ("on and on", ("on", "on"), True),
        ("on", ("on", "on"), False),
        ("/etc/x and 60 seconds", ("/etc/x", "60s"), True),
        ("/etc/x, 60s", ("/etc/x", "60s"), True),
        ("60s and /etc/x", ("/etc/x", "60s"), False),
    ],
)
def test_two_plain_words_are_not_exchanged_either(answer: str, parts: tuple[str, ...], right: bool) -> None:
    assert same_answer(answer, " and ".join(parts), parts=parts) is right


def test_an_alias_is_as_right_as_the_gold() -> None:
    assert same_answer("file", "<file>", aliases=("file",))
    assert not same_answer("file", "<file>")


@pytest.mark.parametrize(
    ("quote", "value", "found"),
    [
        ("Default: 60s", "60s", True),
        ("60s", "60s", False),
        ("the", "60s", False),
        ("Default: 160s", "60s", False),
        ("Context: server, http", "http, server", True),
        ("It stands in `http` and `server` blocks", "http, server", True),
        ("It stands in `http` blocks", "http, server", False),
        ("maxsplit=-1", "-1", True),
        ("on", "on", False),
        ("", "on", False),
        ("Default: on", "`on`", True),
    ],
)
def test_a_quote_bears_a_value_that_it_says_of_something(quote: str, value: str, found: bool) -> None:
    assert bears(quote, value) is found
