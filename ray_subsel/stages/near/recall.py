"""Measure on a sample how many near copies were missed, where not all pairs are compared."""

from __future__ import annotations

from typing import Any

import numpy as np

from ray_subsel.core.places import is_in
from ray_subsel.core.threads import block_workers
from ray_subsel.core.types import Indices
from ray_subsel.dedup.buckets import Bucket
from ray_subsel.dedup.recall import Recall, in_recall_sample, missed
from ray_subsel.runtime.tasks import map_tasks
from ray_subsel.stages.near.files import (
    read_block,
)
from ray_subsel.stages.near.task import (
    SCRATCH,
    NearTask,
    Steps,
    near_spec,
    scratch,
)


def measure_recall(task: NearTask, kept: Indices, steps: Steps) -> Recall:
    """Measure on a sample what was missed."""
    blocks = len(task.run.names(f"{SCRATCH}/kept", ".parquet"))
    specs = [(number, near_spec(scratch("recall", number), number, "measured")) for number in range(blocks)]
    shared: tuple[Any, ...] = (task, kept)
    buckets = map_tasks(_kept_sample, shared, specs, task.run, in_process=steps.in_process)
    sample = buckets[0]
    for bucket in buckets[1:]:
        sample = sample.append(bucket)
    lost = np.zeros(sample.n, dtype=np.bool_)
    for found in map_tasks(_missed, (*shared, sample), specs, task.run, in_process=steps.in_process):
        lost |= found
    drawn = 0
    for name in task.run.names(f"{SCRATCH}/cells", ".parquet"):
        ids = task.run.read_table(name, ["id"])["id"].to_numpy()
        drawn += int(np.count_nonzero(in_recall_sample(ids, n=task.store.n, seed=task.settings.seed)))
    return Recall(drawn, drawn - sample.n, int(np.count_nonzero(lost)))


def _kept_block(task: NearTask, kept: Indices, number: int) -> Bucket:
    block = read_block(task, number)
    return block.take(is_in(block.ids, kept))


def _kept_sample(task: NearTask, kept: Indices, number: int) -> Bucket:
    block = _kept_block(task, kept, number)
    return block.take(in_recall_sample(block.ids, n=task.store.n, seed=task.settings.seed))


def _missed(task: NearTask, kept: Indices, sample: Bucket, number: int) -> Any:
    with block_workers():
        return missed(sample, _kept_block(task, kept, number), task.settings.threshold)
