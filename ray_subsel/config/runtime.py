"""Say where a run works and where its results go."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ray_subsel.config.options import option
from ray_subsel.core.byte_sizes import parse_bytes
from ray_subsel.core.errors import invalid


@dataclass(frozen=True)
class RuntimeConfig:
    """Where it runs and where results go. Nothing here changes a result."""

    out: str = option("", "directory of the run: a local path or a URI", metavar="DIR", identity=False)
    overwrite: bool = option(False, "replace results that other settings or input made", identity=False)
    address: str = option(
        "auto",
        "Ray: local, auto (the cluster of a submitted job, else local), or an address",
        metavar="ADDRESS",
        identity=False,
    )
    workers: int | None = option(
        None, "actors that embed, of small data threads; default: one a GPU, or one a CPU", identity=False
    )
    num_gpus: float | None = option(
        None, "GPUs an actor; default: 1 where the cluster has GPUs, else 0", identity=False
    )
    memory_limit: str | None = option(
        None, "what one process may use, such as 3GiB; default: what is available", metavar="BYTES", identity=False
    )
    train_workers: int = option(0, "Ray Train workers; 0 trains in one process", identity=False)

    def __post_init__(self) -> None:
        if not self.out:
            raise invalid("out", "name a directory", self.out, "Use --out DIR.")
        if self.workers is not None and self.workers < 1:
            raise invalid("workers", "be at least 1", self.workers)
        if self.num_gpus is not None and not (math.isfinite(self.num_gpus) and self.num_gpus >= 0):
            raise invalid("num_gpus", "be at least 0", self.num_gpus)
        if self.memory_limit is not None:
            parse_bytes(self.memory_limit)
        if self.train_workers < 0:
            raise invalid("train_workers", "be at least 0", self.train_workers)
