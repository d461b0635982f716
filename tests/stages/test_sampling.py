"""Random items from parts: the same whatever the parts, and what is made of them."""

import numpy as np
import pytest

from ray_subsel.config import SelectConfig
from ray_subsel.core.hashing import mix
from ray_subsel.objectives import FacilityLocation, LogDeterminant
from ray_subsel.objectives.graph_cut import ScaledGraphCut
from ray_subsel.objectives.represented import ScaledCoverage, represent
from ray_subsel.objectives.saturated_coverage import positive_similarities
from ray_subsel.objectives.scaled import Unscaled
from ray_subsel.stages.sampling import draw, random_value, scale_objective
from ray_subsel.storage.embedding_store import Items, write_part
from ray_subsel.storage.run_directory import RunDir

N, D = 300, 5


@pytest.fixture
def parts(tmp_path):
    """Return the vectors and a function that writes them in some shards, sorted by some partitions."""
    X = np.random.default_rng(0).normal(size=(N, D)) + 0.3
    X = (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32)
    ids = np.arange(N)

    def write(shards, partitions):
        run = RunDir(str(tmp_path / f"{shards}-{partitions}"))
        facts = []
        for shard in range(shards):
            mine = ids[shard::shards]
            items = Items(mine, X[mine], np.ones(len(mine), dtype=np.int64))
            facts.append(write_part(run, shard, items, [[int(i)] for i in mine], texts=len(mine),
                                    partitions=partitions, seed=0))  # fmt: skip
        return run, facts

    return X, write


def test_the_items_of_the_lowest_hashes_whatever_the_parts(parts):
    X, write = parts
    expected = np.sort(np.argsort(mix(np.arange(N), 7))[:40])
    for shards, partitions in ((1, 1), (4, 3), (7, 10)):
        ids, vectors = draw(*write(shards, partitions), 40, seed=7, here=True)
        assert ids.tolist() == expected.tolist()
        assert np.array_equal(vectors, X[expected])
    everything, _ = draw(*write(3, 2), N, seed=7, here=True)
    assert everything.tolist() == list(range(N))


@pytest.mark.usefixtures("ray_session")
def test_ray_draws_the_same(parts):
    _, write = parts
    run, facts = write(3, 2)
    assert draw(run, facts, 25, seed=1, here=False)[0].tolist() == draw(run, facts, 25, seed=1, here=True)[0].tolist()


def test_goals_are_made_of_what_the_parts_hold(parts):
    X, write = parts
    run, facts = write(4, 3)
    total = X.sum(axis=0)

    def made(**chosen):
        return scale_objective(run, facts, SelectConfig(k=10, **chosen), k=10, total=total, here=True)

    assert isinstance(made(), ScaledGraphCut)
    assert made(lam="auto").lam == N / 10 - 2
    assert isinstance(made(objective="log_determinant"), Unscaled)
    assert isinstance(made(objective="log_determinant").full(), LogDeterminant)
    located = made(objective="facility_location", represented=60, represent="own")
    assert isinstance(located, ScaledCoverage)
    assert (len(located.items), located.own) == (60, True)
    saturated = made(objective="saturated_coverage", represented=60)
    assert np.array_equal(saturated.items, located.items)
    everything = positive_similarities(represent(X, saturated.items, None, "cosine"))
    assert np.allclose(saturated.statistics, everything)


def test_random_items_are_worth_what_a_formula_or_a_draw_says(parts):
    X, write = parts
    run, facts = write(2, 2)
    goal = scale_objective(run, facts, SelectConfig(k=10), k=10, total=X.astype(np.float64).sum(axis=0), here=True)
    assert random_value(run, facts, goal, 10, seed=0, here=True) == goal.random_value(N, 10)
    located = ScaledCoverage(FacilityLocation(), X)
    found = random_value(run, facts, located, 10, seed=0, here=True)
    values = [located.full().evaluate(X, np.random.default_rng(s).choice(N, 10, replace=False)) for s in range(20)]
    assert min(values) * 0.9 < found < max(values) * 1.1
