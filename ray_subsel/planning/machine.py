"""Describe the machine that a run is planned for: CPUs, nodes, memory."""

from __future__ import annotations

import os
from dataclasses import dataclass

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
    """

    cpus: int
    nodes: int
    available: int
    limit: int | None

    @property
    def for_one(self) -> float:
        """Bytes that a process may use which runs alone."""
        alone = USABLE * self.available / self.nodes
        return alone if self.limit is None else min(alone, self.limit)

    def for_each(self, processes: int) -> float:
        """Bytes that each of some processes may use which run at the same time."""
        share = USABLE * self.available / processes
        return min(self.for_one, share)


def machine_of(resources: Resources | None, memory_limit: str | None) -> Machine:
    """Return what there is to run on: a connected Ray, or this machine."""
    limit = None if memory_limit is None else parse_bytes(memory_limit)
    if resources is None:
        return Machine(os.cpu_count() or 1, 1, available_bytes(), limit)
    cpus = max(1, int(resources.cpus))
    if resources.nodes == 1:
        return Machine(cpus, 1, available_bytes(), limit)
    import ray

    total = int(ray.available_resources().get("memory", 0))  # type: ignore[no-untyped-call]
    return Machine(cpus, resources.nodes, total or available_bytes(), limit)
