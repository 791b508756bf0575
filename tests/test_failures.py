"""Failures of endpoints are told apart in the same way whatever client met them."""

from __future__ import annotations

import time
from email.utils import formatdate
from typing import Any

import pytest
from langchain_core.messages import HumanMessage
from openai_server import serving

from agents.context import Seat
from agents.errors import ProviderError
from agents.models import open_seat
from agents.models.scripted import LineScript

Q = [HumanMessage("q")]


def saying(status: int, said: str) -> Any:
    """A server that refuses every request."""
    return serving(LineScript(rows=[]), fault=lambda number, body: (status, {"error": {"message": said}}))


@pytest.mark.parametrize(
    "said",
    [
        "This model's maximum context length is 2048 tokens",
        "the request exceeds the available context size, try increasing it",
        "prompt is too long: 9000 tokens > 100 maximum",
        "Input is too long for requested model.",
        "Requested token count exceeds the model's context_length",
        "Prompt contains 40000 tokens, too large for model with 32768 maximum context length",
    ],
)
async def test_a_prompt_that_outgrew_the_model_is_known_by_every_servers_words(said: str) -> None:
    with saying(400, said) as server:
        reply = await open_seat(Seat(model=f"openai:m@{server.url}")).ainvoke(Q)
    assert reply.response_metadata["finish_reason"] == "context"


@pytest.mark.parametrize("said", ["tools[0].function.name: string too long", "stop: array too long"])
async def test_another_complaint_of_a_length_is_the_requests_own(said: str) -> None:
    with saying(400, said) as server, pytest.raises(ProviderError) as caught:
        await open_seat(Seat(model=f"openai:m@{server.url}")).ainvoke(Q)
    assert caught.value.kind == "request"


@pytest.mark.parametrize(("status", "kind"), [(408, "timeout"), (529, "rate"), (503, "server"), (422, "request")])
async def test_a_status_has_one_class(status: int, kind: str) -> None:
    with saying(status, "no") as server, pytest.raises(ProviderError) as caught:
        await open_seat(Seat(model=f"openai:m@{server.url}")).ainvoke(Q)
    assert (caught.value.kind, caught.value.status) == (kind, status)


class Waiting(Exception):
    """As a client tells 429 with its headers."""

    status_code = 429

    def __init__(self, headers: dict[str, str]) -> None:
        super().__init__("slow down")
        self.response = type("Response", (), {"headers": headers, "status_code": 429})()


@pytest.mark.parametrize(
    ("headers", "least", "most", "kind"),
    [
        ({"retry-after": "7"}, 7, 7, "rate"),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5, 1.5, "rate"),
        ({"retry-after": formatdate(time.time() + 7200, usegmt=True)}, 3600, 7201, "quota"),
        ({"retry-after": "600"}, 600, 600, "quota"),
    ],
)
def test_how_long_to_stay_away_is_read_of_a_langchain_package_too(
    headers: dict[str, str], least: float, most: float, kind: str
) -> None:
    from agents.models.langchain_class import failed

    with pytest.raises(ProviderError) as caught:
        failed(Waiting(headers), "Parrot")
    assert caught.value.kind == kind
    assert caught.value.retry_after is not None
    assert least <= caught.value.retry_after <= most
