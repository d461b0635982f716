"""Why a row was chosen, or why not."""

import dataclasses

import numpy as np
import pytest
import scipy.sparse as sp

from ray_subsel import InputError, select

X = np.array([[1.0, 0.0], [1.0, 0.02], [0.0, 1.0], [0.3, 0.9], [-1.0, 0.1], [1.0, 0.01]])


def test_the_sentences():
    with_vectors = select(X, 2, objective="facility_location", near=0.99, include=[0, 3])
    chosen = dataclasses.replace(with_vectors, vectors=None)
    assert chosen.indices.tolist() == [0, 3]
    assert chosen.stands_for.tolist() == [0, 0, 2, 3, 4, 0]
    gain = f"with a gain of {chosen.gains[0]:.4g} of {chosen.value:.4g} in all"
    assert chosen.explain(0) == f"Row 0 was chosen as number 1 of 2, {gain}. It stands for 3 rows: itself, 1, 5."
    assert chosen.explain(3).startswith("Row 3 was chosen as number 2 of 2, with a gain of")
    assert chosen.explain(1) == "Row 1 was not chosen: it is a copy of row 0, which was chosen as number 1 of 2."
    assert "(cosine 0.9998)" in chosen.explain(1, X)
    cosine = X[2] @ X[3] / np.linalg.norm(X[3])
    told = f"Row 2 was not chosen. The nearest chosen row is 3, number 2, at a cosine of {cosine:.4f}."
    assert chosen.explain(2, X) == told
    assert "Pass X" in chosen.explain(2)
    assert with_vectors.explain(2) == told


def test_a_copy_of_what_was_not_chosen():
    chosen = select(X, 1, objective="facility_location", near=0.99, include=[2])
    assert chosen.explain(5, X).startswith(
        "Row 5 was not chosen: it is a copy of row 0 (cosine 1.0000), which was not chosen"
    )
    assert chosen.explain(5, X).endswith("The nearest chosen row is 2, number 1, at a cosine of 0.0100.")


def test_a_long_group_is_cut():
    chosen = select(np.repeat(X[:1], 9, axis=0) + 0.0, 1, near=0.9)
    assert chosen.explain(0).endswith("It stands for 9 rows: itself, 1, 2, 3, 4, 5 and 3 more.")


def test_nearest_is_the_nearest():
    rng = np.random.default_rng(0)
    data = rng.standard_normal((60, 7)).astype(np.float32)
    chosen = select(data, 8)
    unit = data / np.linalg.norm(data, axis=1, keepdims=True)
    for row in set(range(60)) - set(chosen):
        cosines = unit[chosen] @ unit[row]
        best = int(np.argmax(cosines))
        assert f"is {chosen[best]}, number {best + 1}, at a cosine of {cosines[best]:.4f}" in chosen.explain(row, data)


def test_sparse_rows():
    data = sp.csr_array(np.array([[1.0, 0, 0, 2], [0, 1, 0, 0], [1, 0, 0, 1], [0, 0, 3, 0]]))
    chosen = select(data, 1, objective="feature_based", include=[0])
    cosine = 3 / np.sqrt(5 * 2)
    assert chosen.explain(2, data).endswith(f"The nearest chosen row is 0, number 1, at a cosine of {cosine:.4f}.")


def test_nothing_chosen():
    chosen = select(X, 2, objective="graph_cut", stop_when_gain=1e9)
    assert chosen.explain(0, X) == "Row 0 was not chosen. Nothing was."


@pytest.mark.parametrize(
    ("row", "data", "words"),
    [
        (6, X, r"row must lie in \[0, 6\)"),
        (6, None, r"row must lie in \[0, 6\)"),
        (-1, X, "row must be the number of a row"),
        ("a", X, "row must be the number of a row"),
        (0, X[:3], "X must be the matrix that was selected from; got 3 rows"),
        (0, "X", "X must be the matrix that was selected from; got str"),
    ],
)
def test_what_cannot_be_explained(row, data, words):
    chosen = select(X, 2, near=0.99)
    with pytest.raises(InputError, match=words):
        chosen.explain(row, data)
