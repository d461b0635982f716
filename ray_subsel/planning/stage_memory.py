"""Predict the memory of every stage of a run: of the largest process of each, Python included.

Letters: n rows, d dimension. Constants were measured (docs/results/README.md has the runs); what a stage holds follows
from its design: a reader holds a part of at most ``part_bytes`` some four times over, an actor that embeds one shard,
a task that collapses near copies one bucket, the driver the rows it publishes.
"""

from __future__ import annotations

from dataclasses import dataclass

from ray_subsel.config import CorpusConfig, EmbedConfig
from ray_subsel.core.byte_sizes import show_bytes
from ray_subsel.core.errors import Verbatim, invalid
from ray_subsel.corpus.block_sizes import BlockSizes
from ray_subsel.planning.embedding_plan import EmbeddingPlan
from ray_subsel.planning.machine import Machine
from ray_subsel.planning.memory_model import BASE, PUBLISHER
from ray_subsel.planning.policy import DEFAULT_POLICY, Policy
from ray_subsel.planning.selection_plan import SelectionPlan

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


@dataclass(frozen=True)
class InputSize:
    """What is known of the input before it is read.

    Attributes
    ----------
    rows, shards : int
    bytes : int
        On disk.
    """

    rows: int
    shards: int
    bytes: int


def stage_bytes(
    source: InputSize,
    corpus: CorpusConfig,
    embed: EmbedConfig,
    sizes: SelectionPlan,
    embedding: EmbeddingPlan,
    *,
    near: bool,
    policy: Policy = DEFAULT_POLICY,
) -> dict[str, int]:
    """Return the predicted peak of each stage's largest process, in bytes, by the stage's name.

    Parameters
    ----------
    sizes : SelectionPlan
        What selection itself will take.
    embedding : EmbeddingPlan
    near : bool
        Whether near copies are collapsed.
    """
    text = 0.0 if corpus.vectors is not None else TEXT_GROWTH * source.bytes / max(1, source.rows)
    row = text + ROW_OVERHEAD + (4 * sizes.d if corpus.vectors is not None else 0)
    part = min(source.rows * row, BlockSizes.part_rows * row, BlockSizes.part_bytes)
    in_shard = source.rows / max(1, source.shards)
    shard = in_shard * (row + 4 * sizes.d)
    embedder = 0.0 if corpus.vectors is not None else embed.embedder_class.memory_bytes(embed)
    found = {
        "corpus": BASE + READER + PART_COPIES * part,
        "embed": BASE + READER + EMBEDDING * embedding.threads + SHARD_COPIES * shard + embedder,
    }
    if near:
        numbers = min(sizes.n * sizes.d, policy.bucket_numbers)
        found["near"] = BASE + READER + BUCKET_COPIES * 4 * numbers
    found["select"] = sizes.predicted_peak_bytes
    published = PUBLISHED_COPIES * row * min(sizes.k, source.rows)
    found["select"] = max(found["select"], BASE + PUBLISHER + published)
    for stage in ("near", "select"):  # small enough to be embedded here is small enough for these
        if stage in found:
            found[stage] += embedding.held_bytes
    return {name: int(amount) for name, amount in found.items()}


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
