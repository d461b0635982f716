"""Count the training rows that repeat a row of the test file, by words: an accuracy on them says little.

The count is kept in ``test/overlap.json``, beside the rows of the test file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ray_subsel.corpus.rows import RowStore
from ray_subsel.filters.overlap import EQUAL, NGRAM, TextIndex
from ray_subsel.runtime.tasks import TaskSpec, map_tasks
from ray_subsel.stages.exclude_contaminated import texts_of
from ray_subsel.stages.left_out import contaminated_rows

NAME = "overlap.json"


@dataclass(frozen=True)
class Overlapping:
    """Training rows that repeat a test row.

    Attributes
    ----------
    rows : int
        Training rows, without those that were left out already.
    equal, ngram : int
        As :mod:`ray_subsel.filters.overlap` says.
    """

    rows: int
    equal: int
    ngram: int

    def as_json(self) -> dict[str, Any]:
        """Return the counts."""
        return {"rows": self.rows, "equal": self.equal, "ngram": self.ngram}

    def warnings(self, test: str) -> list[str]:
        """Return what a user should know."""
        if not self.equal + self.ngram:
            return []
        return [
            f"{self.equal + self.ngram:,} of {self.rows:,} rows repeat rows of the test file ({self.equal:,} equal, "
            f"{self.ngram:,} by words in a row): accuracy is too high by them; --against {test} leaves them out"
        ]


def overlap_of_test(rows: RowStore, test: RowStore, reads_here: Callable[[int], bool]) -> Overlapping:
    """Return how many rows of a corpus repeat a row of a test file; counted once a run directory."""
    if test.run.exists(NAME):
        return Overlapping(**test.run.read_json(NAME))
    index = TextIndex.of(texts_of([test]))
    here = reads_here(rows.n_bytes)
    out = contaminated_rows(rows)
    specs = [
        (
            shard,
            TaskSpec(
                f"test/overlap-{shard:05d}",
                f"compare shard {shard} with the test set",
                f"shard {shard} could not be compared",
                "Give it more memory",
            ),
        )
        for shard in range(rows.shards)
    ]
    counts: Counter[str] = sum(map_tasks(_count, (rows, index, out), specs, rows.run, in_process=here), Counter())
    found = Overlapping(counts["rows"], counts[EQUAL], counts[NGRAM])
    test.run.write_json(NAME, found.as_json())
    return found


def _count(rows: RowStore, index: TextIndex, out: Any, shard: int) -> Counter[str]:
    table = rows.shard(shard, ["id", "text"])
    texts = table["text"].to_pylist()
    left = np.flatnonzero(~np.isin(table["id"].to_numpy(), out))
    counts = Counter(one.kind for one in index.look_up(texts[at] or "" for at in left.tolist()))
    counts["rows"] += left.size
    return counts
