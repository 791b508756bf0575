"""The report: one file, nothing loaded, no model text that becomes markup, the size bounded, the bytes repeatable."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
import synthetic_run as synthetic

from agents.errors import StageError
from agents.files import write_jsonl, write_text
from evals.leaderboard import ArmSpec, Leaderboard, build_leaderboard
from evals.report import episodes, write_report
from evals.report.episodes import LONGEST, Texts, script_json
from evals.report.page import headline, sized
from evals.report.plots import accuracy_plot, loss_plot, smooth
from evals.scores import file_stem

HOSTILE = "</script><img src=x onerror=alert(1)><!--<script>\u2028&quot;"


class Page(HTMLParser):
    """Elements, attributes and script texts of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_data(self, data: str) -> None:
        if self.elements and self.elements[-1][0] == "script" and self.scripts[-1][1] == "":
            self.scripts[-1] = (self.scripts[-1][0], data)
        else:
            self.words.append(data)

    def count(self, tag: str) -> int:
        """Elements of a name."""
        return sum(name == tag for name, _ in self.elements)

    def data(self) -> dict[str, object]:
        """The embedded JSON."""
        found = json.loads(next(text for attrs, text in self.scripts if attrs.get("id") == "data"))
        assert isinstance(found, dict)
        return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Leaderboard]:
    """A synthetic run with its leaderboard. Read only."""
    run = synthetic.write_run(tmp_path_factory.mktemp("report") / "synthetic", 30)
    return run, build_leaderboard(run, synthetic.ARMS)


@pytest.fixture(scope="module")
def page(whole: tuple[Path, Leaderboard]) -> Page:
    """Its report."""
    return Page(write_report(*whole).read_text(encoding="utf-8"))


def test_the_page_loads_nothing_and_allows_one_script(whole: tuple[Path, Leaderboard], page: Page) -> None:
    policy = next(
        attrs["content"] for tag, attrs in page.elements if attrs.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy is not None and policy.startswith("default-src 'none'")
    own = [text for attrs, text in page.scripts if "type" not in attrs]
    assert len(own) == 1 and page.count("script") == 2
    assert f"'sha256-{base64.b64encode(hashlib.sha256(own[0].encode()).digest()).decode()}'" in policy
    assert not re.search(r"script-src[^;]*unsafe", policy)
    assert not page.count("img") and not page.count("link") and not page.count("iframe")
    for tag, attrs in page.elements:
        assert not any(name.startswith("on") for name in attrs), (tag, attrs)
        for name in ("src", "href", "xlink:href"):
            assert (attrs.get(name) or "#").startswith("#"), (tag, attrs)


def test_ids_are_unique_and_anchors_lead_somewhere(page: Page) -> None:
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    for _, attrs in page.elements:
        for name in ("href", "xlink:href"):
            if attrs.get(name):
                assert str(attrs[name]).removeprefix("#") in ids
        for name in ("aria-labelledby",):
            assert attrs.get(name) is None or attrs[name] in ids


def test_what_the_page_says(whole: tuple[Path, Leaderboard], page: Page) -> None:
    text = re.sub(r"\s+", " ", " ".join(page.words))
    assert "Student answers 90.0 % of 30 held-out questions right" in text
    assert "scripted demonstrator, no LLM" in text
    assert "12 episodes in the ledger = 10 kept + 2 dropped." in text
    assert "recovered 4 &lt;b&gt; 1" in text.replace("<b>", "&lt;b&gt;") and "rate 7" in text and "15,500" in text
    assert "FAILED" in text and "no held-out entity in training text" in text
    assert "limit:steps" in text and "no_answer" in text and "12 training tasks" in text
    assert page.count("h1") == 1 and page.count("h2") == 12
    pictures = [attrs for tag, attrs in page.elements if tag == "svg"]
    assert len(pictures) == 2 and all(attrs["role"] == "img" and attrs["aria-label"] for attrs in pictures)


def test_headline_tells_a_clear_difference_from_chance(whole: tuple[Path, Leaderboard]) -> None:
    run, board = whole
    assert "more than chance explains" in headline(board)
    poor = board.row("student").against[-1].model_copy(update={"difference": -0.283, "other": "majority"})
    assert "28.3 points below majority, more than chance explains" in sized(poor)
    won = poor.model_copy(update={"difference": 0.02, "p_holm": 0.4})
    assert "2.0 points above majority, which chance may explain" in sized(won)
    assert "% of 30 in the choice form" in headline(build_leaderboard(run, [synthetic.ARMS[1]]))


def test_the_viewer_holds_every_episode(page: Page) -> None:
    data = page.data()
    tasks, texts, arms = data["tasks"], data["texts"], data["arms"]
    assert isinstance(tasks, list) and isinstance(texts, list) and isinstance(arms, list)
    assert len(tasks) == 30 and [arm["name"] for arm in arms] == [
        *(arm.name for arm in synthetic.ARMS),
        "student (choice form)",
        "teacher (choice form)",
    ]
    assert [arm["form"] for arm in arms] == ["free"] * 5 + ["choice"] * 2
    assert (data["primary"], data["left"]) == (2, 4) and len(texts) == len(set(texts))
    student = tasks[0]["episodes"][2]
    assert [m["role"] for m in student["messages"]] == ["user", "assistant", "tool", "assistant"]
    assert texts[student["messages"][1]["calls"][0]] == 'search({"query": "kettle_test_0"})'
    assert student["right"] is True and tasks[9]["episodes"][2]["right"] is False
    assert texts[tasks[1]["episodes"][0]["stop"]] == "limit:steps"


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    run = synthetic.write_run(tmp_path / "synthetic", 6)
    task = synthetic.make_task(0, question=HOSTILE, kind=HOSTILE)
    write_jsonl(run / "exam.jsonl", [task])
    name = "<img src=x onerror=alert(2)> $x_1$"
    said = synthetic.episode(task, "student", HOSTILE, quotes=(HOSTILE,), stop=HOSTILE)
    bad = said.messages[1] | {"reasoning_content": HOSTILE, "malformed": HOSTILE}
    said = said.model_copy(update={"messages": (said.messages[0], bad, *said.messages[2:])})
    write_jsonl(run / "scores" / f"{file_stem(name)}.trajectories.jsonl", [said])
    proof = [{"name": HOSTILE, "passed": False, "detail": HOSTILE, "numbers": {HOSTILE: HOSTILE}}]
    write_text(run / "leaks.json", json.dumps(proof))
    board = build_leaderboard(run, [ArmSpec(name=name, player=HOSTILE, choice="none")])
    raw = write_report(run, board).read_text(encoding="utf-8")
    page = Page(raw)
    assert page.count("script") == 2 and not page.count("img")
    assert not any(key.startswith("on") for _, attrs in page.elements for key in attrs)
    texts = page.data()["texts"]
    assert isinstance(texts, list) and HOSTILE in texts
    assert "\u2028" not in next(text for attrs, text in page.scripts if attrs.get("id") == "data")
    assert any(HOSTILE.replace("&quot;", "") in word or HOSTILE in word for word in page.words)


@pytest.mark.parametrize("text", [HOSTILE, "<!--", "]]>", "\ud800", "\u2029", "plain", "日本語 <b>"])
def test_script_json_holds_no_markup_and_comes_back(text: str) -> None:
    packed = script_json({"a": [text]})
    assert not re.search(r"[<>&\u0080-\U0010ffff]", packed)
    assert json.loads(packed) == {"a": [text]}


def test_the_size_is_bounded_and_said(whole: tuple[Path, Leaderboard], tmp_path: Path) -> None:
    run = shutil.copytree(whole[0], tmp_path / "synthetic")
    limit = 40_000
    page = Page(write_report(run, whole[1], limit=limit).read_text(encoding="utf-8"))
    packed = next(text for attrs, text in page.scripts if attrs.get("id") == "data")
    tasks = page.data()["tasks"]
    assert isinstance(tasks, list) and 3 < len(tasks) < 30 and len(packed) <= limit
    assert f"{len(tasks)} of 30 held-out tasks" in " ".join(page.words)
    numbers = [task["number"] for task in tasks]
    assert numbers == sorted(numbers) and {10, 20, 30} <= set(numbers), "the student's wrong ones come first"


def test_long_texts_are_cut_and_kept_once() -> None:
    texts = Texts()
    assert texts.add("a") == texts.add("a") == 0
    number = texts.add("x" * (LONGEST + 5))
    assert texts.rows[number].endswith("[cut here: 5 characters more]") and len(texts.rows) == 2


def test_same_run_same_bytes(whole: tuple[Path, Leaderboard]) -> None:
    first = write_report(*whole).read_bytes()
    assert write_report(*whole).read_bytes() == first


def test_a_bare_run_has_a_report_too(tmp_path: Path) -> None:
    run = tmp_path / "bare"
    tasks = [synthetic.make_task(i) for i in range(3)]
    write_jsonl(run / "exam.jsonl", tasks)
    synthetic.write_arm(run, "student", synthetic.play(tasks, "student", lambda i: True))
    board = build_leaderboard(run, [ArmSpec(name="student", player="student")], forms=["free"])
    text = " ".join(Page(write_report(run, board).read_text(encoding="utf-8")).words)
    assert "No student was trained" in text and "No proofs are recorded" in text and "No dataset was made" in text
    assert "No times are recorded" in text and "No episode failed" in text


def test_broken_proofs_are_a_clear_error(whole: tuple[Path, Leaderboard], tmp_path: Path) -> None:
    run = shutil.copytree(whole[0], tmp_path / "synthetic")
    write_text(run / "leaks.json", "{")
    with pytest.raises(StageError, match=r"leaks\.json is not JSON"):
        write_report(run, whole[1])


def test_plots_follow_the_page_and_bear_any_name(whole: tuple[Path, Leaderboard]) -> None:
    board = whole[1]
    odd = board.model_copy(update={"rows": (board.rows[0].model_copy(update={"arm": "日本語 <$x_1$> \x07"}),)})
    drawing = accuracy_plot(odd)
    assert "currentColor" in drawing and "&lt;$x_1$&gt;" in drawing and "\x07" not in drawing.split(">", 1)[1]
    assert loss_plot({"sft": [(1, 2.0), (2, 1.0)]}).startswith("<svg ")
    assert smooth([1.0, 3.0]) == [1.0, 3.0] and smooth([2.0] * 40 + [4.0] * 40)[40] == pytest.approx(2.5)


def test_the_viewer_never_writes_markup() -> None:
    script = (Path(episodes.__file__).parent / "viewer.js").read_text(encoding="utf-8")
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|Function\(|DOMParser", script)
