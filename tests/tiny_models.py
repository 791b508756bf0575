"""Tiny models for the tests of serving and training, made on the spot: a tokenizer, and a Qwen3 of 0.1-0.4 M."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

CORPUS = [
    "What is the capital of France? Paris is the capital of France. Lyon is a city. Rome is in Italy.",
    'I look this up. search reason verify {"name": "search", "arguments": {"query": "capital"}} 0123456789',
    "The manual shows it.\nQuote: Paris is the capital of France.\nAnswer: Paris",
] * 20
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
ADDED = ["<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<think>", "</think>"]

SEARCH = {
    "type": "function",
    "function": {
        "name": "search",
        "description": "Search the manual",
        "parameters": {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]},
    },
}

# A family that nobody knows, with markers; PLAIN is the same without them; FORGETFUL drops the text of earlier turns.
MARKED = (
    "{% if tools %}<|im_start|>system\n{% for t in tools %}{{ t | tojson }}\n{% endfor %}<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{% if m.role == 'assistant' %}{% generation %}{{ m.content }}"
    "{% for c in m.tool_calls or [] %}\n<tool_call>\n{{ c.function | tojson }}\n</tool_call>{% endfor %}"
    "<|im_end|>{% endgeneration %}{% else %}{{ m.content }}<|im_end|>{% endif %}\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
PLAIN = MARKED.replace("{% generation %}", "").replace("{% endgeneration %}", "")
# ChatML without tools and without markers, as small instruction-tuned models have it; FUSSY takes no system turn.
BARE = (
    "{% for m in messages %}{{'<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
FUSSY = "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}" + BARE
FORGETFUL = MARKED.replace("{{ m.content }}{% for c", "{% if loop.last %}{{ m.content }}{% endif %}{% for c")


def tiny_tokenizer(template: str | None = "qwen3", eos: str = "<|im_end|>") -> Any:
    """A byte-level BPE of 600 tokens; `template` is the name of one that TRL ships, Jinja text, or None."""
    import trl
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator(CORPUS, trainer)
    inner.add_tokens([AddedToken(token, special=False, normalized=False) for token in ADDED])
    tok: Any = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=inner,
        eos_token=eos,
        pad_token="<|endoftext|>",
        additional_special_tokens=["<|im_start|>", "<|im_end|>"],
    )
    if template is None:
        return tok
    shipped = Path(trl.__file__).parent / "chat_templates" / f"{template}.jinja"
    tok.chat_template = shipped.read_text() if "{" not in template else template
    return tok


def tiny_model(
    folder: Path,
    *,
    template: str | None = "qwen3",
    hidden: int = 64,
    layers: int = 2,
    positions: int = 1024,
    seed: int = 0,
    eos: str = "<|im_end|>",
) -> Path:
    """Save a random Qwen3 with its tokenizer in `folder`."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    tok = tiny_tokenizer(template, eos)
    torch.manual_seed(seed)
    config = Qwen3Config(
        vocab_size=len(tok),
        hidden_size=hidden,
        intermediate_size=hidden * 2,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=hidden // 4,
        max_position_embeddings=positions,
        bos_token_id=None,
        eos_token_id=tok.eos_token_id,
        pad_token_id=tok.pad_token_id,
        tie_word_embeddings=True,
    )
    Qwen3ForCausalLM(config).save_pretrained(folder)
    tok.save_pretrained(folder)
    return folder


def episode(city: str, country: str) -> list[dict[str, Any]]:
    """Messages of one honest episode: question, search, observation, answer."""
    call = {"name": "search", "arguments": {"query": f"capital of {country}"}}
    return [
        {"role": "system", "content": "Look things up."},
        {"role": "user", "content": f"What is the capital of {country}?"},
        {
            "role": "assistant",
            "content": "I look this up.",
            "tool_calls": [{"type": "function", "function": call}],
        },
        {"role": "tool", "name": "search", "tool_call_id": "1", "content": f"[1] {country}\n{city} is the capital"},
        {"role": "assistant", "content": f"The manual shows it.\nQuote: {city} is the capital\nAnswer: {city}"},
    ]


PAIRS = [("Paris", "France"), ("Rome", "Italy"), ("Lyon", "Spain")]


def sft_file(folder: Path) -> Path:
    """A data/sft.jsonl of three episodes."""
    rows = [
        {"messages": episode(*pair), "tools": json.dumps([SEARCH]), "key": f"k{at}", "task_id": f"t{at}"}
        for at, pair in enumerate(PAIRS)
    ]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "sft.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def cpt_file(folder: Path, documents: int = 12) -> Path:
    """A data/cpt.jsonl of short documents."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "cpt.jsonl"
    rows = [{"text": f"{CORPUS[at % 3]} page {at}", "chunk": f"d#{at}"} for at in range(documents)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path
