"""Whether the index of a config can be made and asked: its package, its embedding model, its endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents.corpus.indexes.base import kind_of, settings_of
from agents.errors import RetortError

from .findings import Finding

if TYPE_CHECKING:
    from agents.corpus.indexes import IndexConfig
    from agents.models.meter import Budget


def index_findings(config: IndexConfig, budget: Budget, *, start: bool = False) -> list[Finding]:
    """The findings on an index.

    Args:
        start: run code of the user's own and embed a word, as playing does; otherwise files, packages and variables
            are looked at, and an endpoint's address is tried without a request.
    """
    own = sorted({each.kind for each in config.walk() if ":" in each.kind})
    if own and not start:
        return [Finding("index", "fine", f"{', '.join(own)}: code of your own, which a plan does not run")]
    found: list[Finding] = []
    try:
        kind, settings = kind_of(config), settings_of(config)
        found += [Finding(each.name, "broken", each.seen, each.step) for each in kind.missing(settings)]
        tried = kind.trial(settings) if start and not found else ""
    except RetortError as error:
        return [*found, Finding("index_fails", "broken", str(error), "correct [index] of run.toml")]
    except Exception as error:  # a class of the user's own may raise anything
        return [*found, Finding("index_fails", "broken", f"{type(error).__name__}: {error}", "mend the class")]
    found += unpriced(config, budget)
    return found or [Finding("index", "fine", f"{config.kind}{f': {tried}' if tried else ''}")]


def unpriced(config: IndexConfig, budget: Budget) -> list[Finding]:
    """The finding on a budget in money that cannot hold, since an endpoint's price is not known."""
    if budget.usd is None or all("url" not in each.options or "price" in each.options for each in config.walk()):
        return []
    seen = f"[budget] usd = {budget.usd:g} cannot hold: the endpoint of [index] has no price"
    step = "add price = USD per million tokens to it (0 where it costs nothing), or give [budget] tokens instead"
    return [Finding("price_missing", "broken", seen, step)]
