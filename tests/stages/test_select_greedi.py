"""The selection stage without Ray: budgets, plans, what an answer is worth."""

import numpy as np
import pyarrow as pa
import pytest

from ray_subsel import select
from ray_subsel.config import SelectConfig
from ray_subsel.core.errors import InputError
from ray_subsel.objectives.graph_cut import random_value
from ray_subsel.runtime.progress import NullProgress
from ray_subsel.stages.select_greedi import choose, node_name, read_node, solve_node
from ray_subsel.stages.selection_job import SelectionOutcome, plan_selection
from ray_subsel.storage.embedding_store import EmbeddingStore
from ray_subsel.storage.run_directory import RunDir
from tests.stores import write_store


@pytest.fixture
def ground_set(tmp_path):
    """Return 300 vectors and a function that writes them in 4 shards, sorted by partitions."""
    X = np.random.default_rng(0).normal(size=(300, 6)) + 0.5
    X = (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32)
    return X, lambda partitions: write_store(RunDir(str(tmp_path)), X, shards=4, partitions=partitions)


@pytest.mark.parametrize("partitions", [1, 4, 9])
def test_the_plan_knows_t_and_conserves_items(ground_set, partitions):
    X, stored = ground_set
    job = plan_selection(stored(partitions), SelectConfig(k=30, partitions=partitions, lam="auto", recipe="none"), 30)
    assert (job.n, job.d, job.m, job.objective.lam) == (300, 6, partitions, 8.0)
    assert np.allclose(job.total, X.astype(np.float64).sum(axis=0), atol=1e-5)
    assert job.n_candidates == (30 if partitions == 1 else -(-60 // partitions))


def test_t_is_the_same_number_for_any_partitions(ground_set):
    _, stored = ground_set
    totals = [
        plan_selection(stored(m), SelectConfig(k=30, partitions=m, recipe="none"), 30).total.tolist() for m in (1, 2, 7)
    ]
    assert totals[0] == totals[1] == totals[2]


def test_what_is_kept_is_what_is_reduced_and_is_not_solved_again(ground_set):
    _, stored = ground_set
    store = stored(3)
    job = plan_selection(store, SelectConfig(k=30, partitions=3, recipe="none"), 30)
    solve_node(store, job, job.tree.levels[0][1])
    name = node_name(job.tree.levels[0][1])
    kept = store.run.read_bytes(name)
    solution = read_node(store, job.tree.levels[0][1])
    assert len(solution.chosen) == 20
    assert solution.items == store.partition_sizes[1]
    first = choose(store, job, bar=NullProgress())
    assert store.run.read_bytes(name) == kept
    assert first.result.ids.tolist() == choose(store, job, bar=NullProgress()).result.ids.tolist()


def test_candidates_are_kept_in_the_type_of_the_store(tmp_path):
    X = np.random.default_rng(0).normal(size=(60, 6))
    store = write_store(RunDir(str(tmp_path)), X, shards=2, partitions=2, dtype="float16")
    job = plan_selection(store, SelectConfig(k=10, partitions=2, recipe="none"), 10)
    node = job.tree.levels[0][1]
    solve_node(store, job, node)
    assert store.run.read_table(node_name(node)).schema.field("vector").type == pa.list_(pa.float16(), 6)
    chosen, items = read_node(store, node).chosen, store.read_partition(1)
    assert np.array_equal(chosen.vectors, items.vectors[np.searchsorted(items.ids, chosen.ids)])


def test_worth(ground_set):
    X, stored = ground_set
    store = stored(1)
    job = plan_selection(store, SelectConfig(k=20, recipe="none"), 20)
    outcome = choose(store, job, bar=NullProgress())
    exact = select(X, 20, recipe="none")
    assert outcome.result.ids.tolist() == exact.indices.tolist()
    assert outcome.share_of_centralized == 1.0
    chance = random_value(job.total, 300, 20, 10.0)
    assert outcome.random_value == chance
    assert outcome.lift_over_random == pytest.approx((exact.value - chance) / abs(chance))


def test_shares_where_values_are_negative(ground_set):
    _, stored = ground_set
    store = stored(1)
    outcome = choose(store, plan_selection(store, SelectConfig(k=250, recipe="none"), 250), bar=NullProgress())
    assert outcome.result.value < 0
    assert outcome.share_of_centralized is None  # a ratio of negative values says nothing
    assert outcome.share_of_centralized_lift == 1.0


def test_a_partition_that_lost_items_is_noticed(ground_set):
    _, stored = ground_set
    store = stored(2)
    job = plan_selection(store, SelectConfig(k=30, partitions=2, recipe="none"), 30)
    with pytest.raises(InputError, match="partitions must hold 300 items together"):
        choose(EmbeddingStore(store.run, store.shards[:3]), job, bar=NullProgress())


def test_no_lift_over_nothing():
    outcome = SelectionOutcome(None, None, 0.0, None)  # type: ignore[arg-type]
    assert outcome.lift_over_random is None
    assert outcome.share_of_centralized is None


@pytest.mark.parametrize("partitions", [1, 4])
def test_the_certificate_bounds_every_subset_that_can_be_found(ground_set, partitions):
    X, stored = ground_set
    store = stored(partitions)
    outcome = choose(
        store, plan_selection(store, SelectConfig(k=20, partitions=partitions, recipe="none"), 20), bar=NullProgress()
    )
    assert outcome.certificate is not None
    assert outcome.certificate.value == pytest.approx(outcome.result.value)
    assert outcome.certificate.random_value == pytest.approx(outcome.random_value)
    best = max(select(X, 20, optimizer=name, recipe="none").value for name in ("greedy", "paced", "exchange"))
    assert outcome.certificate.bound >= best - 1e-9
    assert 0 < outcome.certificate.closed <= 1
