"""Describe the machine that a run is planned for: CPUs, nodes, memory."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from ray_subsel.core.byte_sizes import parse_bytes
from ray_subsel.runtime.peak_memory import available_bytes
from ray_subsel.runtime.ray_session import Resources

USABLE = 0.8
"""Share of the memory available that a plan may count on."""


@dataclass(frozen=True)
class Machine:
    """What there is to run on.

    Attributes
    ----------
    cpus, nodes : int
    available : int
        Bytes of memory left, over all nodes.
    limit : int or None
        What one process may use.
    ray_runs : bool
        Whether Ray runs already, and need not be started.
    """

    cpus: int
    nodes: int
    available: int
    limit: int | None
    ray_runs: bool = False

    @property
    def for_one(self) -> float:
        """Bytes that a process may use which runs alone."""
        alone = USABLE * self.available / self.nodes
        return alone if self.limit is None else min(alone, self.limit)

    def for_each(self, processes: int) -> float:
        """Bytes that each of some processes may use which run at the same time."""
        share = USABLE * self.available / processes
        return min(self.for_one, share)


CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")
"""Of the container, on Linux: microseconds of CPU in each period, and the period; ``max`` where there is no quota."""


def usable_cpus(quota_file: Path = CPU_QUOTA) -> int:
    """Return how many CPUs this process may use: of the machine, or of the container that it is in."""
    cpus = os.cpu_count() or 1
    with contextlib.suppress(AttributeError):  # Linux only
        cpus = len(os.sched_getaffinity(0))
    with contextlib.suppress(OSError, ValueError):  # no such group, or "max": no limit
        quota, period = quota_file.read_text().split()
        cpus = min(cpus, int(quota) // int(period))
    return max(1, cpus)


def machine_of(resources: Resources | None, memory_limit: str | None) -> Machine:
    """Return what there is to run on: a Ray that runs already, or this machine."""
    limit = None if memory_limit is None else parse_bytes(memory_limit)
    if resources is None:
        return Machine(usable_cpus(), 1, available_bytes(), limit)
    cpus = max(1, int(resources.cpus))
    if resources.nodes == 1:
        return Machine(cpus, 1, available_bytes(), limit, ray_runs=True)
    import ray

    total = int(ray.available_resources().get("memory", 0))  # type: ignore[no-untyped-call]
    return Machine(cpus, resources.nodes, total or available_bytes(), limit, ray_runs=True)
