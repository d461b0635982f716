"""Write a synthetic corpus in Parquet files, with copies of given number, kind and group size.

Row i of the corpus is a function of (recipe, i): a pseudo-random order of all rows (:mod:`.scramble`) says whether it
is an original or a copy and of which original, so a shard is written without knowing the others, originals and copies
are counted exactly, and the place of every row's original is known. Only the edits of near copies of texts are drawn
in sequence, from one generator a shard. Rows are texts, or vectors where a dimension is given.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ray_subsel.core.errors import InputError, invalid
from ray_subsel.core.hashing import mix
from ray_subsel.core.types import Indices
from ray_subsel.runtime.progress import bar
from ray_subsel.runtime.tasks import TaskSpec, run_tasks
from ray_subsel.storage.run_directory import RunDir
from ray_subsel.synthetic.grammar import CAPACITY, original_texts
from ray_subsel.synthetic.noise import near_copy
from ray_subsel.synthetic.scramble import scramble, unscramble
from ray_subsel.synthetic.vectors import n_topics, near_vectors, original_vectors

SETTINGS = "_recipe.json"
"""Kept beside the shards; readers of a folder skip names that begin with an underscore."""

KINDS = ("original", "exact", "near")

ROW_GROUP = 16_384
"""Rows a row group of vectors: readers stream them."""


@dataclass(frozen=True)
class Recipe:
    """What a synthetic corpus is made of.

    Attributes
    ----------
    rows : int
        Rows of the corpus.
    redundancy : float
        Share of the rows that are copies, in [0, 1); at least one row is an original.
    near_share : float
        Share of the copies that are near copies, in [0, 1]; the others are exact.
    strength : float
        Of the near copies' noise: :func:`~ray_subsel.synthetic.noise.near_copy` of texts,
        :func:`~ray_subsel.synthetic.vectors.near_vectors` of vectors.
    skew : float
        The original of rank r has about ``1 / r**skew`` of the copies; 0 gives all the same.
    copied_share : float
        Share of the originals that are copied at all, in (0, 1]. The paper's augmentation is 0.01 with
        ``redundancy=0.5, near_share=0, skew=0``: a hundred exact copies of each hundredth item.
    shard_rows : int
        Rows a file.
    seed : int
    vectors : int
        Dimension of the vectors to write instead of texts; 0 writes texts.
    """

    rows: int
    redundancy: float = 0.9
    near_share: float = 0.5
    strength: float = 0.05
    skew: float = 1.0
    copied_share: float = 1.0
    shard_rows: int = 50_000
    seed: int = 0
    vectors: int = 0

    def __post_init__(self) -> None:
        for name in ("rows", "shard_rows"):
            if getattr(self, name) < 1:
                raise invalid(name, "be at least 1", getattr(self, name))
        if not 0 <= self.redundancy < 1:
            raise invalid("redundancy", "lie in [0, 1)", self.redundancy)
        if not 0 <= self.near_share <= 1:
            raise invalid("near_share", "lie in [0, 1]", self.near_share)
        for name in ("strength", "copied_share"):
            if not 0 < getattr(self, name) <= 1:
                raise invalid(name, "lie in (0, 1]", getattr(self, name))
        if not (math.isfinite(self.skew) and self.skew >= 0):
            raise invalid("skew", "be at least 0", self.skew)
        if self.vectors < 0:
            raise invalid("vectors", "be a dimension, or 0 for texts", self.vectors)
        if not self.vectors and self.originals > CAPACITY:
            raise invalid("rows", f"hold at most {CAPACITY} originals", self.originals, "Raise redundancy.")

    @property
    def originals(self) -> int:
        """How many rows are originals."""
        return max(1, self.rows - round(self.rows * self.redundancy))

    @property
    def near_copies(self) -> int:
        """How many rows are near copies."""
        return round((self.rows - self.originals) * self.near_share)

    @property
    def copied(self) -> int:
        """How many originals may have copies."""
        return max(1, round(self.originals * self.copied_share))

    @property
    def shards(self) -> int:
        """How many files there are."""
        return -(-self.rows // self.shard_rows)


def shard_name(shard: int) -> str:
    """Return the name of a file; their order by name is that of the rows."""
    return f"part-{shard:06d}.parquet"


def shard_table(recipe: Recipe, shard: int) -> pa.Table:
    """Return one shard of the corpus: a pure function of its arguments.

    Columns: ``row`` (the position in the corpus, from 0), ``text`` (or ``vector``), ``topic`` (a name; of vectors a
    number), ``origin`` (the row of the original, for an original its own) and ``kind`` (original, exact or near).
    """
    rows = np.arange(shard * recipe.shard_rows, min((shard + 1) * recipe.shard_rows, recipe.rows), dtype=np.int64)
    drawn = scramble(rows, recipe.rows, recipe.seed)
    copy = drawn - recipe.originals  # negative: an original
    number = np.where(copy < 0, drawn, _copied_original(recipe, copy))
    kind = np.where(copy < 0, 0, np.where(copy < recipe.near_copies, 2, 1))
    content = _vectors(recipe, rows, number, kind == 2) if recipe.vectors else _texts(recipe, shard, number, kind == 2)
    return pa.table(
        {
            "row": pa.array(rows),
            **content,
            "origin": pa.array(unscramble(number, recipe.rows, recipe.seed)),
            "kind": pa.array([KINDS[one] for one in kind.tolist()], pa.string()),
        }
    )


def _texts(recipe: Recipe, shard: int, number: Indices, near: NDArray[np.bool_]) -> dict[str, pa.Array]:
    texts, topics = original_texts(number, recipe.seed)
    rng = np.random.default_rng([recipe.seed, shard])
    for at in np.flatnonzero(near).tolist():
        texts[at] = near_copy(texts[at], rng, recipe.strength)
    return {"text": pa.array(texts, pa.string()), "topic": pa.array(topics, pa.string())}


def _vectors(recipe: Recipe, rows: Indices, number: Indices, near: NDArray[np.bool_]) -> dict[str, pa.Array]:
    X, topics = original_vectors(number, recipe.vectors, recipe.seed, n_topics(recipe.originals))
    X[near] = near_vectors(X[near], rows[near], recipe.seed, recipe.strength)
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(X.reshape(-1)), recipe.vectors)
    return {"vector": vectors, "topic": pa.array(topics, pa.int32())}


def _copied_original(recipe: Recipe, copy: Indices) -> Indices:
    """Return the number of the original of each copy: ranks by the inverse of the integral of ``x**-skew``."""
    u = (mix(copy, recipe.seed + 2) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    m = recipe.copied
    if abs(recipe.skew - 1.0) < 1e-9:
        rank = np.exp(u * math.log1p(m))
    else:
        power = 1.0 - recipe.skew
        rank = (1.0 + u * ((m + 1.0) ** power - 1.0)) ** (1.0 / power)
    return np.asarray(np.clip(rank.astype(np.int64), 1, m) - 1, dtype=np.int64)


def write_shard(recipe: Recipe, run: RunDir, shard: int) -> int:
    """Write one shard and return its number."""
    table = shard_table(recipe, shard)
    groups = [ROW_GROUP] * (len(table) // ROW_GROUP) + [len(table) % ROW_GROUP] if recipe.vectors else None
    run.write_table(shard_name(shard), table, groups)
    return shard


def make_corpus(recipe: Recipe, out: str, *, parallel: bool = True) -> dict[str, int]:
    """Write a corpus as Parquet files; the same bytes for any number of workers.

    Parameters
    ----------
    recipe : Recipe
    out : str
        A folder on any filesystem that pyarrow writes: new, empty, or begun with the same recipe, which is continued.
    parallel : bool
        On Ray, a task a shard; else here, one shard after the other.

    Returns
    -------
    dict
        Numbers of ``rows``, ``originals``, ``exact`` and ``near`` copies, and ``shards``.

    Raises
    ------
    InputError
        When the folder holds something else.
    """
    run = RunDir(out)
    settings = dataclasses.asdict(recipe)
    if run.exists(SETTINGS):
        if {"vectors": 0, **run.read_json(SETTINGS)} != settings:
            raise InputError(f"out must be new, or begun with this recipe; {out} has another. Use another --out.")
    elif run.exists("") and run.names():
        raise invalid("out", "be new or empty", f"{out} with {run.names()[0]}", "Use another --out.")
    else:
        run.write_json(SETTINGS, settings)
    run.sweep()
    missing = [shard for shard in range(recipe.shards) if not run.exists(shard_name(shard))]
    with bar("corpus", recipe.rows, "row") as progress:
        progress.advance((recipe.shards - len(missing)) * recipe.shard_rows)
        tasks = [
            (shard, TaskSpec(name, f"make shard {shard}", f"{run.path(name)} could not be made", "Free some memory"))
            for shard, name in ((shard, shard_name(shard)) for shard in missing)
        ]
        in_process = not parallel or len(missing) < 2
        for _ in run_tasks(write_shard, (recipe, run), tasks, run, in_process=in_process):
            progress.advance(recipe.shard_rows)
    copies = recipe.rows - recipe.originals
    return {
        "rows": recipe.rows,
        "originals": recipe.originals,
        "exact": copies - recipe.near_copies,
        "near": recipe.near_copies,
        "shards": recipe.shards,
    }
