"""The one tree of errors that Retort raises, and how a missing extra is reported.

::

    RetortError                 something the user can act on; the command line prints it and exits with 2
    ├── ConfigError             run.toml: unknown key, wrong type, value out of range
    ├── CorpusError             manuals: missing folder, nothing readable in it
    ├── ExamError               facts or exam: no usable fact, an entity in no document, too few questions
    ├── MissingExtra            a package of an optional extra is not installed
    ├── SeatError               a seat's line cannot be opened: unknown provider, no such model folder, no key
    ├── ProviderError           an endpoint failed after its retries; its `kind` says how
    ├── BudgetError             the budget is used up; the run goes on when it is raised
    ├── LedgerError             the ledger cannot be read or belongs to another version
    ├── StorageError            a file cannot be written: disk full, read-only, locked; the same command goes on
    ├── FolderError             a folder that a command would write holds something else, or cannot be made
    ├── StageError              a stage's input is absent or half written: which stage makes it
    ├── TrustError              what a config would execute, or give a key to, was not agreed to
    ├── ProofError              a proof failed; the stage that asked for it is blocked
    └── BoardError              two leaderboard rows were not played on the same board

What a model, a tool or a judge does wrong is never an error: it is recorded on the trajectory by name.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from types import ModuleType

from .install import install_line


class RetortError(RuntimeError):
    """Something the user can act on: the message names the value and the next thing to do.

    A RuntimeError, because LangGraph's server shows its messages to Studio; of classes that it does not know it tells
    "An internal error occurred" alone.
    """


class ConfigError(RetortError):
    """A key or value of run.toml is wrong."""


class CorpusError(RetortError):
    """The manuals cannot be read."""


class ExamError(RetortError):
    """The facts do not make an exam."""


class SeatError(RetortError):
    """A seat cannot be opened."""


class LedgerError(RetortError):
    """The ledger cannot be used."""


class StorageError(RetortError):
    """A file cannot be written; the message names the file, the cause and what to do (agents/storage.py)."""


class FolderError(RetortError):
    """A folder that a command would write holds what it did not make, or cannot be made (agents/folders.py)."""


class StageError(RetortError):
    """A stage lacks what an earlier stage makes."""


class TrustError(RetortError):
    """What a config names would be executed, or given a key, and nobody agreed to it."""


class ProofError(RetortError):
    """A proof failed."""


class BoardError(RetortError):
    """Rows of one leaderboard were played on different boards."""


class BudgetError(RetortError):
    """The run's budget is used up."""


class ProviderError(RetortError):
    """An endpoint failed; the graph's retry policies repeat the call where its kind may pass.

    Attributes:
        kind: one of `PROVIDER_KINDS`.
        retry_after: seconds that the endpoint asks to be left alone; None where it does not say.
        status: the HTTP status; None where there was no answer.
    """

    def __init__(self, kind: str, message: str, retry_after: float | None = None, status: int | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.retry_after = retry_after
        self.status = status

    def __reduce__(self) -> tuple[type[ProviderError], tuple[str, str, float | None, int | None]]:
        """For the way from a worker process to the runner."""
        return type(self), (self.kind, str(self), self.retry_after, self.status)


PROVIDER_KINDS = {
    "refused": "no connection",
    "rate": "429: too many requests",
    "quota": "429 with a wait of minutes: the account's quota is used up",
    "server": "5xx: the endpoint failed",
    "timeout": "no answer within the seat's `timeout`",
    "cut": "the answer broke off",
    "garbage": "200 with something that is no chat completion",
    "empty": "a reply without text and without a call",
    "auth": "401 or 403: the key is refused",
    "request": "4xx: the request itself is refused",
}
"""Kind of provider failure -> what it means."""


FILES_NAMED = 5
"""Files that a message names; of more it gives the number."""


class MissingExtra(RetortError):
    """A package of an optional extra is not installed.

    Args:
        needed_by: files of the corpus that need it.
    """

    def __init__(self, package: str, extra: str, needed_by: Sequence[str] = ()) -> None:
        what = "this needs"
        if needed_by:
            more = f" and {len(needed_by) - FILES_NAMED} more" if len(needed_by) > FILES_NAMED else ""
            what = f"{', '.join(needed_by[:FILES_NAMED])}{more} of the corpus need{'s' * (len(needed_by) == 1)}"
        super().__init__(f"{what} {package!r}, which is not installed: {install_line(extra)}")
        self.package = package
        self.extra = extra


def need(module: str, extra: str) -> ModuleType:
    """Import `module`, or raise `MissingExtra` with the line that installs it."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        wanted = module.partition(".")[0]
        if error.name is not None and error.name.partition(".")[0] != wanted:
            raise MissingExtra(error.name, extra) from error
        raise MissingExtra(wanted, extra) from error
