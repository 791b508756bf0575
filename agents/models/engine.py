"""The decoding thread: one thread owns a model, and requests that wait together are decoded together.

Requests are sorted by length and decoded in left-padded batches of at most `max_batch`; what arrives meanwhile forms
the next batch. Adapters lie on one base by name, and LoRA adapters may be mixed in a batch. Sampling draws from a
generator of each request's own, so a sampled reply does not depend on who shared its batch.

Measured on one core (1.4 M parameters, fp32, 32 prompts of 230 tokens, 128 tokens each): 64 ms a token of each with the
cache that `generate` makes, of which `cat` of keys and values takes 91 %, and 20 ms with one that is allocated once.
"""

from __future__ import annotations

import atexit
import queue
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, GenerationConfig, LogitsProcessor, LogitsProcessorList, StaticCache
from transformers.utils import logging as transformers_logging

from ..errors import SeatError
from ..text import first_line
from .weights import folder_signature, weights_anew

WINDOW = 0.003
"""Seconds without a new request after which a batch that is not full starts."""
CACHE_BYTES = 2**30
"""Keys and values of one batch that are allocated at once on a CPU; a larger cache grows token by token."""
PATIENCE = 0.1
"""Share of the last batch's seconds that this may stretch to: whoever got an answer then is likely to ask again."""


@dataclass(frozen=True)
class Request:
    """One reply that is asked for."""

    ids: tuple[int, ...]
    """The prompt."""
    max_tokens: int
    temperature: float = 0.0
    seed: int = 0
    adapter: str | None = None
    """Name given by `Engine.adapter`; None for the base alone."""
    stops: tuple[int, ...] = ()
    """Token ids that end the reply."""
    pad: int = 0
    logprobs: bool = False


@dataclass(frozen=True)
class Completion:
    """One reply."""

    ids: tuple[int, ...]
    """Generated tokens, the one that ended it included."""
    logprobs: tuple[float, ...] | None
    """Log-probability of each token before temperature; None where not asked for."""
    finish: str
    """stop: a stop token was generated. length: `max_tokens` was reached."""
    seconds: float = 0.0
    """Its share of the batch's time: all of it through the number of rows. Waiting for the batch is not in it."""


class _Pick(LogitsProcessor):
    """Chooses the next token of each row: its own temperature, generator and token limit."""

    def __init__(self, requests: Sequence[Request], width: int, device: torch.device) -> None:
        self.requests, self.width = requests, width
        self.logprobs: list[torch.Tensor] = []
        self.wanted = any(request.logprobs for request in requests)
        self.generators = {
            row: torch.Generator(device=device).manual_seed(request.seed)
            for row, request in enumerate(requests)
            if request.temperature > 0
        }

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        step = input_ids.shape[1] - self.width
        picked = scores.argmax(-1)
        for row, generator in self.generators.items():
            weights = torch.softmax(scores[row].float() / self.requests[row].temperature, -1)
            picked[row] = torch.multinomial(weights, 1, generator=generator)[0]
        for row, request in enumerate(self.requests):
            if step >= request.max_tokens and request.stops:
                picked[row] = request.stops[0]
        if self.wanted:
            spread = torch.log_softmax(scores.float(), -1)
            self.logprobs.append(spread.gather(1, picked[:, None])[:, 0])
        return torch.full_like(scores, -float("inf")).scatter_(1, picked[:, None], 0.0)  # type: ignore[return-value]


class Engine:
    """A model and the thread that owns it.

    Args:
        base: Folder of a full model, or a hub id.
        device: `cpu`, `cuda`, ...; None takes a GPU where there is one.
        dtype: `float32`, `bfloat16`, `float16`; None takes float32 on a CPU and bfloat16 on a GPU that has it.
        max_batch: Rows decoded together at the most.

    Raises:
        SeatError: no model can be opened there.
    """

    def __init__(self, base: str, *, device: str | None = None, dtype: str | None = None, max_batch: int = 32) -> None:
        self.device = torch.device(device) if device else default_device()
        self.model: Any = load_model(base, self.device, dtype)
        self.max_batch = max_batch
        config = self.model.config.get_text_config()
        self.positions: int | None = getattr(config, "max_position_embeddings", None)
        declared = self.model.generation_config.eos_token_id
        self.stops: tuple[int, ...] = tuple([declared] if isinstance(declared, int) else declared or ())
        """What the checkpoint itself declares to end a reply."""
        # a checkpoint's sampling defaults (Qwen: temperature, top_k, repetition penalty) would leak into every call
        self.model.generation_config = GenerationConfig()  # type: ignore[no-untyped-call]
        self.batches: list[int] = []
        """Rows of the last batches, newest last: how well requests found company."""
        self._adapters: dict[str, str] = {}
        self._queue: queue.SimpleQueue[tuple[Any, Future[Any]] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=f"retort-engine {base}", daemon=True)
        self._thread.start()

    def submit(self, request: Request) -> Future[Completion]:
        """Ask for a reply; raises SeatError when the engine is closed."""
        return self._put(request)

    def adapter(self, folder: Path) -> str:
        """Load an adapter (once) and return the name by which requests ask for it; waits for the running batch."""
        signature = folder_signature(str(folder))
        with self._lock:
            if signature in self._adapters:
                return self._adapters[signature]
            name = f"adapter{len(self._adapters)}"
            self._put(lambda: self._load_adapter(folder, name)).result()
            self._adapters[signature] = name
            return name

    def close(self) -> None:
        """Finish what was asked for and end the thread; a second call does nothing."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=60)

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def _put(self, item: Request | Callable[[], None]) -> Future[Any]:
        if self._closed:
            raise SeatError("this hf seat was closed (its weights changed, or the run ended): open the seat again")
        future: Future[Any] = Future()
        self._queue.put((item, future))
        return future

    def _run(self) -> None:
        running, took, company = True, 0.0, 2
        while running:
            waiting: list[tuple[Request, Future[Any]]] = []
            entry = self._queue.get()
            gap = max(WINDOW, PATIENCE * took)
            while True:
                if entry is None:
                    running = False
                    break
                item, future = entry
                if not future.set_running_or_notify_cancel():
                    pass
                elif isinstance(item, Request):
                    waiting.append((item, future))
                else:
                    _settle(future, item)
                try:
                    # asked alone last time and alone now: nobody else is there to wait for
                    alone = len(waiting) >= min(self.max_batch, company)
                    entry = self._queue.get_nowait() if alone else self._queue.get(timeout=gap)
                except queue.Empty:
                    break
            began = time.monotonic()
            company = max(len(waiting), company - 1)
            for batch in self._batched(waiting):
                self._answer(batch)
            took = time.monotonic() - began
        while True:
            try:
                entry = self._queue.get_nowait()
            except queue.Empty:
                return
            if entry is not None:
                entry[1].set_exception(SeatError("this hf seat was closed while a request waited: open it again"))

    def _batched(self, waiting: list[tuple[Request, Future[Any]]]) -> list[list[tuple[Request, Future[Any]]]]:
        """Cut the waiting requests into batches of like length; only LoRA adapters can share one."""
        mixable = self._mixable()
        waiting.sort(key=lambda each: ("" if mixable else each[0].adapter or "", len(each[0].ids)))
        batches: list[list[tuple[Request, Future[Any]]]] = []
        for each in waiting:
            first = batches[-1][0][0] if batches else None
            fits = (
                first is not None
                and len(batches[-1]) < self.max_batch
                and (mixable or first.adapter == each[0].adapter)
                and len(each[0].ids) <= 2 * len(first.ids) + 64  # beyond that padding costs more than company saves
            )
            if fits:
                batches[-1].append(each)
            else:
                batches.append([each])
        return batches

    def _mixable(self) -> bool:
        configs = getattr(self.model, "peft_config", {}).values()
        return all(
            str(getattr(each.peft_type, "value", each.peft_type)) == "LORA"
            and not each.use_dora
            and not each.modules_to_save
            for each in configs
        )

    def _answer(self, batch: list[tuple[Request, Future[Any]]]) -> None:
        """Decode a batch; an exception goes to all its requests, and too little memory halves it first."""
        began = time.monotonic()
        try:
            completions = self._decode([request for request, _ in batch])
        except torch.OutOfMemoryError as error:
            torch.cuda.empty_cache()
            if len(batch) == 1:
                batch[0][1].set_exception(error)
                return
            middle = len(batch) // 2
            self._answer(batch[:middle])
            self._answer(batch[middle:])
        except BaseException as error:
            for _, future in batch:
                future.set_exception(error)
        else:
            share = (time.monotonic() - began) / len(batch)
            for (_, future), completion in zip(batch, completions, strict=True):
                future.set_result(replace(completion, seconds=share))

    def _decode(self, requests: list[Request]) -> list[Completion]:
        self.batches = [*self.batches[-999:], len(requests)]
        width = max(len(request.ids) for request in requests)
        rows = [[request.pad] * (width - len(request.ids)) + list(request.ids) for request in requests]
        masks = [[0] * (width - len(request.ids)) + [1] * len(request.ids) for request in requests]
        longest = max(request.max_tokens for request in requests)
        plain = all(r.temperature == 0 and not r.logprobs and r.max_tokens == longest for r in requests)
        pick = _Pick(requests, width, self.device)
        stops = sorted({stop for request in requests for stop in request.stops})
        settings: dict[str, Any] = {"max_new_tokens": longest, "do_sample": False, "eos_token_id": stops or None}
        options = self._with_adapters([request.adapter for request in requests])
        with torch.inference_mode():
            out = self.model.generate(
                input_ids=torch.tensor(rows, device=self.device),
                attention_mask=torch.tensor(masks, device=self.device),
                generation_config=GenerationConfig(pad_token_id=requests[0].pad, **settings),  # type: ignore[no-untyped-call]
                logits_processor=LogitsProcessorList([] if plain else [pick]),
                **options,
                **self._cache(len(rows), width + longest),
            )
        new = out[:, width:].tolist()
        values = torch.stack(pick.logprobs, 1).tolist() if pick.logprobs else [None] * len(new)
        return [_cut(request, ids, row) for request, ids, row in zip(requests, new, values, strict=True)]

    def _cache(self, rows: int, tokens: int) -> dict[str, Any]:
        """A cache of its full size for a batch on a CPU, where a growing one is copied anew for every token.

        Of the batch's own size, and not the one that `generate` keeps: that is as long as the longest batch before, and
        then a reply would depend on what was asked earlier.
        """
        inner = self.model.get_base_model() if hasattr(self.model, "peft_config") else self.model
        prompts = any(each.is_prompt_learning for each in getattr(self.model, "peft_config", {}).values())
        config = inner.config.get_text_config(decoder=True)
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        wanted = 2 * config.num_hidden_layers * heads * size * inner.dtype.itemsize * rows * tokens
        # `_can_compile_fullgraph` is how transformers says that an architecture works with a static cache
        if self.device.type != "cpu" or prompts or not inner._can_compile_fullgraph or wanted > CACHE_BYTES:
            return {}
        return {"past_key_values": StaticCache(config=config, max_cache_len=tokens)}

    def _with_adapters(self, adapters: list[str | None]) -> dict[str, Any]:
        """Put the right adapters on for a batch; returns what `generate` must be told besides."""
        if not hasattr(self.model, "peft_config"):
            return {}
        distinct = set(adapters)
        if len(distinct) > 1:
            self.model.base_model.enable_adapter_layers()
            return {"adapter_names": [name or "__base__" for name in adapters]}
        (only,) = distinct
        if only is None:
            self.model.base_model.disable_adapter_layers()
        else:
            self.model.base_model.enable_adapter_layers()
            self.model.set_adapter(only)
        return {}

    def _load_adapter(self, folder: Path, name: str) -> None:
        try:
            if hasattr(self.model, "peft_config"):
                self.model.base_model.enable_adapter_layers()
                self.model.load_adapter(str(folder), adapter_name=name)
            else:
                self.model = put_on(self.model, folder, name)
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            raise SeatError(f"the adapter {str(folder)!r} does not fit its base ({error})") from error
        self.model.eval()


def _settle(future: Future[Any], work: Callable[[], None]) -> None:
    try:
        work()
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(None)


def _cut(request: Request, ids: list[int], logprobs: list[float] | None) -> Completion:
    """A row of a batch without what its longer neighbours made `generate` append."""
    end = next((at + 1 for at, token in enumerate(ids) if token in request.stops), None)
    if end is None or end > request.max_tokens:
        end, finish = min(len(ids), request.max_tokens), "length"
    else:
        finish = "stop"
    values = tuple(logprobs[:end]) if logprobs is not None and request.logprobs else None
    return Completion(tuple(ids[:end]), values, finish)


def default_device() -> torch.device:
    """A GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def load_model(base: str, device: torch.device, dtype: str | None = None) -> Any:
    """Open a full model for inference; raises SeatError where there is none."""
    if dtype is None:
        dtype = "bfloat16" if device.type == "cuda" and torch.cuda.is_bf16_supported() else "float32"
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(base, dtype=getattr(torch, dtype))
    except Exception as error:  # safetensors, the config's classes and PyTorch raise what they happen to
        raise SeatError(f"no model can be opened from {base!r} ({first_line(error)}): {weights_anew(base)}") from error
    finally:
        if bars:
            transformers_logging.enable_progress_bar()  # type: ignore[no-untyped-call]
    return model.to(device).eval()


def put_on(model: Any, adapter: Path, name: str = "default") -> Any:
    """The model with an adapter on it, as a PeftModel."""
    from peft import PeftModel

    with warnings.catch_warnings():
        # PEFT 0.21 asks transformers 5.23 for a property under its old name; harmless, and nothing a user can mend
        warnings.filterwarnings("ignore", message=".is_gradient_checkpointing. is deprecated", category=FutureWarning)
        try:
            return PeftModel.from_pretrained(model, str(adapter), adapter_name=name).eval()
        except Exception as error:  # the adapter's file, or one of another base
            step = weights_anew(str(adapter))
            raise SeatError(f"no adapter in {str(adapter)!r} ({first_line(error)}): {step}") from error


_ENGINES: dict[tuple[str, str | None, str | None], Engine] = {}
_ENGINES_LOCK = threading.Lock()


def engine_for(base: str, *, device: str | None = None, dtype: str | None = None, max_batch: int = 32) -> Engine:
    """The process's one engine for a base; an engine whose weight files have changed since is closed and replaced."""
    key = (folder_signature(base), device, dtype)
    with _ENGINES_LOCK:
        engine = _ENGINES.get(key)
        if engine is None or engine.closed:
            place = key[0].partition("|")[0]
            for old in [each for each in _ENGINES if each[0].partition("|")[0] == place and each[1:] == key[1:]]:
                _ENGINES.pop(old).close()
            engine = _ENGINES[key] = Engine(base, device=device, dtype=dtype, max_batch=max_batch)
        engine.max_batch = max(engine.max_batch, max_batch)
        return engine


@atexit.register
def close_engines() -> None:
    """Close every engine of the process and let go of their models."""
    with _ENGINES_LOCK:
        for engine in _ENGINES.values():
            engine.close()
        _ENGINES.clear()
