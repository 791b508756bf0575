"""The hf seat: batched replies equal lone ones, adapters share a batch, and no bad request harms another."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from langchain_core.messages import HumanMessage
from tiny_models import SEARCH, tiny_model

from agents.errors import SeatError
from agents.models.engine import CACHE_BYTES, Engine, Request, close_engines, engine_for
from agents.models.hf import HFChat, open_hf
from agents.models.weights import find_weights

QUESTIONS = ["What is the capital of France?" + " city" * (7 * at % 23) for at in range(12)]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("hf") / "base")


@pytest.fixture(scope="module")
def adapters(base: Path) -> tuple[Path, Path]:
    """Two LoRA adapters beside the base, which they name by a relative path."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    from finetune.student import write_adapter
    from finetune.trainer import quiet_libraries

    made = []
    for seed in (1, 2):
        folder = base.parent / f"adapter{seed}"
        with quiet_libraries():
            torch.manual_seed(seed)
            model = get_peft_model(
                AutoModelForCausalLM.from_pretrained(base), LoraConfig(r=4, target_modules="all-linear")
            )
            for name, weight in model.named_parameters():
                if "lora_B" in name:
                    torch.nn.init.normal_(weight, std=0.2)
            write_adapter(model, folder, "../base")
        made.append(folder)
    return made[0], made[1]


@pytest.fixture(scope="module", autouse=True)
def no_engine_outlives_this_file() -> Any:
    yield
    close_engines()


def ids_of(message: Any) -> list[int]:
    ids: list[int] = message.response_metadata["completion_ids"]
    return ids


def ask(chats: list[HFChat], questions: list[str]) -> list[list[int]]:
    """Ask all at once, the chats in turn."""

    async def together() -> list[Any]:
        calls = [chats[at % len(chats)].ainvoke([HumanMessage(each)]) for at, each in enumerate(questions)]
        return await asyncio.gather(*calls)

    return [ids_of(message) for message in asyncio.run(together())]


def test_a_batch_writes_what_each_row_writes_alone_and_what_generate_writes(base: Path) -> None:
    chat = open_hf(str(base), max_tokens=24)
    alone = [ids_of(chat.invoke([HumanMessage(each)])) for each in QUESTIONS]
    together = ask([chat], QUESTIONS)
    assert together == alone
    assert max(chat.engine.batches) > 4
    message = chat.invoke([HumanMessage(QUESTIONS[0])])
    prompt = torch.tensor([message.response_metadata["prompt_ids"]])
    out = chat.engine.model.generate(input_ids=prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=24)
    assert out[0, prompt.shape[1] :].tolist()[: len(alone[0])] == alone[0]
    assert message.usage_metadata is not None
    assert message.usage_metadata["input_tokens"] == prompt.shape[1]


def test_sampled_replies_depend_on_seed_and_prompt_alone(base: Path) -> None:
    chat = open_hf(str(base), max_tokens=16, temperature=1.0, seed=5)
    other = open_hf(str(base), max_tokens=16, temperature=1.0, seed=6)
    alone = [ids_of(chat.invoke([HumanMessage(each)])) for each in QUESTIONS]
    assert ask([chat], QUESTIONS) == alone
    assert ask([other], QUESTIONS) != alone


def test_replies_of_different_length_and_temperature_share_a_batch(base: Path) -> None:
    chats = [
        open_hf(str(base), max_tokens=tokens, temperature=heat) for tokens, heat in ((4, 0.0), (20, 0.0), (9, 0.8))
    ]
    alone = [ids_of(chats[at % 3].invoke([HumanMessage(each)])) for at, each in enumerate(QUESTIONS)]
    assert ask(chats, QUESTIONS) == alone
    assert {len(ids) for ids in alone[::3]} == {4}


def test_logprobs_are_those_of_the_model(base: Path) -> None:
    chat = open_hf(str(base), max_tokens=8, logprobs=True)
    data = chat.invoke([HumanMessage("Which city?")]).response_metadata
    whole = torch.tensor([data["prompt_ids"] + data["completion_ids"]])
    with torch.inference_mode():
        spread = torch.log_softmax(chat.engine.model(input_ids=whole).logits[0].float(), -1)
    start = len(data["prompt_ids"])
    wanted = [float(spread[start + at - 1, token]) for at, token in enumerate(data["completion_ids"])]
    assert data["logprobs"] == pytest.approx(wanted, abs=1e-4)


def test_a_prompt_without_room_ends_as_context_and_nothing_is_generated(base: Path) -> None:
    chat = open_hf(str(base), max_tokens=64)
    message = asyncio.run(chat.ainvoke([HumanMessage("city " * 1200)]))
    assert message.content == ""
    assert message.response_metadata["finish_reason"] == "context"
    assert message.usage_metadata is not None
    assert message.usage_metadata["output_tokens"] == 0
    assert chat.invoke([HumanMessage("x")]).response_metadata["finish_reason"] == "length"


def test_adapters_and_their_base_share_one_batch_exactly(base: Path, adapters: tuple[Path, Path]) -> None:
    chats = [open_hf(str(each), max_tokens=12) for each in (base, *adapters)]
    assert len({id(chat.engine) for chat in chats}) == 1
    alone = [ids_of(chats[at % 3].invoke([HumanMessage(QUESTIONS[0])])) for at in range(3)]
    assert len({tuple(ids) for ids in alone}) == 3
    chats[0].engine.batches.clear()
    mixed = ask(chats, [QUESTIONS[0]] * 9)
    assert mixed == alone * 3
    assert max(chats[0].engine.batches) > 1
    private = open_hf(str(adapters[0]), max_tokens=12, shared=False)
    assert ids_of(private.invoke([HumanMessage(QUESTIONS[0])])) == alone[1]
    private.engine.close()


def test_an_adapter_without_its_base_or_of_another_shape_is_named(base: Path, adapters: tuple[Path, Path]) -> None:
    lost = base.parent / "lost"
    shutil.copytree(adapters[0], lost)
    config = json.loads((lost / "adapter_config.json").read_text())
    (lost / "adapter_config.json").write_text(json.dumps({**config, "base_model_name_or_path": "../gone"}))
    with pytest.raises(SeatError, match=r"\.\./gone"):
        open_hf(str(lost))
    wide = tiny_model(base.parent / "wide", hidden=32)
    (lost / "adapter_config.json").write_text(json.dumps({**config, "base_model_name_or_path": str(wide)}))
    with pytest.raises(SeatError, match="does not fit its base"):
        open_hf(str(lost))
    (lost / "adapter_config.json").write_text(json.dumps({**config, "base_model_name_or_path": "../adapter2"}))
    with pytest.raises(SeatError, match="merge it first"):
        find_weights(str(lost))
    for broken in ("[1]", "{", "{}"):
        (lost / "adapter_config.json").write_text(broken)
        with pytest.raises(SeatError, match="adapter_config"):
            find_weights(str(lost))


def test_a_folder_that_is_no_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(SeatError, match="no model folder"):
        open_hf(str(tmp_path / "absent"))
    with pytest.raises(SeatError, match="it is no model folder"):
        open_hf(str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(SeatError):
        open_hf(str(tmp_path))
    assert find_weights("owner/model").base == "owner/model"


def test_a_failing_batch_tells_its_requests_and_the_thread_lives_on(base: Path) -> None:
    engine = Engine(str(base))
    bad = engine.submit(Request(ids=(1, 10**6), max_tokens=4, stops=(2,)))
    with pytest.raises(IndexError):
        bad.result(timeout=30)
    good = engine.submit(Request(ids=(1, 5, 6), max_tokens=4, stops=(2,)))
    assert len(good.result(timeout=30).ids) <= 4
    engine.close()
    engine.close()
    with pytest.raises(SeatError, match="closed"):
        engine.submit(Request(ids=(1,), max_tokens=1))


def test_a_cancelled_request_is_left_out_and_the_loop_runs_on_while_others_decode(base: Path) -> None:
    chat = open_hf(str(base), max_tokens=200)

    async def scene() -> tuple[int, Any]:
        first = asyncio.create_task(chat.ainvoke([HumanMessage("What is Rome?")]))
        second = asyncio.create_task(chat.ainvoke([HumanMessage("What is Lyon?")]))
        ticks = 0
        await asyncio.sleep(0.001)
        second.cancel()
        while not first.done():
            await asyncio.sleep(0.002)
            ticks += 1
        return ticks, await first

    ticks, message = asyncio.run(scene())
    assert ticks > 5
    assert message.response_metadata["completion_ids"]
    assert chat.invoke([HumanMessage("x")]).response_metadata["completion_ids"]


def test_changed_weights_get_a_new_engine_and_the_old_one_says_so(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "m", hidden=32, layers=1)
    old = open_hf(str(folder), max_tokens=4)
    assert engine_for(str(folder)) is old.engine
    tiny_model(folder, hidden=32, layers=1, seed=9)
    new = open_hf(str(folder), max_tokens=4)
    assert new.engine is not old.engine
    with pytest.raises(SeatError, match="open the seat again"):
        old.invoke([HumanMessage("x")])


def test_tools_reach_the_prompt_and_a_forced_choice_is_refused(base: Path) -> None:
    chat = open_hf(str(base), max_tokens=4)
    offered = chat.bind_tools([SEARCH]).invoke([HumanMessage("x")]).response_metadata["prompt_ids"]
    assert "Search the manual" in chat.tokenizer.decode(offered)
    none = chat.bind_tools([SEARCH], tool_choice="none").invoke([HumanMessage("x")]).response_metadata["prompt_ids"]
    assert "Search the manual" not in chat.tokenizer.decode(none)
    with pytest.raises(SeatError, match="'required'"):
        chat.bind_tools([SEARCH], tool_choice="required")


def test_stop_words_cut_the_text(base: Path) -> None:
    chat = open_hf(str(base), max_tokens=24, temperature=2.0, seed=3)
    text = str(chat.invoke([HumanMessage("x")]).content)
    assert len(text) > 4
    assert chat.invoke([HumanMessage("x")], stop=[text[3]]).content == text[: text.index(text[3])]


def test_a_cache_is_allocated_at_once_where_the_model_can_and_memory_allows(base: Path) -> None:
    """Memory by layers, heads, their size, rows and tokens; an architecture that cannot grows its cache as before."""
    engine = Engine(str(base), device="cpu")
    try:
        cache = engine._cache(3, 40)["past_key_values"]
        assert [layer.max_cache_len for layer in cache.layers] == [40] * engine.model.config.num_hidden_layers
        config = engine.model.config
        row = 2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * 4
        assert engine._cache(1, CACHE_BYTES // row) and not engine._cache(1, CACHE_BYTES // row + 1)
        engine.model._can_compile_fullgraph = False
        assert engine._cache(3, 40) == {}
    finally:
        engine.close()
