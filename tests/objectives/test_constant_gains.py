"""Picks are told in order while gains are constant, and no further."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_subsel.objectives.constant_gains import ConstantGains


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 9), st.integers(1, 6), st.integers(0, 999), st.sampled_from([-np.inf, 0.0, 1.5, 4.0]))
def test_picks_are_those_of_greedy_until_gains_change_or_another_could_win(
    q: int, m: int, seed: int, outside: float
) -> None:
    rng = np.random.default_rng(seed)
    W = rng.integers(0, 5, (q, m)) / 4.0  # many tie
    left = rng.integers(4, 24, m) / 4.0
    gains = W.sum(axis=1)

    def constant(places: list[int]) -> int:
        after = left - np.cumsum(W[places], axis=0)
        full = (after < 1.0).any(axis=1)
        return int(full.argmax()) + 1 if full.any() else len(places)

    chosen, found = ConstantGains(gains, constant).picks(outside, 1e-11, 1.0)
    wanted: list[int] = []
    after = left.copy()
    while len(wanted) < q and (not wanted or (after >= 1.0).all()):
        now = gains.copy()
        now[wanted] = -1.0
        if now.max() <= max(outside, 0.0) + 1e-9:
            break
        wanted.append(int(np.argmax(now >= now.max() - 1e-9)))
        after -= W[wanted[-1]]
    assert chosen == wanted
    assert found == gains[chosen].tolist()
