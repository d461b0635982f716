"""Keys of items follow what is known of their candidates, and only fall."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_subsel.optimizers.item_keys import ItemKeys


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 12), st.integers(0, 999), st.booleans(), st.booleans(), st.booleans())
def test_keys_are_the_least_bounds_of_items_with_utility_and_scale(
    n: int, seed: int, copies: bool, with_utility: bool, scaled: bool
) -> None:
    rng = np.random.default_rng(seed)
    candidate = np.unique(rng.integers(0, 4, n), return_inverse=True)[1] if copies else np.arange(n)
    q = int(candidate.max()) + 1
    utility = rng.random(n) if with_utility else None
    scale = rng.random(n) if scaled else None
    keys, wanted = ItemKeys(candidate, q, utility, scale), np.full(n, np.inf)
    assert keys.copies is (candidate.tolist() != list(range(n)))
    for _ in range(6):
        bounds, some = rng.random(q) * 4.0, np.flatnonzero(rng.random(q) < 0.6)
        if rng.random() < 0.3:
            some = np.arange(q)
            keys.put_all(bounds)
        elif rng.random() < 0.5:
            some = some[:1]
            for one in some.tolist():
                keys.put_one(one, float(bounds[one]))
        else:
            keys.put(some, bounds[some])
        for item in range(n):
            if candidate[item] in some:
                key = bounds[candidate[item]] + (0.0 if utility is None else utility[item])
                wanted[item] = min(wanted[item], key * (1.0 if scale is None else scale[item]))
        np.testing.assert_allclose(keys.values, wanted, rtol=1e-15)
    keys.values[0] = -np.inf
    most = int(rng.integers(1, n + 2))
    largest = np.argsort(-keys.values, kind="stable")[:most]
    assert keys.highest(most).tolist() == np.unique(candidate[largest if most < n else slice(None)]).tolist()
    among = rng.random(n) < 0.5
    if most <= among[1:].sum():
        inside = np.flatnonzero(among & (keys.values > -np.inf))
        largest = inside[np.argsort(-keys.values[inside], kind="stable")[:most]]
        assert keys.highest(most, among).tolist() == np.unique(candidate[largest]).tolist()
