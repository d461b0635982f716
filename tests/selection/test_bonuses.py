"""select() with a target and a quality: what is maximized, what is told, what is refused."""

from itertools import combinations

import numpy as np
import pytest

from ray_subsel import select
from ray_subsel.core.errors import InputError
from ray_subsel.objectives import FacilityLocation
from ray_subsel.objectives.quality import rank_transform


def data(n=400, d=8, seed=0):
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((10, d))
    topic = rng.integers(10, size=n)
    X = (centres[topic] + 0.3 * rng.standard_normal((n, d))).astype(np.float32)
    Q = (centres[3] + 0.3 * rng.standard_normal((6, d))).astype(np.float32)
    return X, topic, Q


@pytest.mark.parametrize("objective", ["facility_location", "graph_cut"])
def test_the_best_pair_is_found_and_its_value_is_the_formula(objective):
    X, _, Q = data(8)
    q = np.array([3.0, 1.0, np.nan, 9.0, 9.0, 2.0, 4.0, 5.0])
    with pytest.warns(UserWarning, match="1 of 8 items have no quality"):
        one = select(X, 1, objective=objective, target=Q, target_weight=0.5, quality=q, quality_weight=2.0)
    U = X / np.linalg.norm(X, axis=1)[:, None]
    V = Q / np.linalg.norm(Q, axis=1)[:, None]
    u, unit = rank_transform(q).u, one.stats["quality_unit"]

    def worth(S):
        S = list(S)
        if objective == "facility_location":
            f = 0.5 * np.maximum((U @ U[S].T).max(axis=1), 0).sum()
            f += 0.5 * 8 / 6 * np.maximum((V @ U[S].T).max(axis=1), 0).sum()
            f += 0.5 * 8 / 6 * (U[S] @ V.T).max(axis=1).sum()
        else:
            t = 0.5 * U.sum(axis=0) + 0.5 * 8 / 6 * V.sum(axis=0)
            s = U[S].sum(axis=0)
            f = t @ s - 6 * s @ s + 5 * len(S)
        return f + 2.0 * unit * u[S].sum()

    assert one.value == pytest.approx(max(worth(S) for S in combinations(range(8), 1)), rel=1e-5)
    with pytest.warns(UserWarning, match="have no quality"):
        three = select(X, 3, objective=objective, target=Q, target_weight=0.5, quality=q, quality_weight=2.0)
    unit = three.stats["quality_unit"]
    assert three.value == pytest.approx(worth(three.indices), rel=1e-5)
    parts = [three.stats[name] for name in three.stats if name.startswith("value_")]
    assert sum(parts) == pytest.approx(three.value)
    assert three.stats["value_quality"] == pytest.approx(2.0 * unit * u[three.indices].sum())
    assert three.stats["quality_missing"] == 1


@pytest.mark.parametrize("small", [False, True])
@pytest.mark.parametrize("objective", ["facility_location", "graph_cut"])
def test_a_target_draws_the_choice_and_a_greater_weight_more(objective, small):
    X, topic, Q = data()
    f = FacilityLocation(dense_bytes=4 * 200**2) if small and objective == "facility_location" else objective
    shares = [np.mean(topic[select(X, 30, objective=f).indices] == 3)]
    for weight in (0.3, 1.0):
        chosen = select(X, 30, objective=f, target=Q, target_weight=weight)
        shares.append(np.mean(topic[chosen.indices] == 3))
        assert chosen.stats["target_mean_similarity"] > chosen.stats["target_mean_similarity_of_all"]
        assert chosen.stats["target_greatest_similarity"] > chosen.stats["target_greatest_similarity_of_all"]
        if small and objective == "facility_location":
            assert chosen.stats["clusters"] > 1
    assert shares[0] < shares[1] <= shares[2]
    assert shares[2] > 0.3


def test_limits_go_with_both():
    X, topic, Q = data()
    quality = np.arange(400.0)
    limits = {"groups": topic, "quotas": "equal", "include": [5, 2], "exclude": [399]}
    for near in (None, 0.95):
        chosen = select(X, 20, objective="facility_location", target=Q, quality=quality, near=near, **limits).indices
        assert chosen[:2].tolist() == [5, 2]
        assert 399 not in chosen
        assert np.bincount(topic[chosen]).tolist() == [2] * 10
    priced = select(X, objective="facility_location", quality=quality, costs=np.full(400, 2), budget=21)
    assert len(priced) == 10
    same = select(X, 10, objective="facility_location", quality=quality)
    assert priced.stats["quality_unit"] == same.stats["quality_unit"]  # the budget pays for ten


def test_rows_that_repeat_another_set_take_their_quality_along():
    X, _, Q = data()
    quality = np.random.default_rng(2).random(400)
    against = X[::7]
    chosen = select(X, 20, target=Q, quality=quality, quality_weight=100.0, against=against, against_near=0.9999)
    kept = np.setdiff1d(np.arange(400), np.arange(0, 400, 7))
    alone = select(X[kept], 20, target=Q, quality=quality[kept], quality_weight=100.0)
    assert chosen.stats["quality_mean"] == pytest.approx(rank_transform(quality[kept]).u[np.searchsorted(
        kept, chosen.indices)].mean())  # fmt: skip
    assert chosen.stats["quality_mean"] == pytest.approx(alone.stats["quality_mean"], abs=0.01)


@pytest.mark.parametrize("objective", ["facility_location", "graph_cut", "log_determinant", "saturated_coverage"])
def test_quality_decides_the_more_the_greater_its_weight_whatever_its_unit(objective):
    X, _, _ = data()
    quality = np.random.default_rng(1).lognormal(size=400)
    means = []
    for weight in (None, 0.3, 100.0):
        more = {} if weight is None else {"quality": quality, "quality_weight": weight}
        means.append(rank_transform(quality).u[select(X, 40, objective=objective, **more).indices].mean())
    assert means[0] < means[1] < means[2]
    top = set(np.argsort(-quality)[:40].tolist())
    assert set(select(X, 40, objective=objective, quality=quality, quality_weight=1e5).indices.tolist()) == top
    one = select(X, 40, objective=objective, quality=quality)
    assert select(X, 40, objective=objective, quality=1e6 * np.log(quality)).indices.tolist() == one.indices.tolist()


def test_multiplicity_of_a_target_gives_the_result_of_the_expanded_array():
    X, _, Q = data(60)
    counts = 1 + np.arange(60) % 3
    for objective in ("facility_location", "graph_cut"):
        folded = select(X, 12, objective=objective, multiplicity=counts, target=Q, target_weight=0.5)
        flat = select(np.repeat(X, counts, axis=0), 12, objective=objective, target=Q, target_weight=0.5)
        assert folded.indices.tolist() == np.repeat(np.arange(60), counts)[flat.indices].tolist()


X, _, Q = data(20)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"target": Q[:, :3]}, "target must have the 8 columns of X; got 3 columns"),
        ({"target": "queries"}, "target must"),
        ({"target": Q, "target_weight": 0}, "target_weight must lie in"),
        ({"target_weight": 0.5}, "target_weight must go with target"),
        ({"target": Q, "objective": "log_determinant"}, "target must go with objective"),
        ({"quality": np.ones(3)}, "quality must be 20 numbers"),
        ({"quality": ["a"] * 20}, "quality must be 20 numbers"),
        ({"quality": np.full(20, np.nan)}, "quality must hold at least one number"),
        ({"quality": np.ones(20), "quality_weight": -1}, "quality_weight must be a finite number above 0"),
        ({"quality_weight": 0.5}, "quality_weight must go with quality"),
        ({"quality": np.ones(20), "multiplicity": np.ones(20, int)}, "quality must be given without multiplicity"),
    ],
)
def test_what_cannot_be_used_is_named(arguments, message):
    with pytest.raises(InputError, match=message):
        select(X, 3, **arguments)
