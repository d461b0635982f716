"""Rows that are left out before anything is chosen: the selection is that of the rest, under the caller's numbers."""

from functools import partial

import numpy as np
import pytest

from ray_subsel import select as select_any
from ray_subsel.core.errors import InputError

select = partial(select_any, recipe="none")
DRAW = np.random.default_rng(0)
V = DRAW.normal(size=(9, 6))
X = DRAW.normal(size=(80, 6))
X[::8] = 2.0 * V[[0, 1, 2, 3, 4, 5, 6, 7, 8, 0]]
LEFT = np.setdiff1d(np.arange(80), np.arange(0, 80, 8))
GROUPS = np.arange(80) % 3


@pytest.mark.filterwarnings("ignore::ray_subsel.optimizers.GuaranteeWarning")
@pytest.mark.parametrize(
    ("options", "of_rows"),
    [
        ({}, {}),
        ({"near": 0.8}, {}),
        ({"objective": "facility_location"}, {}),
        ({"quotas": {0: 2}}, {"groups": GROUPS}),
        ({"budget": 30.0}, {"costs": np.arange(1, 81)}),
        ({"lam": 1.0}, {"utility": np.arange(80) / 80.0}),
        ({}, {"multiplicity": np.arange(80) % 4 + 1}),
        ({"near": 0.8}, {"near_within": GROUPS}),
    ],
)
def test_the_rest_is_the_ground_set(options, of_rows):
    found = select(X, 7, against=V, against_near=0.99, **options, **of_rows)
    alone = select(X[LEFT], 7, **options, **{name: array[LEFT] for name, array in of_rows.items()})
    assert found.indices.tolist() == LEFT[alone.indices].tolist()
    assert found.gains.tolist() == alone.gains.tolist()
    assert found.n == alone.n
    assert found.left_out.rows.tolist() == list(range(0, 80, 8))
    assert found.left_out.nearest.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 0]
    assert set(found.left_out.kind) == {"near"}
    assert np.allclose(found.left_out.score, 1.0)
    assert alone.left_out is None


def test_included_and_excluded_rows_keep_their_numbers():
    found = select(X, 5, against=V, against_near=0.99, include=[9, 3], exclude=[8, 10])
    assert found.indices[:2].tolist() == [9, 3]
    assert not {8, 10} & set(found.indices.tolist())
    plain = select(X, 5, include=[9, 3], exclude=[10, *range(0, 80, 8)])
    assert len(set(plain.indices.tolist()) & set(found.indices.tolist())) >= 2


def test_the_fraction_is_one_of_all_rows_and_the_threshold_that_of_near_copies():
    assert len(select(X, fraction=0.25, against=V)) == 20
    usual = select(X, 5, against=V).left_out.rows.tolist()
    assert usual == select(X, 5, against=V, near=0.9).left_out.rows.tolist()
    assert usual == select(X, 5, against=V, near=0.7, against_near=0.9).left_out.rows.tolist()
    less = select(X, 5, against=V, near=0.6).left_out
    assert set(usual) < set(less.rows.tolist())
    assert (less.score >= 0.6 - 1e-9).all()


def test_nothing_near_is_nothing_left_out():
    found = select(X[LEFT], 5, against=V, against_near=0.999)
    assert len(found.left_out) == 0
    assert found.indices.tolist() == select(X[LEFT], 5).indices.tolist()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"against_near": 0.9}, "against_near must go with against; got against=None"),
        ({"against": V, "against_near": 1.5}, r"against_near must lie in \(0, 1\]; got 1.5"),
        ({"against": V[:, :4]}, "against must have vectors of 6 numbers; got vectors of 4"),
        ({"against": V * 0}, "row 0 of against must not be zero"),
        ({"against": [[1.0]]}, "against must be a numpy array or a torch tensor; got list"),
        ({"against": V, "include": [8]}, "include must name no row that comes near one of against; got row 8"),
        ({"against": X}, "against must leave rows to choose from; got all 80 rows near one of it"),
        ({"against": V, "k": 71}, "k must lie between 1 and 67, .* left after copies are collapsed and rows left out"),
    ],
)
def test_bad_input_is_one_line(settings, message):
    with pytest.raises(InputError, match=message) as caught:
        select(X, **{"k": 5, **settings})
    assert "\n" not in str(caught.value)


def noisy(n=200, classes=4, flipped=16, seed=0):
    draw = np.random.default_rng(seed)
    truth = draw.integers(classes, size=n)
    rows = draw.normal(size=(classes, 16))[truth] + 0.3 * draw.normal(size=(n, 16))
    labels = truth.copy()
    wrong = draw.choice(n, flipped, replace=False)
    labels[wrong] = (truth[wrong] + 1) % classes
    return rows, labels, wrong


def test_doubtful_labels_and_outliers_are_dropped():
    rows, labels, wrong = noisy()
    found = select(rows, 10, labels=labels, drop_label_noise=0.08, drop_outliers=0.05)
    kinds, left = found.left_out.kind, found.left_out.rows
    assert ((kinds == "label_noise").sum(), (kinds == "outlier").sum(), found.n) == (16, 10, 200 - 26)
    assert len(np.intersect1d(left[kinds == "label_noise"], wrong)) > 12  # by chance one
    assert (found.left_out.score[kinds == "label_noise"] > 0.5).all()
    assert not np.isin(found.indices, left).any()
    rest = np.setdiff1d(np.arange(200), left)
    assert found.indices.tolist() == rest[select(rows[rest], 10).indices].tolist()
    neighbours = found.left_out.neighbours
    assert neighbours.shape == (26, 10)
    assert not (neighbours == left[:, None]).any()


def test_labels_without_a_name_do_not_vote_and_a_label_keeps_its_last_row():
    rows, labels, wrong = noisy()
    named = labels.astype(object)
    named[wrong] = np.array([None, "", float("nan"), None] * 4, dtype=object)
    found = select(rows, 10, labels=named, drop_label_noise=0.5).left_out
    assert not np.isin(wrong, found.rows).any()
    assert len(found) < 30  # the other labels are hardly doubted
    alone = labels.astype(object)
    alone[5] = "alone"
    assert 5 not in select(rows, 10, labels=alone, drop_label_noise=0.08).left_out.rows


def test_included_excluded_and_floored_rows_are_not_dropped():
    rows, labels, _ = noisy()
    doubtful = select(rows, 10, labels=labels, drop_label_noise=0.05).left_out.rows
    found = select(rows, 10, labels=labels, drop_label_noise=0.05, include=doubtful[:2], exclude=doubtful[2:4])
    assert found.indices[:2].tolist() == doubtful[:2].tolist()
    assert not np.isin(doubtful[:4], found.left_out.rows).any()
    assert len(found.left_out) == 10
    sizes = np.bincount(labels)
    found = select(rows, 196, labels=labels, groups=labels, floors=sizes - 1, drop_label_noise=0.05).left_out
    assert np.bincount(labels[found.rows], minlength=4).max() <= 1


def test_all_filters_together():
    rows, labels, _ = noisy()
    found = select(
        rows, 10, against=rows[:3] * 2.0, against_near=0.999, labels=labels, drop_label_noise=0.05, near=0.9,
        keep_best=np.arange(200.0),
    )  # fmt: skip
    assert found.left_out.rows[:3].tolist() == [0, 1, 2]
    assert set(found.left_out.kind.tolist()) == {"near", "label_noise"}
    assert (np.diff(found.left_out.rows) > 0).all()
    rest = np.setdiff1d(np.arange(200), found.left_out.rows)
    again = select(rows[rest], 10, near=0.9, keep_best=rest.astype(float))
    assert found.indices.tolist() == rest[again.indices].tolist()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"drop_label_noise": 0.1}, "drop_label_noise must go with labels; got labels=None"),
        ({"drop_label_noise": 0.0, "labels": GROUPS}, r"drop_label_noise must lie in \(0, 1\]; got 0.0"),
        ({"drop_outliers": 2}, r"drop_outliers must lie in \(0, 1\]; got 2"),
        ({"drop_outliers": 1.0}, "drop_outliers must leave rows to choose from; got all 80 dropped"),
        ({"drop_label_noise": 0.1, "labels": GROUPS[1:]}, "labels must be 80"),
    ],
)
def test_bad_shares_are_one_line(settings, message):
    with pytest.raises(InputError, match=message):
        select(X, 5, **settings)
