"""Embed texts: in this process, or by a pool of actors, each of which embeds one shard after the other.

A shard holds all rows of its texts, so equal texts are found and embedded once without any process seeing the whole
corpus. A shard's file is written whole or not at all; a run that was killed embeds the missing shards only.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, TypeVar, final

import numpy as np
import pyarrow as pa

from ray_subsel.config import CacheConfig, CorpusConfig, EmbedConfig, RunConfig, SelectConfig, fingerprint_fields
from ray_subsel.constraints.size import resolve_k
from ray_subsel.core.byte_sizes import show_bytes
from ray_subsel.core.errors import DoesNotFitError, InputError
from ray_subsel.core.hashing import text_key
from ray_subsel.core.items import MULTIPLICITY, ItemBatch
from ray_subsel.core.types import Float32s
from ray_subsel.corpus.rows import RowStore, group_equal
from ray_subsel.embedders import Embedder, EmbedsTexts, normalise_halves, normalise_vectors
from ray_subsel.embedders.remembered import Remembering
from ray_subsel.planning.embedding_plan import EmbeddingPlan, plan_embedding
from ray_subsel.planning.selection_plan import plan_sizes, planned_k
from ray_subsel.runtime.kept_vectors import beyond_limit, kept_vectors, open_kept
from ray_subsel.runtime.metrics import ROWS_EMBEDDED, record
from ray_subsel.runtime.peak_memory import PeakMemory
from ray_subsel.runtime.progress import bar, log_line
from ray_subsel.runtime.ray_session import Resources
from ray_subsel.runtime.tasks import Pool, TaskSpec, run_pool, run_tasks
from ray_subsel.stages.base import RunContext, Stage, StageResult
from ray_subsel.storage.embedding_store import (
    FOLDER,
    EmbeddingStore,
    ShardMeta,
    part_name,
    vectors_of,
    write_shard,
)
from ray_subsel.storage.run_directory import RunDir

R = TypeVar("R")

NOTHING_KEPT = CacheConfig(no_cache=True)
HINT = "Give the workers more memory or use fewer --workers"


@dataclass(frozen=True)
class EmbedTask:
    """All that a worker needs to embed a shard.

    Attributes
    ----------
    rows : RowStore
    corpus : CorpusConfig
    embed : EmbedConfig
    partitions, seed : int
        The random partition by which parts are sorted.
    device : str
        ``"cpu"`` or ``"cuda"``.
    threads : int
        CPU threads of the embedder.
    cache : CacheConfig
        Where the worker finds embeddings of earlier runs, and keeps new ones.
    """

    rows: RowStore
    corpus: CorpusConfig
    embed: EmbedConfig
    partitions: int
    seed: int
    device: str
    threads: int = 1
    cache: CacheConfig = NOTHING_KEPT

    @property
    def run(self) -> RunDir:
        """The run directory."""
        return self.rows.run


def open_embedder(task: EmbedTask, kind: type[Embedder]) -> EmbedsTexts | None:
    """Return what embeds the texts of a task; None where the corpus brings its vectors."""
    if task.corpus.vectors is not None:
        return None

    def opens() -> Embedder:
        state = kind.load_state(task.run) if kind.state_file else None
        return kind.open(task.embed, state, device=task.device, threads=task.threads)

    return open_kept(task.cache, task.embed, opens)


def embed_shard(task: EmbedTask, embedder: EmbedsTexts | None, shard: int) -> ShardMeta:
    """Embed the distinct texts of one shard and write its part. The same function serves every way of running."""
    columns = ["id", "key", "text"] if embedder is not None else ["id", "key", "vector"]
    table = task.rows.shard(shard, columns)
    groups = group_equal(table)
    firsts = table.take(pa.array(groups.first))
    if embedder is not None:
        texts = firsts["text"].to_pylist()
        vectors = embedder.embed(texts) if texts else np.zeros((0, embedder.dimension), dtype=np.float32)
    else:
        normalise = normalise_halves if task.embed.vectors_dtype == "float16" else normalise_vectors
        vectors = normalise(vectors_of(firsts["vector"])) if len(firsts) else vectors_of(firsts["vector"])
    items, members = _ground_set(groups.leads, groups.members, vectors, keep=task.corpus.copies == "keep")
    return write_shard(
        task.run,
        shard,
        items,
        members,
        texts=len(groups.leads),
        partitions=task.partitions,
        seed=task.seed,
        dtype=task.embed.vectors_dtype,
    )


def _ground_set(
    leads: np.ndarray[Any, Any], members: list[np.ndarray[Any, Any]], vectors: Float32s, *, keep: bool
) -> tuple[ItemBatch, list[list[int]]]:
    """Return the items of a shard: a group each, or with ``keep`` a row each."""
    if not keep:
        counts = np.array([len(group) for group in members], dtype=np.int64)
        return ItemBatch(leads, vectors, {MULTIPLICITY: counts}), [group.tolist() for group in members]
    ids = np.concatenate(members) if members else np.zeros(0, dtype=np.int64)
    source = np.repeat(np.arange(len(members)), [len(group) for group in members])
    items = ItemBatch(ids, vectors[source], {MULTIPLICITY: np.ones(len(ids), dtype=np.int64)})
    return items, [[one] for one in ids.tolist()]


def shard_worker(task: EmbedTask, kind: type[Embedder]) -> Callable[[int], tuple[int, int]]:
    """Open the embedder and return what embeds a shard and tells its distinct texts, and how many were kept before.

    Parameters
    ----------
    task : EmbedTask
    kind : class
        Of the embedder; one from outside the package comes with it (:func:`ray_subsel.runtime.ray_session.ship`).
    """
    embedder = open_embedder(task, kind)

    def work(shard: int) -> tuple[int, int]:
        before = embedder.looked_up if isinstance(embedder, Remembering) else 0
        texts = embed_shard(task, embedder, shard).texts
        return texts, embedder.looked_up - before if isinstance(embedder, Remembering) else 0

    return work


def _task_of(run: RunDir, shard: int) -> TaskSpec:
    name = part_name(shard)
    return TaskSpec(name, f"embed shard {shard}", f"shard {shard} ({run.path(name)}) could not be embedded", HINT)


def missing_shards(rows: RowStore) -> list[int]:
    """Return the shards that have no finished part yet."""
    return [shard for shard in range(rows.shards) if not rows.run.exists(part_name(shard))]


def pool_size(workers: int | None, num_gpus: float | None, resources: Resources) -> tuple[int, float]:
    """Return the number of actors and the GPUs of each: one a GPU where there are GPUs, else one a CPU.

    A cluster at rest may have no GPU and start nodes with some when they are asked for, so only a Ray of this machine
    alone is refused what it has not.
    """
    gpus = num_gpus if num_gpus is not None else (1.0 if resources.gpus >= 1 else 0.0)
    if gpus > resources.gpus and resources.local:
        raise InputError(
            f"num_gpus must be at most what Ray has; got {gpus:g} of {resources.gpus:g}. Use --num-gpus 0 for CPUs."
        )
    if workers is None:
        workers = max(1, int(resources.gpus / gpus) if gpus > 0 else int(resources.cpus))
    return workers, gpus


@dataclass(frozen=True)
class _GroundSetTexts:
    """The texts of the ground set in order of shard and id, as often as they are asked for, one shard in memory.

    Attributes
    ----------
    rows : RowStore
    keep : bool
        Whether equal texts are items of their own.
    makes : str
        The file of the run directory that comes of reading them.
    in_process : bool
        Read them in this process.
    """

    rows: RowStore
    keep: bool
    makes: str
    in_process: bool

    def __iter__(self) -> Iterator[str]:
        for shard in range(self.rows.shards):
            yield from self.of_shard(shard)

    def of_shard(self, shard: int) -> list[str]:
        """Return the texts of one shard."""
        table = self.rows.shard(shard, ["id", "key", "text"])
        if not self.keep:
            table = table.take(pa.array(group_equal(table).first))
        texts: list[str] = table["text"].to_pylist()
        return texts

    def map_parts(self, function: Callable[[Sequence[str]], R]) -> Iterator[R]:
        """Yield the function of each shard's texts, in this process or a Ray task each."""
        tasks = [
            (
                shard,
                TaskSpec(
                    f"{self.makes}-{shard:05d}",
                    f"count words of shard {shard}",
                    f"words of shard {shard} could not be counted",
                    HINT,
                ),
            )
            for shard in range(self.rows.shards)
        ]
        for _, result, _ in run_tasks(_of_shard, (self, function), tasks, self.rows.run, in_process=self.in_process):
            yield result


def _of_shard(texts: _GroundSetTexts, function: Callable[[Sequence[str]], R], shard: int) -> R:
    return function(texts.of_shard(shard))


def fit_once(rows: RowStore, corpus: CorpusConfig, embed: EmbedConfig, *, in_process: bool = False) -> None:
    """Fit the embedder where it is one that learns from the corpus, and keep its state in the run directory.

    It sees the texts of the ground set: the distinct ones, or with ``copies="keep"`` all. A run does so once.
    """
    kind = embed.embedder_class
    if kind.state_file and not rows.run.exists(kind.state_file):
        texts = _GroundSetTexts(rows, corpus.copies == "keep", kind.state_file, in_process)
        kind.save_state(rows.run, kind.fit(texts, embed))


def open_embeddings(rows: RowStore) -> EmbeddingStore:
    """Open the files of all shards and check that none lost a row."""
    store = EmbeddingStore.open(rows.run, range(rows.shards))
    if store.rows != rows.n_rows:
        raise InputError(
            f"{rows.run.path(FOLDER)} must account for {rows.n_rows} rows; got {store.rows}. "
            "Delete the folder and run the same command again."
        )
    dimensions = sorted({meta.dimension for meta in store.shards if meta.items})
    if len(dimensions) > 1:
        raise InputError(f"vectors must have one length; got {dimensions}. Embed them with one model.")
    odd = next((meta for meta in store.shards if meta.dtype != store.dtype), None)
    if odd is not None:
        raise InputError(
            f"{rows.run.path(odd.name)} must hold vectors of {store.dtype} as the first part does; got {odd.dtype}. "
            f"Delete {rows.run.path(FOLDER)} and run the same command again."
        )
    return store


@final
@dataclass(frozen=True)
class EmbedStage(Stage[EmbeddingStore]):
    """Embed the distinct texts of every shard that has no file yet.

    Attributes
    ----------
    rows : RowStore
    model : str or None
        What tells one embedder from another; None for ready vectors.
    """

    name: ClassVar[str] = "embed"
    outputs: ClassVar[tuple[str, ...]] = (FOLDER, "doc2vec", "tfidf", "embedder")

    rows: RowStore
    model: str | None
    fitted_in: RunDir | None = None

    def settings(self, context: RunContext) -> dict[str, Any]:
        """Return what decides the vectors."""
        config = context.config
        how = fingerprint_fields(config.embed)
        if self.model is None:
            how = {"vectors": config.corpus.vectors, **{name: how[name] for name in ("vectors_dtype",) if name in how}}
        return {**how, "model_fingerprint": self.model, "corpus": context.fingerprint("corpus")}

    def resume(self, context: RunContext) -> EmbeddingStore | None:
        """Return the embeddings, or None where a shard has none."""
        del context
        return None if missing_shards(self.rows) else open_embeddings(self.rows)

    def mend(self, context: RunContext, lost: Sequence[str]) -> None:
        """Delete the parts that are lost; with the state of an embedder that has learnt from the corpus, everything."""
        parts = {part_name(shard) for shard in range(self.rows.shards)}
        if not parts.issuperset(lost):
            super().mend(context, lost)
            return
        for name in lost:
            context.run.delete(name)

    def run(self, context: RunContext, peak: PeakMemory) -> StageResult[EmbeddingStore]:
        """Fit the embedder where it learns from the corpus, and embed what is missing."""
        config, rows = context.config, self.rows
        missing, looked_up = missing_shards(rows), 0
        if missing:
            d = _dimension(config.corpus, config.embed, rows)
            cache = cache_for(context, rows, d)
            plan = embedding_of(context, rows, d, _unknown(cache, config.embed, rows, missing))
            here = context.in_process(plan.in_process)
            if self.model is not None:
                self._fit(config, here)
            looked_up = self._embed(context, plan, cache, missing, peak)
        store = open_embeddings(rows)
        reused = rows.shards - len(missing)
        facts = {
            "embedder": "precomputed" if self.model is None else config.embed.embedder,
            "model": self.model,
            "dimension": store.d,
            "vectors_dtype": store.dtype,
            "embedded": store.texts,
            "items": store.n,
            "parts": rows.shards,
            "parts_reused": reused,
            "kept_before": looked_up,
        }
        kept = f", {looked_up:,} of them embedded by earlier runs" if looked_up else ""
        line = f"embed: {store.texts:,} distinct{kept}, {store.d} dimensions, {reused} parts from before"
        return StageResult(store, facts, line)

    def _fit(self, config: RunConfig, here: bool) -> None:
        """Fit the embedder, or take over the state of one that another run has fitted."""
        kind = config.embed.embedder_class
        if self.fitted_in is None or not kind.state_file:
            fit_once(self.rows, config.corpus, config.embed, in_process=here)
        elif not self.rows.run.exists(kind.state_file):
            kind.save_state(self.rows.run, kind.load_state(self.fitted_in))

    def _embed(
        self, context: RunContext, plan: EmbeddingPlan, cache: CacheConfig, missing: list[int], peak: PeakMemory
    ) -> int:
        """Embed shards; return how many of their texts were kept before."""
        task, pool = embedding_pool(context, self.rows, plan, cache, self.rows.run.path(FOLDER))
        tasks = [(shard, _task_of(self.rows.run, shard)) for shard in missing]
        shared = (task, context.config.embed.embedder_class)
        ended = run_pool(shard_worker, shared, tasks, self.rows.run, in_process=plan.in_process, pool=pool)
        with bar("embed", self.rows.n_rows, "row") as progress:
            looked_up = 0
            for _, (texts, kept), used in ended:
                progress.advance(texts)
                record(ROWS_EMBEDDED, texts, self.rows.run)
                peak.add(used)
                looked_up += kept
        return looked_up


def cache_for(context: RunContext, rows: RowStore, d: int) -> CacheConfig:
    """Return where this corpus' embeddings are kept: nowhere where they alone exceed what may be kept."""
    cache = context.config.cache
    if context.config.corpus.vectors is not None or context.config.embed.embedder_class.kept_by is None:
        return NOTHING_KEPT
    if cache.no_cache:
        return cache
    if not (needed := beyond_limit(cache, rows.n_rows, d)):
        return replace(cache, cache=str(cache.place))  # workers have another environment
    log_line(
        f"embed: embeddings are not kept for other runs: {show_bytes(needed)} exceed --cache-size {cache.cache_size}"
    )
    return NOTHING_KEPT


def _unknown(cache: CacheConfig, embed: EmbedConfig, rows: RowStore, shards: list[int]) -> int | None:
    """Return how many texts of some shards have no embedding that is kept here; None where nothing is kept."""
    kept = kept_vectors(cache, embed)
    if kept is None or kept.empty:
        return None
    unknown = 0
    for shard in shards:
        table = rows.shard(shard, ["id", "key", "text"])
        texts = table.take(pa.array(group_equal(table).first))["text"].to_pylist()
        unknown += int((~kept.has([text_key(text) for text in texts])).sum())
    return unknown


def embedding_pool(
    context: RunContext, rows: RowStore, plan: EmbeddingPlan, cache: CacheConfig, makes: str
) -> tuple[EmbedTask, Pool]:
    """Return what workers need to embed as the rows are embedded, and how many of them there are.

    Parameters
    ----------
    makes : str
        The folder that comes of it.
    """
    config = context.config
    if plan.in_process:
        workers, gpus = 1, plan.gpus
    else:
        resources = context.session.resources
        workers, gpus = pool_size(config.runtime.workers, config.runtime.num_gpus, resources)
    task = EmbedTask(
        rows=rows,
        corpus=config.corpus,
        embed=config.embed,
        partitions=_layout(context, rows),
        seed=0 if config.select is None else config.select.seed,
        device="cuda" if gpus > 0 else "cpu",
        threads=plan.threads,
        cache=cache,
    )
    return task, Pool(TaskSpec(FOLDER, "embed shards", f"{makes} could not be made", HINT), workers, gpus)


def embedding_of(context: RunContext, rows: RowStore, d: int, unknown: int | None = None) -> EmbeddingPlan:
    """Plan where the rows are embedded, to d dimensions; ``unknown`` of their texts, where some are kept."""
    config = context.config
    return plan_embedding(
        config.corpus,
        config.embed,
        context.machine,
        n=rows.n_rows,
        d=d,
        unknown=unknown,
        workers=config.runtime.workers,
        num_gpus=config.runtime.num_gpus,
        policy=context.policy,
    )


def embedding_done(context: RunContext, rows: RowStore, d: int) -> EmbeddingPlan:
    """Return the plan of :func:`embedding_of` once the rows are embedded; no library is loaded to tell.

    A process without all of the embedder's libraries has not embedded: all texts were known, or workers did it.
    """
    needs = context.config.embed.embedder_class.libraries
    if context.config.corpus.vectors is None and not all(name in sys.modules for name in needs):
        return EmbeddingPlan(True, 1, 0)
    return embedding_of(context, rows, d)


def _dimension(corpus: CorpusConfig, embed: EmbedConfig, rows: RowStore) -> int:
    d = rows.dimension if corpus.vectors is not None else embed.embedder_class.dimension_of(embed)
    return d or 1


def _layout(context: RunContext, rows: RowStore) -> int:
    """Return by how many partitions to sort the files that are embedded, before the items are counted."""
    config = context.config
    select = SelectConfig(k=1) if config.select is None else config.select
    if select.partitions is not None:
        return select.partitions
    n = rows.n_rows
    k, _ = resolve_k(select.k, select.fraction, rows=n, items=n, no_limit=True)
    d = _dimension(config.corpus, config.embed, rows)
    copies = config.corpus.copies == "keep"
    try:
        k = planned_k(select, k)
        return plan_sizes(select, context.machine, n=n, d=d, k=k, copies=copies, policy=context.policy).partitions
    except DoesNotFitError:  # an upper bound does not fit; the items may, once equal ones are collapsed
        return 1
