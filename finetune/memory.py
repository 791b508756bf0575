"""Memory of this process: what it holds, and keeping freed memory between the steps of a training on a CPU.

glibc hands each freed tensor of more than some megabytes back to the system, and the next step asks for it again, page
by page: 2.4 million page faults in 12 steps of the tiny base, a fifth of their CPU time.
"""

from __future__ import annotations

import ctypes
import gc
import platform
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TRIM_THRESHOLD, TOP_PAD, MMAP_MAX = -1, -2, -4
"""glibc's names of settings, malloc.h."""
KEPT = {MMAP_MAX: 0, TRIM_THRESHOLD: 2**31 - 1, TOP_PAD: 64 << 20}
USUAL = {MMAP_MAX: 65_536, TRIM_THRESHOLD: 128 << 10, TOP_PAD: 0}


@contextmanager
def kept_memory() -> Iterator[None]:
    """Within it freed memory stays with the process; behind it what is free goes back. Does nothing without glibc."""
    if platform.libc_ver()[0] != "glibc":
        yield
        return
    libc = ctypes.CDLL(None)
    for name, value in KEPT.items():
        libc.mallopt(name, value)
    try:
        yield
    finally:
        for name, value in USUAL.items():
            libc.mallopt(name, value)
        libc.malloc_trim(0)


def release() -> None:
    """Give memory that nothing refers to any more back to the system."""
    gc.collect()
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)


def resident() -> int:
    """Bytes of memory that this process holds now; the most it ever held where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        return peak()


def peak() -> int:
    """Bytes of memory that this process held at the most so far."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if platform.system() == "Darwin" else most * 1024
