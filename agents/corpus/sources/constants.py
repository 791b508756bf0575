"""Constants of the standard library whose values are obtained by reading them from the running interpreter."""

from __future__ import annotations

import enum
import types
from collections.abc import Iterator

from .modules import listed, module_name, public_names
from .signatures import value_text

READ = listed(
    "calendar cmath datetime errno ftplib http http.client imaplib logging logging.handlers math mmap pickle poplib "
    "re resource select signal smtplib socket stat string symtable syslog tarfile token wave zipfile zlib"
)
"""Modules whose constants are the same on every run of one interpreter; `os` and `sys` tell of the machine."""


def plain(value: object) -> str | None:
    """A number or a short text as it is written; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    if isinstance(value, enum.Enum):
        value = value.value
    return value_text(value)


def constants(modules: list[types.ModuleType]) -> Iterator[tuple[str, str, str, str]]:
    """(name, module, group, value as written) of every constant, in order of module and name."""
    for module in modules:
        where = module_name(module)
        if where not in READ:
            continue
        listed = set(public_names(module)) | {n for n in vars(module) if n.isupper() and not n.startswith("_")}
        for name in sorted(listed):
            value = vars(module).get(name)
            if isinstance(value, enum.EnumMeta) and value.__module__ == where:
                members: list[enum.Enum] = list(value.__members__.values())
                for member in members:
                    written = plain(member)
                    if written is not None and vars(module).get(member.name) is not member:
                        yield f"{where}.{name}.{member.name}", where, f"{where}.{name}", written
            elif not isinstance(value, type):
                written = plain(value)
                if written is not None:
                    yield f"{where}.{name}", where, f"{where}.{name}", written
