"""Measure how much memory there is and how much a process has used."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import sys
from pathlib import Path

import pyarrow as pa

from ray_subsel.core.byte_sizes import _UNITS, GIB

_UNITS |= {"gb": 10**9, "tb": 10**12, "k": 1 << 10, "m": 1 << 20, "g": GIB, "t": 1 << 40}


def available_bytes() -> int:
    """Return how much memory this machine, or the container that this process is in, has left.

    Linux tells what is available and what the container may use; elsewhere half of what is installed is assumed.
    """
    left = _proc_available()
    if left is None:
        return int(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")) // 2
    for limit, used in (
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ):
        with contextlib.suppress(OSError, ValueError):  # no such group, or "max": no limit
            left = min(left, max(0, int(Path(limit).read_text()) - int(Path(used).read_text())))
    return left


def _proc_available() -> int | None:
    with contextlib.suppress(OSError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return None


class PeakMemory:
    """The largest resident memory of any process of a stage, measured by each process itself."""

    def __init__(self) -> None:
        start_peak()
        self.bytes = 0

    def add(self, amount: int) -> None:
        """Take in what another process has measured."""
        self.bytes = max(self.bytes, amount)

    def end(self) -> int:
        """Return the largest, this process included."""
        self.add(peak_bytes())
        return self.bytes


def start_peak() -> None:
    """Begin to measure this process's peak anew, where the system can; elsewhere it counts from the process's start.

    What Arrow and the C library have kept of earlier work for later is given back first: one process serves stage after
    stage.
    """
    pa.default_memory_pool().release_unused()
    with contextlib.suppress(AttributeError, OSError):  # glibc's alone
        ctypes.CDLL(None).malloc_trim(0)
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_bytes() -> int:
    """Return the largest resident memory of this process since :func:`start_peak`."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else used * 1024
