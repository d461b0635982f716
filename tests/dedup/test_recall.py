"""Recall: the sample, and what of it was missed, against all pairs."""

import numpy as np
import pytest

from ray_subsel.dedup.buckets import Bucket
from ray_subsel.dedup.recall import RECALL_SAMPLE, Recall, in_recall_sample, missed


def test_the_sample_is_drawn_by_id():
    ids = np.arange(100_000)
    drawn = in_recall_sample(ids, n=ids.size, seed=3)
    assert abs(drawn.sum() - RECALL_SAMPLE[0]) < 300
    np.testing.assert_array_equal(in_recall_sample(ids[500:], n=ids.size, seed=3), drawn[500:])
    assert in_recall_sample(ids[:50], n=50, seed=3).all()


def test_the_sample_is_a_hundredth_between_the_least_and_the_most():
    ids = np.arange(100_000)
    shares = {n: in_recall_sample(ids, n=n, seed=3).mean() * n for n in (20_000, 500_000, 10**6, 10**8)}
    assert list(shares.values())[:3] == pytest.approx([2000, 5000, 10_000], rel=0.1)
    assert shares[10**8] < 30_000  # of 100,000 ids a few


def test_missed_are_those_with_an_earlier_item_of_their_label():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 3))
    labels = rng.integers(2, size=300)
    every = Bucket(np.arange(300) * 3, np.zeros(300, np.int64), labels, np.zeros((300, 0), np.int32), X)
    sample = every.take(np.arange(0, 300, 7))
    U = X / np.linalg.norm(X, axis=1, keepdims=True)
    hits = np.tril(U @ U.T, -1) >= 0.95
    wanted = (hits & (labels[:, None] == labels)).any(axis=1)[::7]
    parts = [missed(sample, every.take(part), 0.95) for part in np.array_split(rng.permutation(300), 4)]
    np.testing.assert_array_equal(np.logical_or.reduce(parts), wanted)
    order = rng.permutation(sample.n)  # in whatever order the sample is
    np.testing.assert_array_equal(missed(sample.take(order), every, 0.95), wanted[order])
    assert 0 < wanted.sum() < wanted.size


def test_the_share():
    assert Recall(10, 3, 1).share == 0.75
    assert Recall(10, 0, 0).share == 1.0
    assert Recall(10, 3, 1).to_find == 4
