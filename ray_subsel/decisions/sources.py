"""Read what decisions are put together from: of a run its files, behind names that other holders of rows have too."""

from __future__ import annotations

import abc
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

import pyarrow as pa

from ray_subsel.core.types import NO_ITEMS, Indices
from ray_subsel.corpus.rows import REJECTED, RowStore
from ray_subsel.storage.embedding_store import FOLDER as EMBEDDINGS
from ray_subsel.storage.embedding_store import EmbeddingStore, part_name
from ray_subsel.storage.run_directory import RunDir

FULL = "full"
"""Column of items: whether their label holds as many in its group as it may."""


@dataclass(frozen=True, eq=False)
class LeftOut:
    """Rows that a filter left out before anything was chosen.

    Attributes
    ----------
    ids : int64 array
        Ascending.
    status : sequence of str
        Of each.
    reason : pyarrow array of strings
        Of each.
    """

    ids: Indices
    status: list[str]
    reason: pa.Array


@dataclass(frozen=True, eq=False, kw_only=True)
class Sources(abc.ABC):
    """What decisions are put together from.

    Attributes
    ----------
    excluded : int64 array
        Row ids that must not be chosen.
    left_out : sequence of LeftOut
    group_column : str or None
        The rows' column of groups that have a quota.
    full_groups : frozenset of str
        Those that hold as many items as they may.
    notes : int64 array and list of str
        Rows of which more is to be told, and what: in the reasons of those that are chosen or might have been.
    """

    per_group: ClassVar[bool] = False
    """Whether each group was chosen from on its own: all is told within it."""

    excluded: Indices = field(default_factory=lambda: NO_ITEMS)
    left_out: tuple[LeftOut, ...] = ()
    group_column: str | None = None
    full_groups: frozenset[str] = frozenset()
    notes: tuple[Indices, list[str]] = field(default_factory=lambda: (NO_ITEMS, []))

    @property
    @abc.abstractmethod
    def n(self) -> int:
        """How many row ids there are."""

    @property
    @abc.abstractmethod
    def has_own_ids(self) -> bool:
        """Whether rows have ids of their own, in a column ``source_id``."""

    @abc.abstractmethod
    def chosen(self) -> pa.Table:
        """Return ``rank``, ``id`` and ``rows`` of what is chosen."""

    @abc.abstractmethod
    def items(self) -> Iterator[tuple[pa.Table, pa.Table | None]]:
        """Yield ``id``, ``rows`` of embedded items, and their ``id``, ``nearest``, ``cosine`` where that is known.

        In groups that were chosen from alone :data:`FULL` too.
        """

    @abc.abstractmethod
    def leaders(self) -> Iterator[pa.Table]:
        """Yield ``id``, ``leader`` and ``cosine`` of items, where near copies were collapsed."""

    def renamed_items(self) -> Iterator[pa.Table]:
        """Yield ``id`` and ``rows`` of items under the names of their best rows, where these are not their lowest."""
        yield from ()

    @abc.abstractmethod
    def rejected(self) -> pa.Table | None:
        """Return ``row``, ``reason`` and ``detail`` of rows that could not be used."""

    @abc.abstractmethod
    def column(self, name: str, start: int, stop: int) -> Iterator[tuple[Indices, pa.ChunkedArray]]:
        """Yield the ids of usable rows in ``[start, stop)``, in no order, and what a column has for them."""


@dataclass(frozen=True, eq=False, kw_only=True)
class RunSources(Sources):
    """What decisions of a run are put together from.

    Attributes
    ----------
    rows : RowStore
    nearest : str
        Folder with ``id``, ``nearest``, ``cosine`` of each embedded item.
    groups : str or None
        Folder with ``id``, ``leader``, ``cosine`` of each item, where near copies were collapsed.
    selection : str
        File of the chosen rows.
    renamed : str or None
        Folder of the items under the names of their best rows, where these are not their lowest ones.
    """

    rows: RowStore
    nearest: str
    groups: str | None
    selection: str
    renamed: str | None = None

    @property
    def run(self) -> RunDir:
        """The run directory."""
        return self.rows.run

    @property
    def n(self) -> int:
        """Rows that were read, and copies that augmentation added."""
        return self.rows.n_ids

    @property
    def has_own_ids(self) -> bool:
        """Whether an id column was named."""
        return self.rows.has_own_ids

    def chosen(self) -> pa.Table:
        """Read the selection."""
        return self.run.read_table(self.selection, ["rank", "id", "rows"])

    def items(self) -> Iterator[tuple[pa.Table, pa.Table | None]]:
        """Read the embedded items, shard by shard."""
        store = EmbeddingStore.open_folder(self.run, EMBEDDINGS)
        for shard in store.numbers:
            name = part_name(shard, self.nearest)
            nearest = self.run.read_table(name) if self.run.exists(name) else None
            yield store.read_shard(shard, ["id", "rows"]), nearest

    def leaders(self) -> Iterator[pa.Table]:
        """Read who joined whom."""
        for name in [] if self.groups is None else self.run.names(self.groups, ".parquet"):
            yield self.run.read_table(name, ["id", "leader", "cosine"])

    def renamed_items(self) -> Iterator[pa.Table]:
        """Read the items under the names of their best rows."""
        for name in [] if self.renamed is None else self.run.names(self.renamed, ".parquet"):
            yield self.run.read_table(name, ["id", "rows"])

    def rejected(self) -> pa.Table | None:
        """Read the rows that could not be used."""
        return self.run.read_table(REJECTED, ["row", "reason", "detail"]) if self.run.exists(REJECTED) else None

    def column(self, name: str, start: int, stop: int) -> Iterator[tuple[Indices, pa.ChunkedArray]]:
        """Read a column of the rows."""
        yield from self.rows.column_between(name, start, stop)


@dataclass(frozen=True, eq=False, kw_only=True)
class GroupSources(RunSources):
    """What decisions of a run are put together from where each group was chosen from on its own.

    ``nearest`` has the items of each group, with ``rows``, ``leader``, ``leader_cosine`` and ``full``
    (:mod:`ray_subsel.stages.group_fates`).
    """

    per_group: ClassVar[bool] = True

    def items(self) -> Iterator[tuple[pa.Table, pa.Table | None]]:
        """Read the items of groups, pack by pack."""
        for name in self.run.names(self.nearest, ".parquet"):
            table = self.run.read_table(name, ["id", "rows", "nearest", "cosine", FULL])
            yield table.select(["id", "rows"]), table.drop_columns(["rows"])

    def leaders(self) -> Iterator[pa.Table]:
        """Read who joined whom within a group."""
        for name in self.run.names(self.nearest, ".parquet"):
            table = self.run.read_table(name, ["id", "leader", "leader_cosine"])
            yield table.rename_columns(["id", "leader", "cosine"])
