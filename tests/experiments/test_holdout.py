"""Rows held out: equal texts on one side, and no near copy of them left to train on."""

import numpy as np
import pytest

from ray_subsel.experiments.holdout import BLOCK, held_out, near_copies_of


def test_equal_texts_stay_together_and_other_rows_change_nothing():
    texts = [f"text {i % 400}" for i in range(1000)]
    aside = held_out(texts, 0.2, 0)
    assert all(aside[i] == aside[i % 400] for i in range(1000))
    assert 0.1 < aside[:400].mean() < 0.3
    assert held_out(texts[100:], 0.2, 0).tolist() == aside[100:].tolist()
    assert held_out(texts, 0.2, 1).tolist() != aside.tolist()


@pytest.mark.parametrize("threshold", [0.3, 0.9, 1.0])
def test_near_copies_are_all_rows_that_reach_one_of_the_others(threshold):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(BLOCK + 50, 4))
    X = (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32)
    others = np.vstack([X[BLOCK + 3], -X[:20]]).astype(np.float32)
    expected = [max(float(x @ other) for other in others.astype(np.float64)) >= threshold - 1e-6 for x in X]
    assert near_copies_of(X, others, threshold).tolist() == expected
    assert expected[BLOCK + 3]
    assert not near_copies_of(X, others[:0], threshold).any()
