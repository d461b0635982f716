"""What to label next: the batch of the formula; ten rounds that beat random rows and uncertainty alone."""

from itertools import combinations

import numpy as np
import pytest

from ray_subsel import ActiveLoop, InputError
from ray_subsel.selection.active import margin_uncertainty


def conditional(X, weights, labelled, batch):
    unit = X / np.linalg.norm(X, axis=1)[:, None]
    W = np.maximum(unit @ unit.T, 0.0)
    before = W[labelled].max(axis=0) if len(labelled) else np.zeros(len(X))
    return float((np.maximum(before, W[list(batch)].max(axis=0)) - before) @ weights)


def test_a_batch_is_greedy_for_the_conditional_gain():
    rng = np.random.default_rng(0)
    for _ in range(20):
        X, labelled, uncertainty = rng.normal(size=(10, 3)), [3, 7], rng.random(10)
        loop = ActiveLoop(X, labelled)
        batch = loop.next_batch(2, uncertainty)
        weights = np.zeros(10)
        order = sorted(set(range(10)) - {3, 7}, key=lambda row: uncertainty[row])
        weights[order] = np.arange(1, 9) / 8
        gains = {row: conditional(X, weights, labelled, [row]) for row in order}
        assert batch[0] == max(gains, key=gains.get)
        pairs = {pair: conditional(X, weights, labelled, pair) for pair in combinations(order, 2)}
        assert conditional(X, weights, labelled, batch) >= (1 - 1 / np.e) * max(pairs.values()) - 1e-9


def test_copies_of_labelled_rows_and_of_each_other_are_not_asked_for():
    X = np.repeat(np.eye(4), 5, axis=0)
    loop = ActiveLoop(X, [0])
    assert sorted((loop.next_batch(3) // 5).tolist()) == [1, 2, 3]


def test_rows_are_asked_for_once_and_never_when_skipped():
    X = np.random.default_rng(1).normal(size=(30, 4))
    loop = ActiveLoop(X)
    loop.skip([4, 5])
    seen = []
    for _ in range(4):
        batch = loop.next_batch(7, np.arange(30))
        loop.label(batch)
        seen += batch.tolist()
    assert sorted(seen) == sorted(set(range(30)) - {4, 5})
    assert loop.open.size == 0
    with pytest.raises(InputError, match="k must lie between 1 and 0"):
        loop.next_batch(1)


def test_power_nought_is_coverage_alone_and_equal_uncertainty_too():
    X = np.random.default_rng(2).normal(size=(40, 4))
    uncertainty = np.random.default_rng(3).random(40)
    plain = ActiveLoop(X, [1]).next_batch(5).tolist()
    assert ActiveLoop(X, [1], power=0).next_batch(5, uncertainty).tolist() == plain
    assert ActiveLoop(X, [1]).next_batch(5, np.ones(40)).tolist() == plain


def test_a_sample_may_stand_for_the_rows_that_are_to_be_covered():
    X = np.repeat(np.eye(6), 40, axis=0) + 0.05 * np.random.default_rng(0).normal(size=(240, 6))
    batch = ActiveLoop(X, [0], represented=60).next_batch(5)
    assert sorted((batch // 40).tolist()) == [1, 2, 3, 4, 5]
    all_of_them = ActiveLoop(X, [0], represented=240).next_batch(5)
    assert all_of_them.tolist() == ActiveLoop(X, [0]).next_batch(5).tolist()


def many_classes(seed, classes=30, rows=900, d=16):
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(np.full(classes, 2.0))
    y = np.concatenate([np.arange(classes), rng.choice(classes, size=rows - classes, p=shares)])
    centres = rng.normal(size=(classes, d))
    X = centres[y] + 0.45 * rng.normal(size=(rows, d))
    test = rng.integers(classes, size=1000)
    return X, y, centres[test] + 0.45 * rng.normal(size=(1000, d)), test


def probabilities(X, y, rows, Q):
    """Those of Q by a classifier that knows the mean of each class of some rows, and the classes."""
    classes = np.unique(y[rows])
    means = np.array([X[rows][y[rows] == one].mean(axis=0) for one in classes])
    scores = -((Q[:, None] - means[None]) ** 2).sum(axis=2)
    scores = np.exp(scores - scores.max(axis=1, keepdims=True))
    return scores / scores.sum(axis=1, keepdims=True), classes


def test_ten_rounds_beat_random_rows_and_uncertainty_alone():
    areas = {"loop": [], "random": [], "uncertainty": []}
    for seed in range(3):
        X, y, Q, answers = many_classes(seed)
        start = np.random.default_rng(seed).permutation(len(X))[:8]
        for way, found in areas.items():
            rng = np.random.default_rng(seed)
            loop, curve = ActiveLoop(X, start), []
            for _ in range(10):
                found_in, classes = probabilities(X, y, loop.labelled, Q)
                curve.append((classes[found_in.argmax(axis=1)] == answers).mean())
                doubt = margin_uncertainty(probabilities(X, y, loop.labelled, X)[0])
                batch = {
                    "loop": lambda loop=loop, doubt=doubt: loop.next_batch(8, doubt),
                    "random": lambda loop=loop, rng=rng: rng.choice(loop.open, 8, replace=False),
                    "uncertainty": lambda loop=loop, doubt=doubt: loop.open[np.argsort(-doubt[loop.open])[:8]],
                }[way]()
                loop.label(batch)
            found.append(np.mean(curve))
    assert np.mean(areas["loop"]) > np.mean(areas["random"]) + 0.05
    assert np.mean(areas["loop"]) > np.mean(areas["uncertainty"]) + 0.05


X = np.random.default_rng(5).normal(size=(6, 3))
BAD = {
    "labelled": (lambda: ActiveLoop(X, [9]), r"labelled must name rows in \[0, 6\)"),
    "power": (lambda: ActiveLoop(X, power=-1), "power must be"),
    "represented": (lambda: ActiveLoop(X, represented=0), "represented must be"),
    "k": (lambda: ActiveLoop(X, [0]).next_batch(6), "k must lie between 1 and 5"),
    "uncertainty": (lambda: ActiveLoop(X).next_batch(1, [1.0]), "uncertainty must be 6 numbers"),
    "nan": (lambda: ActiveLoop(X).next_batch(1, [np.nan] * 6), "uncertainty must be finite"),
    "twice": (lambda: ActiveLoop(X, [1]).label([1]), "rows must be neither labelled nor skipped"),
    "matrix": (lambda: ActiveLoop([1, 2]), "X must be"),
    "probabilities": (lambda: margin_uncertainty(np.ones(3)), "probabilities must have shape"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line(case):
    call, words = BAD[case]
    with pytest.raises(InputError, match=words):
        call()


def test_the_uncertainty_of_a_labelled_row_is_not_read():
    uncertainty = np.ones(6)
    uncertainty[2] = np.nan
    assert ActiveLoop(X, [2]).next_batch(2, uncertainty).size == 2


def test_margins():
    assert margin_uncertainty([[0.5, 0.3, 0.2], [1.0, 0.0, 0.0]]).tolist() == pytest.approx([0.8, 0.0])
