"""Predict the memory of every stage of a run: of the largest process of each, Python included.

Letters: n rows, d dimension. Constants were measured (docs/results/README.md has the runs); what a stage holds follows
from its design: a reader holds a part of at most ``part_bytes`` some four times over, an actor that embeds one shard,
a task that collapses near copies one bucket, the driver the rows it publishes.
"""

from __future__ import annotations

from ray_subsel.core.byte_sizes import show_bytes
from ray_subsel.core.errors import Verbatim, invalid
from ray_subsel.corpus.block_sizes import BlockSizes
from ray_subsel.filters.neighbours import CLUSTER_ITEMS, ONE_CLUSTER
from ray_subsel.planning.machine import Machine
from ray_subsel.planning.memory_model import BASE, PUBLISHER
from ray_subsel.planning.work import Work

READER = 90 << 20
"""What a task or actor of Ray Data takes above a worker."""

PART_COPIES = 4.3
SHARD_COPIES = 2.0
EMBEDDING = 130 << 20
"""What a thread that embeds takes above a reader, without its model."""

ROW_OVERHEAD = 120
"""Id, key, kind and origin of a row."""

TEXT_GROWTH = 1.5
"""Bytes of a text in memory for each byte in the file."""

BUCKET_COPIES = 8.0

PUBLISHED_COPIES = 6.0

INDEXED = 12.0
"""Bytes for each character of another set, by whose words texts are compared."""

SCORED_COPIES = 3.0
NEIGHBOURS = 400
"""Of an item that is scored: its neighbours' ids and cosines, in arrays and in a list."""
BLOCK = 100 << 20
"""Cosines of a block of items to others, on their way."""


def stage_bytes(work: Work) -> dict[str, int]:
    """Return the predicted peak of each stage's largest process, in bytes, by the stage's name."""
    corpus, embed, embedding = work.config.corpus, work.config.embed, work.embedding
    texts, vectors = corpus.vectors is None, 4 * work.d
    row = (TEXT_GROWTH * work.corpus.bytes / max(1, work.n) if texts else vectors) + ROW_OVERHEAD
    part = min(work.n * row, BlockSizes.part_rows * row, BlockSizes.part_bytes)
    shard = work.n / max(1, work.corpus.shards) * (row + vectors)
    embedder = embed.embedder_class.memory_bytes(embed) if texts else 0.0
    found = {
        "corpus": BASE + READER + PART_COPIES * part,
        "embed": BASE + READER + EMBEDDING * embedding.threads + SHARD_COPIES * shard + embedder,
    }
    later = _leaving(work, shard) | _choosing(work, row)
    # Small enough to be embedded here is small enough for these.
    return {
        name: int(amount) for name, amount in (found | {n: b + embedding.held_bytes for n, b in later.items()}).items()
    }


def _leaving(work: Work, shard: float) -> dict[str, float]:
    """Return the peaks of the stages that leave rows out; each writes a shard of what is left at a time."""
    select, filters = work.config.select, work.config.filters
    found: dict[str, float] = {}
    if select is None:
        return found
    writer = BASE + READER + SHARD_COPIES * shard
    if filters.against:
        index = sum(INDEXED * one.characters * one.rows + ROW_OVERHEAD * one.rows for one in work.others.against)
        found["against"] = writer + index
    if filters.keep_best is not None:
        found["best"] = writer
    numbers = min(work.n * work.d, work.policy.bucket_numbers)
    if filters.drops:
        scored = (
            work.n if work.n <= ONE_CLUSTER else min(work.n, work.policy.bucket_numbers // work.d + 2 * CLUSTER_ITEMS)
        )
        found["drop"] = max(writer, BASE + READER + scored * (SCORED_COPIES * 4 * work.d + NEIGHBOURS) + BLOCK)
    if select.near_threshold is not None and select.per is None:
        found["near"] = BASE + READER + BUCKET_COPIES * 4 * numbers
    return found


def _choosing(work: Work, row: float) -> dict[str, float]:
    """Return the peak of selection: of its workers, and of the driver that publishes what was chosen."""
    if work.sizes is None:
        return {}
    published = PUBLISHED_COPIES * row * min(work.sizes.k, work.n)
    return {"select": max(float(work.sizes.predicted_peak_bytes), BASE + PUBLISHER + published)}


def check_stages(stages: dict[str, int], machine: Machine) -> None:
    """Refuse a limit that a stage before selection goes beyond; selection itself has been fitted to it.

    Raises
    ------
    InputError
    """
    if machine.limit is None:
        return
    for name, amount in stages.items():
        if amount > machine.limit:
            way = f"Give at least {show_bytes(amount)}."
            value = Verbatim(
                f"{show_bytes(machine.limit)}, of which stage {name} would take {show_bytes(amount)} a process"
            )
            raise invalid("memory_limit", "hold every stage", value, way)


def stage_memory_line(stages: dict[str, int]) -> str:
    """Return the line of the plan that tells the memory of each stage."""
    shown = ", ".join(f"{name} {show_bytes(amount)}" for name, amount in stages.items())
    return f"stages    {shown} in the largest process"
