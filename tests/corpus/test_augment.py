"""The paper's copies: exactly as many as asked, of as few rows as that takes, the same for the same seed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ray_subsel.corpus.augment import augmentation_counts, draw_sources
from ray_subsel.corpus.block_sizes import BlockSizes
from ray_subsel.corpus.rows import RowStore, group_equal
from tests.corpus.inputs import read, write


def corpus(tmp_path: Path, n: int, out: str = "run", **settings: Any) -> RowStore:
    path = write(tmp_path / "a.txt", "\n" + "".join(f"text {i}\n" for i in range(n)))
    return read(tmp_path, path, text=("text",), augment=True, out=out, **settings)


def test_the_paper_doubles_1871_stories() -> None:
    assert augmentation_counts(1871, 0.01, 100) == (19, 1871)


@given(st.integers(1, 10_000), st.floats(0.001, 1.0), st.integers(1, 200))
def test_sources_are_enough_and_not_one_more(n: int, share: float, copies: int) -> None:
    sources, added = augmentation_counts(n, share, copies)
    assert added == round(share * copies * n)
    assert (sources - 1) * copies < added <= sources * copies or sources == added == 0
    assert sources <= n


def test_1871_rows_become_3742(tmp_path: Path) -> None:
    store = corpus(tmp_path, 1871, seed=3, sizes=BlockSizes(part_rows=500))
    # The empty first line is a row too: it is rejected, and copies are numbered after all rows.
    assert (store.n_read, store.n_rejected, store.n_augmented, store.n_rows) == (1872, 1, 1871, 3742)
    copies = store.take(np.arange(1872, 1872 + 1871), ["id", "origin", "text", "key", "line"])
    origins, counts = np.unique(copies["origin"].to_numpy(), return_counts=True)
    assert len(origins) == 19
    assert sorted(counts.tolist()) == [71, *[100] * 18]
    sources = store.take(copies["origin"].to_numpy(), ["text", "key", "line"])
    assert copies.select(["text", "key", "line"]) == sources
    assert store.ids().tolist() == list(range(1, 1872 + 1871))
    sizes = [len(m) for shard in range(store.shards) for m in group_equal(store.shard(shard, ["id", "key"])).members]
    assert sorted(sizes, reverse=True)[:20] == [101] * 18 + [72, 1]


def test_the_seed_decides_which_rows_are_copied(tmp_path: Path) -> None:
    ids = np.arange(5, 105)
    drawn = draw_sources(ids, 0.1, 10, seed=1)
    assert len(set(drawn.tolist())) == len(drawn) == 10
    assert np.array_equal(drawn, draw_sources(ids[::-1], 0.1, 10, seed=1))
    assert not np.array_equal(drawn, draw_sources(ids, 0.1, 10, seed=2))


def test_share_and_copies_are_options(tmp_path: Path) -> None:
    store = corpus(tmp_path, 40, augment_share=0.05, augment_copies=3)
    assert store.n_augmented == 6
    subset = store.subset_table(store.ids()[-2:])
    assert subset.column_names == ["rank", "id", "origin", "text"]
    assert subset["origin"].to_pylist() == [store.take([45], ["origin"])["origin"][0].as_py()] * 2


def test_a_share_that_adds_nothing(tmp_path: Path) -> None:
    assert corpus(tmp_path, 10, augment_share=0.001, augment_copies=1).n_augmented == 0
