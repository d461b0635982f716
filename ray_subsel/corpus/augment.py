"""Augment a corpus as the paper does: add exact copies of a few random rows until it has grown as asked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ray_subsel.corpus.block_sizes import BlockSizes
from ray_subsel.corpus.rows import RowStore
from ray_subsel.corpus.splits import FOLDER, write_part


def augmentation_counts(n: int, share: float, copies: int) -> tuple[int, int]:
    """Return how many rows are copied and how many copies are added.

    ``added = round(share * copies * n)`` and ``sources = ceil(added / copies)``; the last source gets what is left.
    With the paper's 1 % and 100 copies the corpus doubles: 1,871 rows get 1,871 copies of 19.
    """
    added = round(share * copies * n)
    return -(-added // copies), added


def draw_sources(ids: NDArray[np.int64], share: float, copies: int, seed: int) -> NDArray[np.int64]:
    """Return the row ids that are copied, in the order drawn: without replacement, from PCG64(seed)."""
    sources, _ = augmentation_counts(len(ids), share, copies)
    generator = np.random.Generator(np.random.PCG64(seed))
    return generator.choice(np.sort(ids), size=sources, replace=False)


def write_copies(
    store: RowStore, share: float, copies: int, seed: int, *, part_rows: int = BlockSizes.part_rows
) -> list[dict[str, Any]]:
    """Write the copies as further parts and return their entries in the index.

    Copy j gets the id ``n_read + j`` and is one of source ``j // copies``; ``origin`` names the source's row. Memory:
    one part.
    """
    ids = store.ids()
    _, added = augmentation_counts(len(ids), share, copies)
    drawn = draw_sources(ids, share, copies, seed)
    parts: list[dict[str, Any]] = []
    for start in range(0, added, part_rows):
        numbers = np.arange(start, min(start + part_rows, added))
        table = store.take(drawn[numbers // copies])
        table = table.set_column(table.column_names.index("id"), "id", pa.array(store.n_read + numbers))
        entry = write_part(store.run, f"{FOLDER}/copies-{len(parts):05d}.parquet", table, store.shards)
        parts.append({**entry, "offset": 0})
    return parts
