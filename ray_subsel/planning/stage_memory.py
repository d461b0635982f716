"""Predict the memory of every stage of a run: of the largest process of each, Python included.

Letters: n rows, d dimension. Constants were measured (docs/results/README.md has the runs); what a stage holds follows
from its design: a reader holds a part of at most ``part_bytes`` some four times over, an actor that embeds one shard,
a task that collapses near copies one bucket, the driver the rows it publishes and what it tells of all rows.
"""

from __future__ import annotations

from ray_subsel.core.byte_sizes import show_bytes
from ray_subsel.core.errors import Verbatim, invalid
from ray_subsel.corpus.block_sizes import BlockSizes
from ray_subsel.filters.neighbours import CLUSTER_ITEMS, ONE_CLUSTER
from ray_subsel.planning.machine import Machine
from ray_subsel.planning.memory_model import BASE, DRIVER, PUBLISHER
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

LINES, LINE_BYTES = 131_072, 1_100
"""Of ``decisions.parquet``: lines that are put into words at a time, and what one takes until it is written."""
WINDOW, WINDOW_BYTES = 4_000_000, 21
"""Rows whose items, and nearest chosen rows, are held meanwhile; of each row these bytes."""
JOINED_BYTES, PICK_BYTES = 50, 300
"""Of a row that joined another, or is named by its best copy, and of a chosen one, in arrays by id."""

SMALL_MAP, POINTS, POINT_BYTES, PLANE = 200, 20_000, 2_000, 80 << 20
"""Points of a map that needs no library, points of any map, what each takes beside its vector, and the library."""

READING = 130 << 20
"""What reading a few vectors of many takes, at most."""
FOLLOWED, MEASURING = 20_000, 40 << 20
"""Chosen rows that coverage is followed to, beside as many random ones, and blocks of cosines to them."""
SIZE_BYTES, SCORE_BYTES = 24, 40
"""Of an item whose copies are counted, and of a row whose score is, for the profile."""


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
    later = _leaving(work, shard) | _choosing(work, row) | _telling(work)
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


def _telling(work: Work) -> dict[str, float]:
    """Return the peaks of the stages that tell what became of the rows: of the driver, which has led the run."""
    select, filters = work.config.select, work.config.filters
    if select is None:
        return {}
    n, d, k = work.n, work.d, min(work.k, work.n)
    led = _led(work.small and work.reads_here)
    lines = LINE_BYTES * min(n, LINES) + WINDOW_BYTES * min(n, WINDOW) + PICK_BYTES * k
    joined = JOINED_BYTES * n * ((select.near_threshold is not None) + (filters.keep_best is not None))
    counted = max(SIZE_BYTES * n, 0 if work.config.corpus.quality is None else SCORE_BYTES * n)
    followed = 20 * d * min(k, FOLLOWED)
    return {
        "decide": led + lines + joined,
        "map": led + map_bytes(n, d),
        "profile": led + PLANE + _reading(n, d) + MEASURING + followed + counted,
    }


def _led(here: bool) -> int:
    """Return what a driver takes that has led a run, in this process or over workers."""
    return BASE + (DRIVER if here else PUBLISHER)


def _reading(n: int, d: int) -> int:
    return min(READING, 4 * n * d)


def map_bytes(n: int, d: int) -> int:
    """Return what a map of n items takes in the process that draws it."""
    return (PLANE if n > SMALL_MAP else 0) + _reading(n, d) + min(n, POINTS) * (20 * d + POINT_BYTES)


def check_stages(stages: dict[str, int], machine: Machine) -> None:
    """Refuse a limit that a stage goes beyond; selection itself has been fitted to it.

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
