"""Which seats a run of episodes calls, and whether a budget in USD can hold for them."""

from __future__ import annotations

from ..context import Context, Seat
from ..errors import ConfigError
from ..providers import provider_of, split_spec
from .meter import Budget


def called(context: Context) -> dict[str, Seat]:
    """Role -> seat, of the seats that episodes with this context may call."""
    team = context.team
    seats = {"reason": team.reason}
    if context.mode != "react":
        return seats
    if team.search is not None:
        seats["search"] = team.search
    if context.board.extract == "seat":
        seats["extract"] = team.extract or team.reason
    if context.verify == "revise" and team.judge is not None:
        seats["judge"] = team.judge
    return seats


def costs(seat: Seat) -> bool:
    """Whether a seat's calls go to an endpoint that somebody else runs; what this process starts costs nothing."""
    spec = split_spec(seat.model)
    return provider_of(spec).paid(spec)


def check_prices(budget: Budget, context: Context) -> None:
    """Nothing, or an error where the budget's USD could not be counted.

    Raises:
        ConfigError: `budget.usd` is given and a seat behind an endpoint has no price.
    """
    if budget.usd is None:
        return
    for role, seat in called(context).items():
        if costs(seat) and seat.price is None:
            raise ConfigError(
                f"[budget] usd = {budget.usd:g} cannot hold: teams.{context.team.name}.{role} ({seat.model}) has no "
                "price; add price = { prompt = USD, completion = USD } per million tokens to that seat (0 and 0 where "
                "its endpoint costs nothing), or give [budget] tokens instead"
            )
