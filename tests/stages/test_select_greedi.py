"""The selection stage without Ray: budgets, plans, what an answer is worth."""

import numpy as np
import pytest

from ray_subsel import select
from ray_subsel.config import SelectConfig
from ray_subsel.core.errors import InputError
from ray_subsel.objectives.graph_cut import random_value
from ray_subsel.stages.select_greedi import candidates_name, choose, read_node, solve
from ray_subsel.stages.selection_job import SelectionOutcome, plan_selection
from ray_subsel.storage.embedding_store import Items, write_part
from ray_subsel.storage.run_directory import RunDir


class Silent:
    def advance(self, amount=1):
        pass


@pytest.fixture
def ground_set(tmp_path):
    """Write 300 items in 4 shards and return the run, the vectors and a function from partitions to facts."""
    run = RunDir(str(tmp_path))
    X = np.random.default_rng(0).normal(size=(300, 6)) + 0.5
    X = (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32)
    ids = np.arange(300)

    def facts(partitions):
        return [
            write_part(
                run,
                shard,
                Items(ids[shard::4], X[shard::4], np.ones(75, dtype=np.int64)),
                [[int(i)] for i in ids[shard::4]],
                texts=75,
                partitions=partitions,
                seed=0,
            )
            for shard in range(4)
        ]

    return run, X, facts


@pytest.mark.parametrize("partitions", [1, 4, 9])
def test_the_plan_knows_t_and_conserves_items(ground_set, partitions):
    run, X, facts = ground_set
    plan = plan_selection(run, SelectConfig(k=30, partitions=partitions, lam="auto"), facts(partitions), 30)
    assert (plan.n, plan.d, plan.m, plan.objective.lam) == (300, 6, partitions, 8.0)
    assert np.allclose(plan.total, X.astype(np.float64).sum(axis=0), atol=1e-5)
    assert plan.n_candidates == (30 if partitions == 1 else -(-60 // partitions))


def test_t_is_the_same_number_for_any_partitions(ground_set):
    run, _, facts = ground_set
    totals = [plan_selection(run, SelectConfig(k=30, partitions=m), facts(m), 30).total.tolist() for m in (1, 2, 7)]
    assert totals[0] == totals[1] == totals[2]


def test_what_is_kept_is_what_is_reduced_and_is_not_solved_again(ground_set):
    run, _, facts = ground_set
    facts = facts(3)
    plan = plan_selection(run, SelectConfig(k=30, partitions=3), facts, 30)
    solve(run, facts, plan, 1)
    kept = run.read_bytes(candidates_name(1))
    solution = read_node(run, facts, plan.tree.levels[0][1])
    assert len(solution.rows.ids) == 20
    assert solution.items == sum(fact.partition_items[1] for fact in facts)
    first = choose(run, facts, plan, bar=Silent())
    assert run.read_bytes(candidates_name(1)) == kept
    assert first.reduced.ids.tolist() == choose(run, facts, plan, bar=Silent()).reduced.ids.tolist()


def test_worth(ground_set):
    run, X, facts = ground_set
    one = facts(1)
    plan = plan_selection(run, SelectConfig(k=20), one, 20)
    choice = choose(run, one, plan, bar=Silent())
    exact = select(X, 20)
    assert choice.reduced.ids.tolist() == exact.indices.tolist()
    assert choice.share_of_centralized == 1.0
    chance = random_value(plan.total, 300, 20, 10.0)
    assert choice.random_value == chance
    assert choice.lift_over_random == pytest.approx((exact.value - chance) / abs(chance))


def test_shares_where_values_are_negative(ground_set):
    run, _, facts = ground_set
    one = facts(1)
    choice = choose(run, one, plan_selection(run, SelectConfig(k=250), one, 250), bar=Silent())
    assert choice.reduced.value < 0
    assert choice.share_of_centralized is None  # a ratio of negative values says nothing
    assert choice.share_of_centralized_lift == 1.0


def test_a_partition_that_lost_items_is_noticed(ground_set):
    run, _, facts = ground_set
    facts = facts(2)
    plan = plan_selection(run, SelectConfig(k=30, partitions=2), facts, 30)
    with pytest.raises(InputError, match="partitions must hold 300 items together"):
        choose(run, facts[:3], plan, bar=Silent())


def test_no_lift_over_nothing():
    plan = plan_selection  # only to say that a plan is not needed for the arithmetic
    choice = SelectionOutcome(plan, None, 0.0, None)  # type: ignore[arg-type]
    assert choice.lift_over_random is None
    assert choice.share_of_centralized is None


@pytest.mark.parametrize("partitions", [1, 4])
def test_the_certificate_bounds_every_subset_that_can_be_found(ground_set, partitions):
    run, X, facts = ground_set
    facts = facts(partitions)
    choice = choose(run, facts, plan_selection(run, SelectConfig(k=20, partitions=partitions), facts, 20), bar=Silent())
    assert choice.certificate is not None
    assert choice.certificate.value == pytest.approx(choice.reduced.value)
    assert choice.certificate.random_value == pytest.approx(choice.random_value)
    best = max(select(X, 20, optimizer=name).value for name in ("greedy", "paced", "exchange"))
    assert choice.certificate.bound >= best - 1e-9
    assert 0 < choice.certificate.closed <= 1
