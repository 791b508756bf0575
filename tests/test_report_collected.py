"""Collected episodes in the report, characters that turn text around, and the page in a browser at two widths."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import synthetic_run as synthetic

from agents.files import read_json, read_jsonl, write_json, write_jsonl
from evals.leaderboard import Leaderboard, build_leaderboard
from evals.report import episodes, write_report
from evals.report.episodes import Texts, visible
from graphs.runner.ledger import Ledger

OVERRIDE = "\u202e"
BROWSERS = (
    "chromium",
    "chromium-headless-shell",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
)


@pytest.fixture
def collected(tmp_path: Path) -> tuple[Path, Leaderboard]:
    """A run with five arms and forty collected tasks: one played twice, one dropped whose answer turns text around."""
    run = synthetic.write_run(tmp_path / "run")
    train = [synthetic.make_task(i, "train") for i in range(40)]
    write_jsonl(run / "exam.jsonl", synthetic.make_tasks(train=40))
    with Ledger(run / "ledger.sqlite") as ledger:
        for i, task in enumerate(train):
            answer = f"x{OVERRIDE}{i}" if i == 3 else task.gold
            ledger.add(synthetic.episode(task, "teacher", answer))
        ledger.add(synthetic.episode(train[0], "teacher", train[0].gold, key="again", sample=1))
    write_jsonl(run / "kept.jsonl", [{"key": f"teacher-{task.id}"} for task in train if task.id != train[3].id])
    dropped = [{"key": f"teacher-{train[3].id}", "reason": "wrong"}, {"key": "again", "reason": "surplus"}]
    write_jsonl(run / "dropped.jsonl", dropped)
    return run, build_leaderboard(run, synthetic.ARMS)


def embedded(run: Path) -> dict[str, Any]:
    """The page's data."""
    text = (run / "report.html").read_text(encoding="utf-8")
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found
    data = json.loads(found[1])
    assert isinstance(data, dict)
    return data


def test_collected_episodes_stand_in_the_page_with_what_became_of_them(collected: tuple[Path, Leaderboard]) -> None:
    run, board = collected
    write_report(run, board)
    data = embedded(run)
    texts = data["texts"]
    assert [arm["name"] for arm in data["arms"] if arm["split"] == "train"] == ["collected", "collected, episode 2"]
    rows = {texts[task["id"]]: task for task in data["tasks"] if task["split"] == "train"}
    assert len(rows) == 40
    first, second = [each for each in rows["train000"]["episodes"] if each]
    assert (texts[first["dataset"]], texts[second["dataset"]]) == ("kept", "surplus")
    (wrong,) = [each for each in rows["train003"]["episodes"] if each]
    assert (texts[wrong["dataset"]], wrong["right"], wrong["as"]) == ("wrong", False, ["teacher", "react", "free"])
    assert all(len(task["episodes"]) == len(data["arms"]) for task in data["tasks"])
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "Collected: 41 episodes." in page
    assert '<option value="train">collected</option>' in page


def test_they_are_bounded_too_and_dropped_ones_come_first(collected: tuple[Path, Leaderboard]) -> None:
    run, board = collected
    write_report(run, board, limit=12_000)
    text = (run / "report.html").read_text(encoding="utf-8")
    data = embedded(run)
    train = [task for task in data["tasks"] if task["split"] == "train"]
    assert 0 < len(train) < 40
    assert {data["texts"][task["id"]] for task in train} >= {"train000", "train003"}
    assert " of 41, tasks with a dropped one and others in turn" in text


def test_a_run_without_a_ledger_has_no_such_choice(tmp_path: Path) -> None:
    run = synthetic.write_run(tmp_path / "run")
    write_report(run, build_leaderboard(run, synthetic.ARMS))
    assert {arm["split"] for arm in embedded(run)["arms"]} == {"test"}
    assert "<label hidden>episodes" in (run / "report.html").read_text(encoding="utf-8")


def test_what_turns_text_around_is_shown_as_its_code(collected: tuple[Path, Leaderboard]) -> None:
    run, board = collected
    stages = read_json(run / "stages.json", "x")
    stages["exam"]["said"] = f"12 {OVERRIDE}tasks\u2066"
    write_json(run / "stages.json", stages)
    write_report(run, board)
    page = (run / "report.html").read_text(encoding="utf-8")
    assert r"12 \u202etasks\u2066" in page
    assert not set(page) & set("\u202a\u202b\u202d\u202e\u2066\u2067\u200e\u200f")
    assert r"x\\u202e3" in page  # within JSON
    texts = Texts()
    texts.add("a\u200eb\x1b[2Jc\td\n")
    assert texts.rows == ["a\\u200eb\\u001b[2Jc\td\n"]
    for text in ("שלום", "می‌خواهم", "𝒳 é 👩‍🔬"):  # letters of every direction, and joiners, stay
        assert visible(text) == text


PROBE = """<!doctype html><body><pre id=out></pre><script>
const pages = %s;
const load = (width, hash) => new Promise((done) => {
  const frame = document.createElement("iframe");
  frame.style.cssText = "border:0;height:900px;width:" + width + "px";
  frame.src = "report.html" + hash;
  frame.onload = () => setTimeout(() => done(frame), 100);
  document.body.append(frame);
});
(async () => {
  const out = [];
  for (const [width, hash] of pages) {
    const frame = await load(width, hash), page = frame.contentDocument, view = frame.contentWindow;
    const boxes = [...page.querySelectorAll(".scroll")], root = page.documentElement;
    const sizes = [...page.querySelectorAll("svg.plot")].flatMap((svg) => [...svg.querySelectorAll("text")]
      .map((text) => parseFloat(view.getComputedStyle(text).fontSize) * svg.getScreenCTM().a));
    const cut = Math.max(...boxes.map((box) => box.scrollWidth - box.clientWidth));
    out.push({width, cut, over: root.scrollWidth - root.clientWidth,
      least: Math.min(...sizes), texts: sizes.length, left: page.getElementById("pane-left").innerText,
      right: page.getElementById("pane-right").hidden ? null : page.getElementById("pane-right").innerText,
      split: page.getElementById("split").value, question: page.getElementById("question").innerText});
  }
  document.getElementById("out").textContent = JSON.stringify(out);
})();
</script>"""


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """A server of a folder on loopback."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="module")
def browser() -> str:
    """A Chromium; skips where there is none."""
    found = os.environ.get("RETORT_CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip("no Chromium: install one (Debian: chromium-headless-shell), or name it in RETORT_CHROMIUM")
    return found


def probed(browser: str, folder: Path, pages: list[tuple[int, str]]) -> list[dict[str, Any]]:
    """What a browser says of report.html at these widths and addresses."""
    (folder / "probe.html").write_text(PROBE % json.dumps(pages), encoding="utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-proxy-server", "--window-size=1400,1000"]
    with serving(folder) as url:
        done = subprocess.run(
            [browser, *options, "--virtual-time-budget=20000", "--dump-dom", f"{url}/probe.html"],
            capture_output=True,
            text=True,
            timeout=120,
        )
    found = re.search(r'<pre id="out">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found and found[1], done.stderr[-2000:]
    return list(json.loads(html.unescape(found[1])))


def test_the_page_is_whole_and_legible_at_two_widths(
    browser: str, collected: tuple[Path, Leaderboard], tmp_path: Path
) -> None:
    run, board = collected
    write_report(run, board)
    wide, narrow = probed(browser, run, [(1280, ""), (390, "")])
    assert wide["cut"] == 0
    assert wide["over"] == narrow["over"] == 0
    assert narrow["texts"] > 20
    assert min(wide["least"], narrow["least"]) >= 9


def test_an_address_opens_one_episode(browser: str, collected: tuple[Path, Leaderboard]) -> None:
    run, board = collected
    write_report(run, board)
    keys = ["#student-test007", "#base-test002", "#teacher-train003", "#again", "#nothing"]
    student, base, dropped, again, nothing = probed(browser, run, [(1280, key) for key in keys])
    assert (student["split"], "key student-test007" in student["right"]) == ("test", True)
    assert "key base-test002" in base["left"]
    assert (dropped["split"], "key teacher-train003" in dropped["left"]) == ("train", True)
    assert "dropped: wrong" in dropped["left"]
    assert r"x\u202e3" in dropped["left"]
    assert "key again" in again["right"]
    assert "no episode of the key nothing" in nothing["question"]


def test_the_keys_of_list_are_the_addresses(whole: Path) -> None:
    """Every collected episode of a run that really went through stands in its page under its key."""
    run = whole / "run"
    held = {each["key"] for task in embedded(run)["tasks"] for each in task["episodes"] if each}
    assert held >= {row["key"] for row in read_jsonl(run / "kept.jsonl")}
    assert episodes.COLLECTED > 0
