"""Results that were paid for, kept by key as they come; and how plain code waits for a coroutine."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from agents.files import read_lines_kept, write_jsonl

T = TypeVar("T")


class Journal:
    """Results by key in a file of JSON lines; a line that was cut off when its process was killed is left out."""

    def __init__(self, path: Path) -> None:
        self.path = path
        rows = read_lines_kept(path)[0] if path.exists() else []
        self.results: dict[str, Any] = {row["key"]: row["result"] for row in rows if {"key", "result"} <= row.keys()}
        self._appended = False

    def put(self, key: str, result: Any) -> None:
        """Keep a result; it is in the file when this returns."""
        self.results[key] = result
        if not self._appended:
            self.settle()
            self._appended = True
            return
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"key": key, "result": result}, ensure_ascii=False) + "\n")

    def settle(self) -> None:
        """Write the file anew, by key: the same results make the same bytes, in whatever order they came."""
        write_jsonl(self.path, ({"key": key, "result": self.results[key]} for key in sorted(self.results)))


def finished(working: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end from plain code; where an event loop runs already, in a thread with another one."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(working)
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, working).result()
