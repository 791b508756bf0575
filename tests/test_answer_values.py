"""What counts as the same answer, and as a quote: the edges of numbers, units, lists, letters and quotation marks."""

from __future__ import annotations

import pytest

from agents.answers import bare, bears, canonical, fold, gave_up, holds, match_option, normalise, parse_final, stands_in
from agents.answers import same_answer as same


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("  a \t b\nc ", "a b c"),
        ("`a` and `b`", "a and b"),
        ("'a'", "a"),
        ("\"'a'\"", "a"),
        ("“a”", "a"),
        ("‘a’", "a"),
        ("'a\"", "'a\""),
        ("' a '", "a"),
        ("''", ""),
        ("a.", "a"),
        ("a .", "a"),
        ("(a. b).", "(a. b)"),
        ("a..", "a.."),
        ("...", "..."),
        (".", "."),
        ("x.", "x"),
        ("'", "'"),
    ],
)
def test_an_answer_without_what_surrounds_it(text: str, form: str) -> None:
    assert bare(text) == form


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("c, a,b", "a, b, c"),
        ("b,, a,", "a, b"),
        ("b a", "b a"),
        ("(b, a)", "(b, a)"),
        ("[b, a]", "[b, a]"),
        ("f(b), a", "f(b), a"),
        ("{b, a}", "{b, a}"),
        ("say 'b', a", "say 'b', a"),
        ('say "b", a', 'say "b", a'),
        ("X, A", "A, X"),
    ],
)
def test_only_a_list_outside_brackets_and_quotes_is_put_in_order(text: str, form: str) -> None:
    assert normalise(text) == form


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("007", "7"),
        ("000", "0"),
        ("100", "100"),
        ("1_000_000", "1000000"),
        ("1,234,567", "1234567"),
        ("1,23", "1, 23"),  # no number: a list
        (".5", "0.5"),
        ("0.50", "0.50"),
        ("5.00", "5"),
        ("-0.0", "0"),
        ("-0.5", "-0.5"),
        ("-7", "-7"),
        ("+7.0", "7"),
        ("1E3", "1000"),
        ("-1e3", "-1000"),
        ("1.5e1", "15"),
        ("25e-1", "2.5"),
        ("1e14", "100000000000000"),
        ("1e16", "1e+16"),
        ("1e999", "inf"),
        ("-", "-"),
        ("e5", "e5"),
    ],
)
def test_a_number_has_one_spelling(text: str, form: str) -> None:
    assert canonical(text) == form


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("60 Seconds", "60s"),
        ("1.0 min", "1m"),
        ("-5 msec", "-5ms"),
        ("007 days", "7d"),
        ("8 KB", "8k"),
        ("8kilobytes", "8k"),
        ("2 GB", "2g"),
        ("3 weeks", "3w"),
        ("1 byte", "1b"),
        ("2 hr", "2h"),
        ("5 apples", "5 apples"),
        ("5 Apples", "5 Apples"),
    ],
)
def test_a_number_with_a_unit_has_one_spelling(text: str, form: str) -> None:
    assert canonical(text) == form


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("None", "none"),
        ("Server, HTTP and Location", "http, location, server"),
        ("red or blue", "blue, red"),
        ("red, and blue", "blue, red"),
        ("red, or blue", "blue, red"),
        ("the Red", "the red"),
        ("X", "X"),
        ("x, Yes", "Yes, x"),
        ("utf_8", "utf_8"),
        ("http2, Server", "Server, http2"),
        ("sand", "sand"),
        ("Ärger", "ärger"),
    ],
)
def test_case_and_order_matter_only_where_code_could_tell_them_apart(text: str, form: str) -> None:
    assert canonical(text) == form


def test_parts_are_compared_one_by_one_in_their_order() -> None:
    for said in ("3 and 60s", "3, 60 seconds", "`3`; 60s", "3/60s", "3, and 60s.", "`3` and `60s`"):
        assert same(said, "3 and 60s", parts=("3", "60s")), said
    for said in ("60s and 3", "3", "3 60s", "3 and 60s and 3", ""):
        assert not same(said, "3 and 60s", parts=("3", "60s")), said
    assert not same("a; b", "b; a")
    assert not same("3;60s", "3 and 60s")  # two parts only where the task has them


def test_with_options_only_the_option_counts() -> None:
    options = ("60s", "7", "9")
    assert same("A", "60s", options) and same("60s", "60s", options)
    assert not same("B", "60s", options)
    assert not same("60 seconds", "60s", options)
    assert not same("sixty", "60s", options, aliases=("sixty",))
    assert not same(None, "60s", options) and not same(None, "None")
    assert same("sixty", "60s", aliases=("other", "Sixty"))


@pytest.mark.parametrize(
    ("answer", "option"),
    [
        ("**B**", "two"),
        ("(B)", "two"),
        ("B:", "two"),
        ("B.", "two"),
        ("(B) two", "two"),
        ("B: `two`", "two"),
        ("C. three, four", "three, four"),
        ("C) four, three", "three, four"),
        ("B) one", None),
        ("D", None),
        ("D) four", None),
        ("b", None),
        ("two.", "two"),
        ("one two", None),
        ("A and B", None),
    ],
)
def test_an_option_is_named_by_letter_by_text_or_by_both(answer: str, option: str | None) -> None:
    assert match_option(answer, ("one", "two", "three, four")) == option


def test_two_options_that_read_the_same_are_never_chosen_by_text() -> None:
    assert match_option("a, b", ("a, b", "b, a")) is None
    assert match_option("A", ("a, b", "b, a")) == "a, b"
    assert match_option("A", ()) is None
    assert match_option("B) x", ("x",)) is None


@pytest.mark.parametrize(
    ("text", "answer", "quotes"),
    [
        ("answer: 5\nQUOTE: q", "5", ("q",)),
        ("- Quote: a\n# Answer: b", "b", ("a",)),
        ("**Quote**: a\n__Answer:__ b", "b", ("a",)),
        ("Answer : 5", "5", ()),
        ("Quote:\nQuote:  \nAnswer: 5", "5", ()),
        ("Answer: 5\nAnswer:", None, ()),
        ("Answers: 5", None, ()),
        ("Quote: Answer: 5", None, ("Answer: 5",)),
    ],
)
def test_lines_of_a_final_message(text: str, answer: str | None, quotes: tuple[str, ...]) -> None:
    found = parse_final(text)
    assert (found.answer, found.quotes) == (answer, quotes)


@pytest.mark.parametrize(
    ("quote", "text", "there"),
    [
        ("17", "it is 17.", True),
        ("17", "it is 170", False),
        ("17", "it is 217", False),
        ("-a", "x-a b", True),  # a quote that opens with a sign may follow a letter
        ("(a)", "f(a)b", True),
        ("a b", "x a \n b y", True),
        ("a.b", "axb", False),
        ("ab", "ab", True),
        ("b)", "a b)c", True),
        ("(b", "a(b c", True),
        ("(b", "a(bc", False),
        (" ", "a", False),
    ],
)
def test_a_quote_stands_verbatim_and_not_within_a_word(quote: str, text: str, there: bool) -> None:
    assert stands_in(quote, text) is there


@pytest.mark.parametrize(
    ("text", "value", "there"),
    [
        ("1", "1", True),
        ("a 1, b", "1", True),
        ("it is 1.", "1", True),
        ("10", "1", False),
        ("0.1", "1", False),
        ("1.5", "1", False),
        ("x-1", "1", False),
        ("1-x", "1", False),
        ("a_1", "1", False),
        ("(1)", "1", True),
        ("a.b", "a.b", True),
        ("axb", "a.b", False),
        ("-1", "-1", True),
    ],
)
def test_a_text_holds_a_value_only_as_a_whole(text: str, value: str, there: bool) -> None:
    assert holds(text, value) is there


@pytest.mark.parametrize(
    ("quote", "value", "found"),
    [
        ("`60s` is the default", "60s", True),
        ("60s 60s", "60s", True),
        ("60s.", "60s", False),
        ("- 60s -", "60s", False),
        ("Context: `a`, `b`", "b, a", True),
        ("Context: b, a", "a, b", True),
        ("a, b", "a, b", False),
        ("a: b", "a: b", False),
        ("Time: 10: 30", "10: 30", True),
        ("The values are b, a here", "b, a", True),
        ("The values are `b` and `a`", "a, b", True),
        ("The value is b", "a, b", False),
        ("The values are ab and ba", "a, b", False),
        ("Default: 7", "60s", False),
        ("Default:", "60s", False),
        ("The default is 160s", "60s", False),
        ("Sets `a` `b` of it", "a b", True),
        (" ", "60s", False),
    ],
)
def test_a_quote_bears_a_value_beside_other_words(quote: str, value: str, found: bool) -> None:
    assert bears(quote, value) is found


def test_giving_up_in_other_cases_and_marks_is_giving_up() -> None:
    for said in ("I don't know", "i DON'T know.", '"I don\'t know"', "`I don't know`"):
        assert gave_up(said), said
    for other in (None, "", "I don't know it", "don't know"):
        assert not gave_up(other), other
    assert fold(" a  b ") == "a b"
