"""Plan a run from its files before they are read: rows, partitions, memory, time. ``subsel plan`` prints it."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from ray_subsel.config import CacheConfig, CorpusConfig, EmbedConfig, SelectConfig, settle
from ray_subsel.constraints.size import resolve_k
from ray_subsel.corpus.constraint_columns import check_corpus
from ray_subsel.corpus.files import SourceFile
from ray_subsel.corpus.formats import format_for
from ray_subsel.corpus.id_lists import read_id_lists
from ray_subsel.corpus.ingest_plan import plan_ingest
from ray_subsel.corpus.resolve import resolve
from ray_subsel.corpus.target_file import target_fingerprint
from ray_subsel.planning.embedding_plan import plan_embedding
from ray_subsel.planning.kept_texts import ToEmbed, texts_to_embed, timed
from ray_subsel.planning.machine import Machine
from ray_subsel.planning.policy import DEFAULT_POLICY, Policy
from ray_subsel.planning.selection_plan import SelectionPlan, plan_sizes, planned_k, with_ranks
from ray_subsel.planning.stage_memory import InputSize, check_stages, stage_bytes, stage_memory_line

COUNTED_BYTES = 16 << 20
"""Text files up to this size are read to count their rows; of larger ones the first batch is taken for typical."""


@dataclass(frozen=True)
class RunPlan:
    """What is known of a corpus before it is read.

    Attributes
    ----------
    rows : int
        Counted; of large files other than Parquet estimated.
    exact : bool
        Whether the rows were counted.
    sizes : SelectionPlan
    stages : dict of str to int
        Predicted bytes of the largest process of each stage.
    assumed_k : int or None
        What was taken for k where a budget decides and costs are not read yet.
    recipe : tuple of str
        What the data and the recipe decided, a line each.
    embedding : ToEmbed or None
        What there is to embed, where it was looked up among the embeddings that are kept.
    """

    rows: int
    exact: bool
    sizes: SelectionPlan
    stages: dict[str, int]
    assumed_k: int | None = None
    recipe: tuple[str, ...] = ()
    embedding: ToEmbed | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the plan, ready for JSON."""
        return dataclasses.asdict(self)

    def text(self) -> str:
        """Return the plan as it is printed."""
        about = "" if self.exact else "some "
        first = f"rows      {about}{self.rows:,}; equal ones are one item, so that there may be fewer items"
        embedding = () if self.embedding is None else (self.embedding.line(),)
        lines = [*self.recipe, first, *embedding, *self.sizes.lines(), stage_memory_line(self.stages)]
        if self.assumed_k is not None:
            lines.append(f"budget    how many it pays for is known when costs are read; {self.assumed_k:,} are assumed")
        return "\n".join(lines)


def plan_run(
    corpus: CorpusConfig,
    embed: EmbedConfig,
    select: SelectConfig,
    machine: Machine,
    *,
    cache: CacheConfig | None = None,
    policy: Policy = DEFAULT_POLICY,
    counted_bytes: int = COUNTED_BYTES,
) -> RunPlan:
    """Plan a selection from files alone: nothing is embedded or written.

    Parameters
    ----------
    corpus : CorpusConfig
    embed : EmbedConfig
    select : SelectConfig
    machine : Machine
    cache : CacheConfig, optional
        Where embeddings are kept: texts are looked up there, and what is left to embed is told.
    policy : Policy
    counted_bytes : int
        Text files up to this size are read to count their rows.

    Raises
    ------
    InputError
        When the input cannot be read, k is above the rows, or it cannot fit into memory.
    """
    corpus, told = resolve(corpus)
    settled = settle(corpus, embed, select)
    assert settled.select is not None
    corpus, select = settled.corpus, settled.select
    found = plan_ingest(corpus)
    check_corpus(corpus, select)
    read_id_lists(select, corpus, found.content)
    if select.target is not None:
        target_fingerprint(corpus, select.target)
    counted = [count_rows(file, counted_bytes) for file in found.files]
    rows = sum(count for count, _ in counted)
    rows *= 2 if corpus.augment else 1
    counted_all = all(exact for _, exact in counted) and not corpus.augment
    if not counted_all:  # an estimate refuses nothing
        rows = max(rows, select.k or 1)
    k, _ = resolve_k(select.k, select.fraction, rows=rows, items=rows, no_limit=True)
    dimension = embed.embedder_class.dimension_of(embed) if found.dimension is None else found.dimension
    planned = planned_k(select, k)
    sizes = plan_sizes(select, machine, n=rows, d=dimension, k=planned, copies=corpus.copies == "keep", policy=policy)
    sizes = sizes if corpus.quality is None else with_ranks(sizes)
    source = InputSize(rows, found.shards, sum(file.size for file in found.files))
    looked_up = None
    if cache is not None and corpus.vectors is None:
        looked_up = texts_to_embed(found, embed, cache, rows=rows, exact=counted_all, d=dimension)
    unknown = None if looked_up is None else looked_up.left
    embedding = plan_embedding(corpus, embed, machine, n=rows, d=dimension, unknown=unknown, policy=policy)
    to_embed = None if looked_up is None else timed(looked_up, embed, embedding, machine)
    stages = stage_bytes(source, corpus, embed, sizes, embedding, near=select.near_threshold is not None, policy=policy)
    check_stages(stages, machine)
    assumed = planned if planned < k else None
    return RunPlan(rows, counted_all, sizes, stages, assumed, (*told, *settled.lines()), to_embed)


def count_rows(file: SourceFile, counted_bytes: int = COUNTED_BYTES) -> tuple[int, bool]:
    """Return the rows of a file, and whether they were counted: of a large one the first batch is taken for typical."""
    reader = format_for(file)
    known = reader.count(file)
    if known is not None:
        return known, True
    counted = 0
    for batch in reader.batches(file):
        rows = batch.columns.rows + len(batch.rejects)
        if file.size > counted_bytes:
            return max(rows, math.ceil(file.size / max(1, batch.columns.nbytes) * rows)), False
        counted += rows
    return counted, True
