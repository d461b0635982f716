"""What is chosen among candidates that improve few represented items is what greedy chooses, ties included."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_subsel.objectives.improvements import Improvements


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 9), st.integers(1, 12), st.integers(0, 999), st.sampled_from([-np.inf, 0.0, 0.4, 1.0]))
def test_picks_are_those_of_greedy_until_another_could_win(q: int, m: int, seed: int, outside: float) -> None:
    rng = np.random.default_rng(seed)
    W = rng.integers(0, 5, (q, m)) / 4.0  # many tie
    best, weights = rng.integers(0, 3, m) / 4.0, rng.integers(0, 3, m).astype(float)
    which, rows = np.nonzero(W > 0.0)
    candidates = np.arange(q) * 3
    some = Improvements.of(candidates, which, rows, W[which, rows], best[rows], weights[rows])
    np.testing.assert_allclose(some.gains, np.maximum(W - best, 0.0) @ weights, atol=1e-12)
    chosen, gains = some.picks(outside, 1e-11, 1.0)
    after, wanted = best.copy(), []
    while len(wanted) < q:
        now = np.maximum(W - after, 0.0) @ weights
        now[wanted] = -1.0
        if now.max() <= max(outside, 0.0) + 1e-9:
            break
        place = int(np.argmax(now >= now.max() - 1e-9))
        assert gains[len(wanted)] == now[place]
        wanted.append(place)
        after = np.maximum(after, W[place])
    assert chosen == wanted
    improved, similarities = some.improved_by(candidates[chosen])
    np.maximum.at(best, improved, similarities)
    np.testing.assert_array_equal(best, after)


def test_many_that_tie_are_left_to_those_who_compare_arrays() -> None:
    for q, wanted in ((3, [0, 1, 2]), (300, [])):
        ids = np.arange(q)
        some = Improvements.of(ids, ids, ids, np.ones(q), np.zeros(q), np.ones(q))
        assert some.picks(-np.inf, 1e-11, 1.0)[0] == wanted
