"""Refuses every connection and name look-up that would leave this machine, and writes it down.

The tests and all processes that they start run under it, and the demo of `make silence`. RETORT_SILENCE names the file
of refusals.
"""

from __future__ import annotations

import ipaddress
import os
import sys
from typing import Any

NAMES = {"", "localhost", "ip6-localhost", "0.0.0.0", "::"}
LOOKED_UP = {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"}
CONNECTED = {"socket.connect", "socket.sendto", "socket.sendmsg"}


def leaves(host: object) -> bool:
    """Whether a host is another machine; anything that is not an address or a known name counts as one."""
    if host is None:
        return False
    name = host.decode(errors="replace") if isinstance(host, bytes) else str(host)
    try:
        return not ipaddress.ip_address(name.partition("%")[0]).is_loopback and name not in NAMES
    except ValueError:
        return name.lower() not in NAMES


def guard(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook; raises ConnectionRefusedError (PEP 578: a hook that raises ends the call)."""
    if event in LOOKED_UP:
        host = arguments[0]
    elif event in CONNECTED and isinstance(arguments[1], tuple):
        host = arguments[1][0]  # other families of addresses, such as a path, stay on the machine
    else:
        return
    if leaves(host):
        where = os.environ.get("RETORT_SILENCE")
        if where:
            with open(where, "a", encoding="utf-8") as stream:
                stream.write(f"{event} {host!r} by {' '.join(sys.argv[:3])}\n")
        raise ConnectionRefusedError(f"{event} {host!r}: nothing may leave this machine here")


def path(*first: object) -> str:
    """A PYTHONPATH for a process of a test: these folders, and the guard behind them."""
    return os.pathsep.join([*map(str, first), os.path.dirname(os.path.abspath(__file__))])
