"""A seat as a table with provider, model and url of their own: names with `@`, several URLs, Azure's deployments."""

from __future__ import annotations

from pathlib import Path

import pytest
from langchain_core.messages import HumanMessage
from openai_server import serving

from agents.context import Seat
from agents.errors import ConfigError
from agents.models import on_azure
from agents.models.desk import call, one_by_one
from agents.models.scripted import LineScript
from agents.providers import split_spec
from retort.config import load_config
from retort.doctor.line import addresses

AZURE = "https://mine.openai.azure.com/openai/deployments/gpt?api-version=2024-10-21"


def config(tmp_path: Path, seat: str) -> Path:
    (tmp_path / "run.toml").write_text(
        f'name = "x"\n[corpus]\nsource = "stdlib"\n[teams.teacher]\nreason = {seat}\n', encoding="utf-8"
    )
    return tmp_path / "run.toml"


def test_a_name_with_an_at_sign_is_the_models_and_not_a_url(tmp_path: Path) -> None:
    path = config(tmp_path, '{ provider = "openai", model = "claude@2025", url = "https://h.invalid/v1" }')
    seat = load_config(path).teams["teacher"].reason
    assert seat.model == "openai:claude%402025@https://h.invalid/v1"
    assert split_spec(seat.model) == ("openai", "claude@2025", "https://h.invalid/v1")
    assert addresses(seat)[0].model == "claude@2025"
    assert split_spec(seat.model).line == seat.model


def test_azures_query_stays_with_its_url(tmp_path: Path) -> None:
    seat = (
        load_config(config(tmp_path, f'{{ provider = "openai", model = "gpt", url = "{AZURE}" }}'))
        .teams["teacher"]
        .reason
    )
    (address,) = addresses(seat)
    assert address.at("/chat/completions") == AZURE.replace("gpt?", "gpt/chat/completions?")
    assert on_azure(AZURE)
    assert not on_azure("https://azure.com.invalid/v1")


def test_several_urls_are_several_endpoints() -> None:
    seat = Seat.model_validate(
        {"provider": "vllm", "model": "m@1", "url": ["http://a.invalid/v1?x=1,2", "http://b.invalid/v1"]}
    )
    assert [split_spec(one.model) for one in one_by_one(seat)] == [
        ("vllm", "m@1", "http://a.invalid/v1?x=1%2C2"),
        ("vllm", "m@1", "http://b.invalid/v1"),
    ]


async def test_the_endpoint_is_asked_for_the_name_as_it_is() -> None:
    with serving(LineScript(rows=[{"reply": "Answer: 3"}])) as server:
        seat = Seat.model_validate({"provider": "openai", "model": "claude@2025", "url": server.url})
        reply, _ = await call(seat, "reason", [HumanMessage("q")])
        assert reply.content == "Answer: 3"
        assert server.seen[0]["model"] == "claude@2025"


def test_the_key_goes_to_azure_in_its_own_header_too() -> None:
    pytest.importorskip("langchain_openai")
    import httpx

    from agents.models.openai import with_azure_key

    for url, there in ((AZURE, True), ("https://h.invalid/v1", False)):
        request = httpx.Request("POST", url, headers={"authorization": "Bearer abc"})
        with_azure_key(request)
        assert (request.headers.get("api-key") == "abc") is there


@pytest.mark.parametrize(
    ("seat", "said"),
    [
        ('{ provider = "openai", url = "https://h.invalid/v1" }', "names no model"),
        ('{ provider = "hf", model = "x" }', "is a line"),
        ('{ model = "openai:m", url = "https://h.invalid/v1" }', "provider, model and url"),
        ('{ provider = "opneai", model = "m" }', "expected provider"),
        (
            '{ provider = "openai", model = "m", url = "https://h.invalid/v1?api-key=abcdefgh1234" }',
            "holds a secret",
        ),
        ('{ provider = "openai", modle = "m" }', "did you mean 'model'"),
    ],
)
def test_a_table_that_makes_no_line_is_told(seat: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=said):
        load_config(config(tmp_path, seat))
