"""select() by clusters: what it promises for more items than all similarities are kept of."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ray_subsel import select
from ray_subsel.objectives import FacilityLocation, SaturatedCoverage

N = 900


@pytest.fixture(scope="module")
def X() -> Any:  # noqa: N802
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((30, 16))
    return (centres[rng.integers(30, size=N)] + 0.3 * rng.standard_normal((N, 16))).astype(np.float32)


def small(kind: type[Any], items: int = 400, **more: Any) -> Any:
    return kind(dense_bytes=items**2 * kind.similarity_bytes, **more)


def test_it_comes_close_to_the_whole_function_far_above_random_and_prefixes_stay(X: Any) -> None:
    whole, parts = FacilityLocation(), small(FacilityLocation)
    for k in (30, 120):
        best = select(X, k, objective=whole)
        chosen = select(X, k, objective=parts)
        assert chosen.stats["clusters"] > 4
        random = whole.evaluate(X, np.random.default_rng(1).choice(N, k, replace=False))
        found = whole.evaluate(X, chosen.indices)
        assert found >= 0.97 * best.value
        assert found - random >= 0.6 * (best.value - random)
        assert select(X, k // 2, objective=parts).indices.tolist() == chosen.indices[: k // 2].tolist()


def test_it_is_not_used_for_few_items_for_a_sample_or_for_another_optimizer(X: Any) -> None:
    assert "clusters" not in select(X[:400], 5, objective=small(FacilityLocation)).stats
    assert "clusters" not in select(X, 5, objective=small(FacilityLocation, represented=X[:50])).stats
    assert "clusters" not in select(X, 5, objective=small(FacilityLocation), optimizer="lazy").stats
    assert "clusters" not in select(X, 5, objective=small(FacilityLocation, kernel="rbf")).stats
    assert (
        "clusters" not in select(X, 5, objective=small(SaturatedCoverage)).stats
    )  # a sum: a sample estimates it better


def test_limits_utilities_and_counts_go_with_it(X: Any) -> None:
    groups = np.arange(N) % 3
    parts = small(FacilityLocation)
    equal = select(X, 60, objective=parts, groups=groups, quotas="equal", include=[7, 3], exclude=[0])
    assert np.bincount(groups[equal.indices]).tolist() == [20, 20, 20]
    assert equal.indices[:2].tolist() == [7, 3]
    assert 0 not in equal.indices
    priced = select(X, objective=parts, costs=1 + groups, budget=50)
    assert (1 + groups[priced.indices]).sum() <= 50
    wanted = np.zeros(N)
    wanted[500] = 1e6
    assert select(X, 3, objective=parts, utility=wanted).indices[0] == 500
    counts = np.ones(N, dtype=np.int64)
    counts[42] = 10_000  # as many items to be represented by it
    assert select(X, 3, objective=parts, multiplicity=counts).indices[0] == 42
    near = select(np.concatenate([X, X]), 20, objective=parts, near=0.999)
    assert near.indices.max() < N


@pytest.mark.filterwarnings("ignore::ray_subsel.selection.maximize.BudgetWarning")
@pytest.mark.parametrize("more", [{"exclude": [17]}, {"include": [17]}])
def test_a_cheap_row_that_may_not_be_chosen_does_not_keep_clusters_going(X: Any, more: Any) -> None:
    costs = np.full(N, 10.0)
    costs[17] = 1.0
    found = select(X, objective=small(FacilityLocation), costs=costs, budget=405, **more)
    assert found.stats["rounds"] == 1
    assert found.indices.size == 40 + (17 in found.indices)


def test_neither_progress_nor_threads_change_it(X: Any) -> None:
    told: list[tuple[int, int]] = []
    parts = small(FacilityLocation)
    one = select(X, 40, objective=parts, progress=lambda picked, k: told.append((picked, k)))
    assert told[-1] == (40, 40)
    assert all(0 <= picked <= k for picked, k in told)
    assert one.indices.tolist() == select(X.astype(np.float64), 40, objective=parts).indices.tolist()
