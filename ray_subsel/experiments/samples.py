"""Draw training sets with copies of a known number and kind, which the methods of an experiment choose from."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ray_subsel.config.corpus import CHOICE_TASKS
from ray_subsel.core.errors import invalid, unknown
from ray_subsel.core.types import Indices
from ray_subsel.corpus.choices import CONTEXT, endings_in
from ray_subsel.corpus.story_columns import story_text
from ray_subsel.synthetic.noise import near_copy
from ray_subsel.training.data import columns_of

KINDS = ("none", "exact", "near", "both")


@dataclass(frozen=True)
class Redundancy:
    """How many copies a training set gets, and of what kind.

    Attributes
    ----------
    kind : str
        ``none``, ``exact``, ``near`` (noisy copies) or ``both`` (every other copy of each source is noisy).
    density : float
        Share of all rows that are copies, in [0, 1). 0.5 doubles the set, as the paper does.
    sources : float
        Share of the originals that are copied, in (0, 1]. The paper copies 1 % of them 100 times each.
    strength : float
        Edits a word of a near copy, in (0, 1]; see :func:`ray_subsel.synthetic.noise.near_copy`. Where no copy is
        noisy it decides nothing and is the default's, as ``sources`` is without copies: equal rows are one sample.
    """

    kind: str = "exact"
    density: float = 0.5
    sources: float = 0.01
    strength: float = 0.15

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise unknown("kind", self.kind, KINDS)
        if not 0 <= self.density < 1:
            raise invalid("density", "lie in [0, 1)", self.density)
        if not 0 < self.sources <= 1:
            raise invalid("sources", "lie in (0, 1]", self.sources)
        if not 0 < self.strength <= 1:
            raise invalid("strength", "lie in (0, 1]", self.strength)
        if self.kind not in ("near", "both"):
            object.__setattr__(self, "strength", Redundancy.strength)
        if self.kind == "none":
            object.__setattr__(self, "sources", Redundancy.sources)

    def copies(self, n: int) -> int:
        """Return how many copies n originals get: density / (1 - density) * n."""
        return 0 if self.kind == "none" else round(self.density / (1 - self.density) * n)


@dataclass(frozen=True, eq=False)
class Sample:
    """N rows to choose from.

    Attributes
    ----------
    table : pyarrow.Table of N rows
        The task's columns, as fine-tuning takes them.
    texts : tuple of N str
        What is embedded to choose by.
    origin : int64 array of shape (N,)
        The original row that each row is or copies, in [0, n).
    lead : int64 array of shape (N,)
        The first row whose fields are all equal to this row's: exact copies share it, near copies do not.
    n : int
        Originals.
    """

    table: pa.Table
    texts: tuple[str, ...]
    origin: Indices
    lead: Indices
    n: int

    def copies_among(self, rows: Indices) -> int:
        """Return how many of the rows, copies near or exact, repeat an origin that an earlier one of them has."""
        return int(rows.size - np.unique(self.origin[rows]).size)


def texts_of(table: pa.Table, task: str, story: str) -> tuple[str, ...]:
    """Return what stands for each row when it is chosen: of a question what ``story`` says, or the text itself."""
    if task not in CHOICE_TASKS:
        return tuple(table["text"].to_pylist())
    endings = zip(*(table[name].to_pylist() for name in endings_in(table.column_names)), strict=True)
    rows = zip(table[CONTEXT].to_pylist(), endings, table["label"].to_pylist(), strict=True)
    return tuple(story_text(story, context, whole, right) for context, whole, right in rows)


def make_sample(
    table: pa.Table, task: str, redundancy: Redundancy, *, pool: int | None, story: str, seed: int
) -> Sample:
    """Return a training set drawn from a table, with copies, in random order.

    Parameters
    ----------
    table : pyarrow.Table
        The task's text columns and ``label``.
    task : str
        ``classification``, ``multiple-choice`` or ``story-cloze``.
    redundancy : Redundancy
        Copies take turns over the sources, and copy j is the same at every density: a denser set holds a thinner one's
        rows and more.
    pool : int or None
        How many rows to draw as originals; None takes all.
    story : str
        The part of a story that it is chosen by; see :func:`ray_subsel.corpus.story_columns.story_text`.
    seed : int
        Of the pool, the sources, the noise and the order. Rows are shuffled, so that neither ties nor the lead of
        a group prefer originals.
    """
    rng = np.random.default_rng([seed, 0])
    if pool is not None and not 1 <= pool <= table.num_rows:
        raise invalid("pool", f"lie between 1 and the {table.num_rows} rows to draw from", pool)
    originals = rng.permutation(table.num_rows)[: pool or table.num_rows]
    n = int(originals.size)
    sources = rng.permutation(n)[: max(1, math.ceil(redundancy.sources * n - 1e-9))]
    number = np.arange(redundancy.copies(n))
    origin = np.concatenate([np.arange(n), sources[number % sources.size]]).astype(np.int64)
    columns = list(columns_of(task, table.column_names))
    texts = [name for name in columns if name != "label"]
    rows = table.select(columns).take(pa.array(originals[origin])).to_pylist()
    for j in number.tolist():
        if redundancy.kind == "near" or (redundancy.kind == "both" and (j // sources.size) % 2):
            noise = np.random.default_rng([seed, 1, j])
            for column in texts:
                rows[n + j][column] = near_copy(rows[n + j][column], noise, redundancy.strength)
    order = np.random.default_rng([seed, 2]).permutation(origin.size)
    shuffled = pa.Table.from_pylist([rows[i] for i in order], schema=table.select(columns).schema)
    first: dict[tuple[str, ...], int] = {}
    lead = [first.setdefault(tuple(rows[i].values()), place) for place, i in enumerate(order)]
    return Sample(shuffled, texts_of(shuffled, task, story), origin[order], np.array(lead, dtype=np.int64), n)
