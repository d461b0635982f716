"""Predict the seconds of every stage of a run, and of what is around them: Ray's start, checks, the report.

Constants are seconds of one idle CPU of the machine on which they were measured (``jobs/plan_and_truth.py``; the table
is in docs/scale.md); :func:`ray_subsel.planning.speed.slowness` tells what they are here. How many rows are copies is
not known before they are read; where it matters, constants are in the middle between none and half of them.

Letters: n rows, d dimension, k number to choose.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ray_subsel.config import EmbedConfig, TrainConfig, model_to_train
from ray_subsel.dedup.settings import NearSettings
from ray_subsel.filters.neighbours import CLUSTER_ITEMS, ONE_CLUSTER
from ray_subsel.partitioned.nearest_chosen import EXACT_PRODUCTS
from ray_subsel.planning.counting import Counted
from ray_subsel.planning.work import Work

AROUND = "around"
"""What is no stage: checks of the input, the plan, the report; Python's start is over when it is told."""
RAY = "ray"

SHORT_TEXT = 140
"""Characters of the short texts that an embedder tells its time for."""
PRODUCTS = 2.5e10
"""Multiplications a second of products of matrices."""
RAY_START = 6.0
TASKS = 4.0
"""What a stage on Ray takes to start its workers and tell of their ends."""
ACTORS = 4.0
"""What Ray Data takes to start its actors."""
RANKED = 1e-8
"""Seconds in which a cosine is ranked among others."""
IMPORTS = 0.5
"""Share of an embedder's start that is spent when the plan is told: imports of libraries."""
MAP_POINTS = 20_000
SAMPLE = 2_000


def stage_seconds(work: Work) -> dict[str, float]:
    """Return the seconds of each stage that a run has, in their order, on an idle machine like the one of reference."""
    select, texts = work.config.select, work.config.corpus.vectors is None
    found = {"corpus": _spread(work, _reading([work.corpus]), work.reads_here), "embed": _embedding(work)}
    if select is not None:
        found |= _ground_set(work)
        found["select"] = _selection(work) if select.per is None else _per_group(work)
        profile = 0.06 + (8e-6 if texts else 4e-6) * work.n
        found |= {"decide": 0.02 + 3e-6 * work.n, "map": map_seconds(work.n), "profile": profile}
    if work.config.train is not None:
        found["train"] = _training(work)
    train, here = work.config.train, work.reads_here and work.embedding.in_process and (select is None or work.small)
    trains_over = train is not None and work.config.runtime.train_workers > 0
    starts = (trains_over or not here) and not work.machine.ray_runs
    return ray_seconds(starts) | found | {AROUND: 0.5 + work.corpus.bytes / 5e8 + 5e-7 * work.n}


def ray_seconds(starts: bool) -> dict[str, float]:
    """Return what Ray's start takes, where it will be started."""
    return {RAY: RAY_START} if starts else {}


def _spread(work: Work, seconds: float, here: bool) -> float:
    """Return what work of so many seconds of one CPU takes, in this process or over workers."""
    return seconds if here else seconds / work.machine.cpus + TASKS


def _reading(sets: Sequence[Counted]) -> float:
    return sum(0.25 + 8e-6 * one.rows + 4e-9 * one.bytes for one in sets)


def _texts(one: Counted, left: int | None = None) -> int:
    """Return how many short texts take as long to embed as the rows of a set, or as those that are left of them."""
    return round((one.rows if left is None else left) * max(0.3, one.characters / SHORT_TEXT))


def _embeds(work: Work) -> bool:
    """Tell whether any text is left to embed."""
    return work.to_embed is None or work.to_embed.left > 0


def _embedding(work: Work) -> float:
    """Return what reading the rows again, embedding and writing takes."""
    corpus, plan = work.config.corpus, work.embedding
    writing = 0.05 + 4e-6 * work.n + 8e-9 * work.n * work.d
    if corpus.vectors is not None:
        return _spread(work, writing, plan.in_process) + (0.0 if plan.in_process else ACTORS)
    kind = work.config.embed.embedder_class
    left = None if work.to_embed is None else work.to_embed.left
    if not _embeds(work):
        return _spread(work, writing, plan.in_process)
    seconds = kind.seconds(work.config.embed, _texts(work.corpus, left))
    if plan.in_process:
        return (1.0 - IMPORTS) * kind.start_seconds + seconds / plan.threads + writing
    return kind.start_seconds + _spread(work, seconds + writing, here=False)


def _ground_set(work: Work) -> dict[str, float]:
    """Return what leaving rows out takes, and the target."""
    select, filters, n, d = work.config.select, work.config.filters, work.n, work.d
    assert select is not None
    near, writing = select.near_threshold, 0.02 + 8e-9 * n * d + 3e-6 * n
    found = {}
    if filters.against:
        cosines = (filters.against_near or near) is not None
        other = sum(one.rows for one in work.others.against)
        seconds = _reading(work.others.against) + (_of_other_sets(work, work.others.against) if cosines else 0.0)
        if work.corpus.characters:
            seconds += 1.5e-7 * work.corpus.characters * (n + other)
        found["against"] = _spread(work, seconds + n * other * d / PRODUCTS * cosines + writing, work.small)
    if filters.keep_best is not None:
        found["best"] = _spread(work, 0.05 + 4e-6 * n + writing, work.small)
    if filters.drops:
        compared = work.items if work.items <= ONE_CLUSTER else CLUSTER_ITEMS
        pairs = work.items * compared * (d / PRODUCTS + RANKED)
        found["drop"] = _spread(work, 0.1 + 2e-5 * n + pairs + 2 * writing, work.small)
    if near is not None and select.per is None:
        found["near"] = _spread(work, _near(work.items, d, near) + 2 * writing, work.small)
    if work.others.target is not None:
        found["target"] = _reading([work.others.target]) + _of_other_sets(work, [work.others.target])
    return found


def _of_other_sets(work: Work, sets: Sequence[Counted]) -> float:
    """Return what embedding the rows of other sets takes, the embedder being there already."""
    if work.config.corpus.vectors is not None:
        return 0.0
    kind = work.config.embed.embedder_class
    return sum(kind.seconds(work.config.embed, _texts(one)) for one in sets) / max(1, work.embedding.threads)


def _near(n: int, d: int, threshold: float) -> float:
    """Return what comparing items with those kept takes: all pairs, or those within and next to clusters."""
    settings = NearSettings(threshold)
    if settings.is_exact(n, d):
        return 0.12 + _all_pairs(n, d)
    clusters = max(1, n // settings.cluster_size)
    return 1.0 + 4e-5 * n + n * d * (clusters + 3.0 * settings.cluster_size) / PRODUCTS


def _all_pairs(n: int, d: int) -> float:
    """Return what comparing all pairs for near copies takes."""
    return 1.2e-5 * n + 0.5 * n * n * d / PRODUCTS


def _selection(work: Work) -> float:
    """Return what selection, writing it and finding what each item is nearest to take."""
    assert work.sizes is not None
    n, d, k = work.n, work.d, min(work.k, work.n)
    nearest = min(float(n) * k * d, 0.1 * EXACT_PRODUCTS + n * (k**0.5) * 10.0 * d) / PRODUCTS
    written = 0.05 + 8e-6 * n + 2e-5 * k
    return work.sizes.seconds + _spread(work, nearest + written, work.small)


def map_seconds(n: int) -> float:
    """Return what the map takes: landmarks, then places of others."""
    return 0.1 if n <= 200 else 1.0 + 3e-5 * min(n, MAP_POINTS) + 1e-6 * n


def _per_group(work: Work) -> float:
    """Return what choosing in groups of like size takes, all pairs of each compared for near copies."""
    select, groups = work.config.select, max(1, work.corpus.groups)
    assert select is not None
    size = max(1, work.n // groups)
    near = 0.0 if select.near_threshold is None else _all_pairs(size, work.d)
    pairs = 4.0 * size * min(size, CLUSTER_ITEMS) * work.d / PRODUCTS
    return _spread(work, 0.2 + 3e-5 * work.n + groups * (0.003 + near + pairs), work.small)


def _training(work: Work) -> float:
    """Return what fine-tuning of all arms takes."""
    train, test = work.config.train, work.others.test
    assert train is not None
    k = min(work.k, work.n)
    return training_seconds(
        work.config.embed, train, rows=[work.n if arm == "full" else k for arm in train.arms],
        test_rows=0 if test is None else test.rows, characters=work.corpus.characters,
        workers=work.config.runtime.train_workers,
    )  # fmt: skip


def training_seconds(
    embed: EmbedConfig, train: TrainConfig, *, rows: Sequence[int], test_rows: int, characters: float, workers: int
) -> float:
    """Return what fine-tuning takes: three passes forward an example, one a test row.

    Parameters
    ----------
    embed : EmbedConfig
    train : TrainConfig
    rows : sequence of int
        Those that each arm trains on.
    test_rows : int
    characters : float
        Of a row's text on average.
    workers : int
        Ray Train's; 0: this process trains.
    """
    encoder = replace(EmbedConfig(embedder="bert"), model=model_to_train(embed, train))
    each = encoder.embedder_class.seconds(encoder, 1000) / 1000
    length = max(0.3, characters / SHORT_TEXT)
    passes = 3.0 * train.epochs * sum(rows) + test_rows * len(rows)
    return encoder.embedder_class.start_seconds + each * length * passes / max(1, workers)
