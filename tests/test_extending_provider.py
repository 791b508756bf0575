"""The provider of docs/extending/provider.md, read from there, plays episodes in the graph and fails by class."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import little
import pytest

from agents.context import Seat
from agents.errors import ProviderError
from agents.models.desk import call
from agents.models.prices import costs
from graphs.episode import Table
from graphs.runner.collect import collect
from graphs.runner.ledger import Ledger

PAGE = Path(__file__).resolve().parents[1] / "docs" / "extending" / "provider.md"


class Completing(BaseHTTPRequestHandler):
    """Completes every prompt by the same answer; the model `busy` is refused."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.seen.append(body)  # type: ignore[attr-defined]
        self.send_response(429 if body["model"] == "busy" else 200)
        self.end_headers()
        self.wfile.write(json.dumps({"text": "I know it.\nAnswer: 3"}).encode())

    def log_message(self, *args: Any) -> None:
        """Nothing."""


@contextmanager
def server() -> Iterator[Any]:
    made = ThreadingHTTPServer(("127.0.0.1", 0), Completing)
    made.seen = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.shutdown()
        made.server_close()
        thread.join()


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """The page's file."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    path = tmp_path / "plain.py"
    path.write_text(code, encoding="utf-8")
    return path


async def test_the_provider_of_the_page_plays_in_the_graph(own: Path, kettle: Path, tmp_path: Path) -> None:
    with server() as served:
        seat = Seat(model=f"{own}:plain:m@http://127.0.0.1:{served.server_port}/complete", transport="text")
        assert costs(seat)
        context = little.context(kettle, seat)
        with Ledger(tmp_path / "ledger.sqlite") as ledger:
            done = await collect(little.tasks(little.library())[:2], Table.from_context(context), ledger)
            answers = [each.answer for each in ledger.trajectories()]
    assert (done.played, done.failures) == (2, {})
    assert answers == ["3", "3"]
    assert served.seen[0]["model"] == "m" and served.seen[0]["prompt"].startswith("system: ")


async def test_its_failures_have_a_class(own: Path) -> None:
    with server() as served:
        url = f"http://127.0.0.1:{served.server_port}/complete"
        with pytest.raises(ProviderError, match="429.*lower the concurrency") as caught:
            await call(Seat(model=f"{own}:plain:busy@{url}"), "reason", [])
    assert (caught.value.kind, caught.value.status) == ("rate", 429)
    with pytest.raises(ProviderError) as caught:
        await call(Seat(model=f"{own}:plain:m@{url}"), "reason", [])
    assert caught.value.kind == "refused"
