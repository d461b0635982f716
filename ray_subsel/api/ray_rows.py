"""Rows of a Ray Dataset: read block by block, and taken as a Ray Dataset.

The blocks stay where Ray holds them. Of each one, the named columns come to this process, and after the selection the
chosen rows. Blocks are asked for in the order of the data (``preserve_order``), so that a row has one number.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from ray_subsel.api.rows import Rows
from ray_subsel.core.errors import Verbatim, invalid
from ray_subsel.core.types import Indices


class RayRows(Rows):
    """The rows of a Ray Dataset.

    Parameters
    ----------
    data : ray.data.Dataset
    """

    def __init__(self, data: Any) -> None:
        if not hasattr(data, "to_arrow_refs"):
            raise invalid("texts", "be a ray.data.Dataset", Verbatim(type(data).__name__))
        self._data = data
        self.names = list(data.columns())

    @cached_property
    def _blocks(self) -> list[Any]:
        options = self._data.context.execution_options
        before, options.preserve_order = options.preserve_order, True
        try:
            return list(self._data.materialize().to_arrow_refs())
        finally:
            options.preserve_order = before

    @cached_property
    def _starts(self) -> Indices:
        """The number of the first row of each block, and of all rows."""
        import ray

        lengths = ray.get([_on_ray(_length).remote(block) for block in self._blocks])
        return np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)

    def columns(self, names: Sequence[str]) -> pa.Table:
        """Return some columns of all blocks."""
        import ray

        parts = ray.get([_on_ray(_columns).remote(block, list(names)) for block in self._blocks])
        return pa.concat_tables(parts, promote_options="permissive")

    def take(self, rows: Indices) -> Any:
        """Return the chosen rows as a Ray Dataset."""
        import ray

        block_of = np.searchsorted(self._starts, rows, side="right") - 1
        wanted = np.unique(block_of).tolist()
        local = [rows[block_of == block] - self._starts[block] for block in wanted]
        parts = ray.get([_on_ray(_take).remote(self._blocks[b], some) for b, some in zip(wanted, local, strict=True)])
        found = np.concatenate([np.flatnonzero(block_of == block) for block in wanted])
        table = pa.concat_tables(parts, promote_options="permissive").take(pa.array(np.argsort(found, kind="stable")))
        return ray.data.from_arrow(table)


def _on_ray(function: Any) -> Any:
    from ray_subsel.runtime.ray_session import remote

    return remote(function)


def _length(block: pa.Table) -> int:
    return int(block.num_rows)


def _columns(block: pa.Table, names: list[str]) -> pa.Table:
    return block.select(names)


def _take(block: pa.Table, rows: Indices) -> pa.Table:
    return block.take(pa.array(rows))
