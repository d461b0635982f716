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
from ray_subsel.storage.run_directory import RunDir
from tests.stores import write_store

N, D = 300, 5


@pytest.fixture
def parts(tmp_path):
    """Return the vectors and a function that writes them in some shards, sorted by some partitions."""
    X = np.random.default_rng(0).normal(size=(N, D)) + 0.3
    X = (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32)

    def write(shards, partitions):
        run = RunDir(str(tmp_path / f"{shards}-{partitions}"))
        return write_store(run, X, shards=shards, partitions=partitions)

    return X, write


def test_the_items_of_the_lowest_hashes_whatever_the_parts(parts):
    X, write = parts
    expected = np.sort(np.argsort(mix(np.arange(N), 7))[:40])
    for shards, partitions in ((1, 1), (4, 3), (7, 10)):
        ids, vectors = draw(write(shards, partitions), 40, seed=7, in_process=True)
        assert ids.tolist() == expected.tolist()
        assert np.array_equal(vectors, X[expected])
    everything, _ = draw(write(3, 2), N, seed=7, in_process=True)
    assert everything.tolist() == list(range(N))


@pytest.mark.usefixtures("ray_session")
def test_ray_draws_the_same(parts):
    _, write = parts
    store = write(3, 2)
    assert draw(store, 25, seed=1, in_process=False)[0].tolist() == draw(store, 25, seed=1, in_process=True)[0].tolist()


def test_objectives_are_made_of_what_the_parts_hold(parts):
    X, write = parts
    store = write(4, 3)
    total = X.sum(axis=0)

    def made(**chosen):
        return scale_objective(store, SelectConfig(k=10, **chosen, recipe="none"), k=10, total=total, in_process=True)

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
    store = write(2, 2)
    objective = scale_objective(
        store, SelectConfig(k=10, recipe="none"), k=10, total=X.astype(np.float64).sum(axis=0), in_process=True
    )
    assert random_value(store, objective, 10, seed=0) == objective.random_value(N, 10)
    located = ScaledCoverage(FacilityLocation(), X)
    found = random_value(store, located, 10, seed=0)
    values = [located.full().evaluate(X, np.random.default_rng(s).choice(N, 10, replace=False)) for s in range(20)]
    assert min(values) * 0.9 < found < max(values) * 1.1
