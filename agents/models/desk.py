"""The desk: the one place where a model of a team is called. What a call cost comes back with its reply.

A call goes to the endpoint of its seat with most room, waits at that endpoint's gate, must end within the seat's
`timeout` (the whole of it: an endpoint that sends a byte a minute is late too), and is counted on the run's meter: by
the endpoint's usage, or by estimate (estimate.py) where it failed after it was sent. A reply made in this process says
itself what it took (`response_metadata["seconds"]`): its share of the batch, no queue. Failures come out as
ProviderError by class and are repeated by the graph's retry policies; only an empty reply is asked for again here,
twice, since a reply that stays empty is the model's own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from langchain_core.messages import AIMessage, BaseMessage

from ..context import Seat
from ..errors import ProviderError, SeatError
from ..providers import provider_of, split_spec
from ..redaction import redacted
from ..spent import Spent
from . import open_seat, opened_seat
from .attempts import Request, bought_before, remember
from .estimate import estimated_row, lost_call
from .gate import Gate
from .meter import OutOfBudget, count, current_meter
from .record import call_record

EMPTY_AGAIN = 2
"""Times that an endpoint is asked again after a reply without text and without a call."""
DOWN_SECONDS = 5.0
"""An endpoint that refused a connection is left alone so long while the seat has others."""


class Endpoint(NamedTuple):
    """One URL of a seat, or the seat itself where it has at most one."""

    seat: Seat
    gate: Gate
    remote: bool
    """Whether it can fail as endpoints do."""


_endpoints: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Seat, tuple[Endpoint, ...]]] = WeakKeyDictionary()
_gates: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Gate]] = WeakKeyDictionary()
_bound: dict[tuple[Seat, int, str], tuple[Any, Any, Any]] = {}
"""(seat, id of its tools, options) -> model, the tools themselves, the bound model."""


def one_by_one(seat: Seat) -> tuple[Seat, ...]:
    """The seat once for each of its URLs."""
    spec = split_spec(seat.model)
    if not spec.url or "," not in spec.url or not provider_of(spec).remote:
        return (seat,)
    urls = [part.strip() for part in spec.url.split(",") if part.strip()]
    return tuple(seat.model_copy(update={"model": spec._replace(url=one).line}) for one in urls)


def endpoints(seat: Seat) -> tuple[Endpoint, ...]:
    """The endpoints of a seat in the running event loop; seats at the same URL share its gate."""
    loop = asyncio.get_running_loop()
    known = _endpoints.setdefault(loop, {})
    if seat not in known:
        gates = _gates.setdefault(loop, {})
        found = []
        for one in one_by_one(seat):
            spec = split_spec(one.model)
            place = spec.url or f"{spec.provider}:{spec.model}"
            gate = gates.setdefault(place, Gate(one.concurrency))
            found.append(Endpoint(one, gate, provider_of(spec).remote))
        known[seat] = tuple(found)
    return known[seat]


def gates() -> dict[str, Gate]:
    """URL -> gate of the running event loop."""
    return _gates.get(asyncio.get_running_loop(), {})


async def call(
    seat: Seat,
    role: str,
    messages: Sequence[BaseMessage],
    *,
    tools: Sequence[dict[str, Any]] = (),
    seconds: float | None = None,
    recorded_as: str | None = "",
    **options: Any,
) -> tuple[AIMessage, Spent]:
    """One call of a seat; a node that is repeated gets the replies that its earlier attempts paid for.

    Args:
        role: whose account the tokens go on.
        tools: JSON schemas bound natively; none for a transport in text.
        seconds: what the episode has left; None = only the seat's own `timeout` counts. Neither cuts off a reply
            that is made in this process: its length ends it.
        recorded_as: `graphs.trajectory.CallRole` of the call on the record, `role` where it is empty; None = the caller
            records it, or nobody does.
        options: handed to the model as they are, e.g. `stop`, `response_format`.

    Raises:
        ProviderError: the endpoint failed; the node's retry policy decides what follows.
        TimeoutError: `seconds` have passed in the call itself.
        OutOfBudget: the run's budget is used up; nothing was sent.
    """
    places = endpoints(seat)
    place = places[0] if len(places) == 1 else max(places, key=lambda each: each.gate.room)
    request = Request.of(seat, role, messages, tools, options)
    before = bought_before(request)
    if before is not None:
        return before
    player = await bound(place.seat, tools, options)
    meter = current_meter()
    left = seconds
    for _ in range(EMPTY_AGAIN + 1):
        if left is not None and left <= 0:
            raise TimeoutError
        await place.gate.enter()
        try:
            if meter is not None and (used := meter.used_up()):
                raise OutOfBudget(used)
            begun = time.monotonic()
            if place.remote:
                reply = await answered(player, messages, place.seat, left)
                took = time.monotonic() - begun
            else:
                # in process nothing can hang, and waiting behind other episodes' requests is nobody's time
                reply = checked(await player.ainvoke(list(messages)), seat)
                took = float(reply.response_metadata.get("seconds", time.monotonic() - begun))
            row = account(seat, role, reply, took)
            if place.remote and reply.usage_metadata is None and computed(reply):
                count("usage")
                row = estimated_row(row, seat, messages, tools, options, reply)
            place.gate.succeeded()
        except (ProviderError, TimeoutError, asyncio.CancelledError) as error:
            if meter is not None and place.remote:
                lost = lost_call(error, seat, role, messages, tools, options)
                if lost is not None:
                    meter.lost(lost)
            if isinstance(error, ProviderError):
                count(error.kind)
                if error.kind in ("rate", "server"):
                    overloaded(place.gate, error)
                elif error.kind == "refused" and len(places) > 1:
                    place.gate.close(DOWN_SECONDS)
            raise
        finally:
            place.gate.leave()
        if meter is not None:
            meter.paid(row)
        if not (place.remote and empty(reply)):
            break
        left = None if left is None else left - row["seconds"]
        count("empty")
    if recorded_as is not None:
        row = {**row, "call": call_record(seat, recorded_as or role, messages, reply, options)}
    if place.remote:
        remember(request, reply, row)
    return reply, row


async def bound(seat: Seat, tools: Sequence[dict[str, Any]], options: dict[str, Any]) -> Any:
    """The seat's model with tools and options bound, kept for the next call: binding costs as much as a request."""
    name = (seat, id(tools) if tools else 0, repr(sorted(options.items())) if options else "")
    held = _bound.get(name)
    model: Any = await opened(seat)
    if held is not None and held[0] is model:
        return held[2]
    player = model
    if tools:
        try:
            player = model.bind_tools(list(tools), **options)
        except NotImplementedError:
            kind = type(model).__name__
            raise SeatError(f"seat {seat.model!r}: {kind} takes no tools; set its transport = 'text'") from None
    elif options:
        player = model.bind(**options)
    if isinstance(tools, tuple):  # an id names a tuple as long as the tuple lives, and this keeps it
        _bound[name] = (model, tools, player)
    return player


async def opened(seat: Seat) -> Any:
    """The chat model of a seat; the first time in a thread, since it may read a model's files."""
    return opened_seat(seat) or await asyncio.to_thread(open_seat, seat)


async def answered(player: Any, messages: Sequence[BaseMessage], seat: Seat, seconds: float | None) -> AIMessage:
    """The reply, within what the episode and the seat allow."""
    own = seconds is not None and seconds < seat.timeout
    try:
        async with asyncio.timeout(seconds if own else seat.timeout):
            reply = await player.ainvoke(list(messages))
    except TimeoutError:
        if own:
            raise
        raise ProviderError(
            "timeout", f"seat {redacted(seat.model)!r} did not answer within {seat.timeout:g} s; raise its `timeout`"
        ) from None
    return checked(reply, seat)


def checked(reply: Any, seat: Seat) -> AIMessage:
    """The reply, which must be an AIMessage."""
    if not isinstance(reply, AIMessage):
        raise TypeError(f"seat {seat.model!r} returned a {type(reply).__name__}")
    return reply


def overloaded(gate: Gate, error: ProviderError) -> None:
    """Halve the gate on 429 and 503, and keep away as long as the endpoint asks for."""
    if error.kind == "rate" or error.retry_after is not None or error.status == 503:
        gate.refused(error.retry_after)


def empty(reply: AIMessage) -> bool:
    """Whether a reply says nothing, calls nothing, and was not ended by a limit, a filter or a refusal."""
    if reply.content or reply.tool_calls or reply.invalid_tool_calls or reply.additional_kwargs.get("refusal"):
        return False
    return reply.response_metadata.get("finish_reason") not in ("context", "length", "content_filter")


def account(seat: Seat, role: str, reply: AIMessage, seconds: float) -> Spent:
    """The account of one reply."""
    usage: Any = reply.usage_metadata or {}
    prompt, completion = int(usage.get("input_tokens", 0)), int(usage.get("output_tokens", 0))
    cached = int((usage.get("input_token_details") or {}).get("cache_read", 0) or 0)
    usd = seat.price.usd(prompt, completion, cached) if seat.price else 0.0
    return Spent(role=role, prompt=prompt, completion=completion, cached=cached, usd=usd, seconds=seconds)


def computed(reply: AIMessage) -> bool:
    """Whether a reply without usage was computed: a prompt that outgrew the model was not."""
    return reply.response_metadata.get("finish_reason") != "context"


def forget() -> None:
    """Drop what belongs to seats that are closed."""
    _bound.clear()
    _endpoints.clear()
    _gates.clear()
