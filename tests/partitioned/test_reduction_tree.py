"""The shape of GreeDi in a tree, and that what it finds is worth as much."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_subsel import select
from ray_subsel.core.exact_sum import exact_total
from ray_subsel.core.hashing import partition_of
from ray_subsel.core.items import ItemBatch
from ray_subsel.core.unit_rows import unit_rows
from ray_subsel.objectives.graph_cut import ScaledGraphCut, random_value
from ray_subsel.partitioned.greedi import LocalSolution, merge_solutions, reduce_solutions, solve_partition
from ray_subsel.partitioned.reduction_tree import grow_tree


def corpus(n, d, seed):
    draw = np.random.default_rng(seed)
    centres = draw.normal(size=(12, d)) + 0.5
    X = centres[draw.integers(12, size=n)] + 0.4 * draw.normal(size=(n, d))
    return (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32)


def greedi(X, k, m, fan_in, *, c=2.0, lam=10.0, order=1):
    """Run all rounds in this process."""
    ids, total = np.arange(len(X)), exact_total(unit_rows(X)).vector()
    goal = ScaledGraphCut(lam, total)
    where = partition_of(ids, m, 0)
    parts = [ids[where == q] for q in range(m)]
    tree = grow_tree([len(part) for part in parts], k=k, c=c, fan_in=fan_in)
    below = [
        solve_partition(
            ItemBatch(parts[q], X[parts[q]]), partition=q, objective=goal, m=m, n_candidates=node.n_candidates
        )
        for q, node in enumerate(tree.levels[0])
    ]
    for level in tree.levels[1:-1]:
        below = [
            merge_solutions(
                [below[child] for child in node.children][::order],
                node=node.number,
                objective=goal,
                share=node.members / m,
                n_candidates=node.n_candidates,
            )
            for node in level
        ]
    return reduce_solutions(below[::order], objective=goal, k=k), tree, total


def test_a_tree_by_hand():
    # 8 partitions of 100, c = 4, fan-in 2: three levels above, each of which lets 4^(1/3) fewer candidates through.
    tree = grow_tree([100] * 8, k=40, c=4.0, fan_in=2)
    assert [len(level) for level in tree.levels] == [8, 4, 2, 1]
    assert [node.n_candidates for node in tree.levels[0]] == [20] * 8  # 4 * 40 / 8
    assert [node.available for node in tree.levels[1]] == [40] * 4
    assert [node.n_candidates for node in tree.levels[1]] == [26] * 4  # ceil(4^(2/3) * 40 / 8) = 13 a partition
    assert [node.n_candidates for node in tree.levels[2]] == [32] * 2  # ceil(4^(1/3) * 40 / 8) = 8 a partition
    assert (tree.root.available, tree.root.n_candidates, tree.root.members) == (64, 40, 8)
    assert [(node.first, node.members, node.children) for node in tree.levels[2]] == [(0, 4, (0, 1)), (4, 4, (2, 3))]
    assert (tree.rounds, tree.most_reduced) == (4, 64)


def test_two_rounds_where_one_reducer_takes_all_and_one_where_there_is_one_partition():
    assert grow_tree([50, 50, 50], k=10, c=2.0, fan_in=3).rounds == 2
    one = grow_tree([50], k=10, c=2.0, fan_in=2)
    assert (one.rounds, one.root.n_candidates, one.most_reduced) == (1, 10, 0)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.integers(0, 60), min_size=1, max_size=30), st.integers(2, 9), st.floats(1.0, 4.0), st.data())
def test_every_level_hands_over_enough_and_every_partition_is_in_one_node(sizes, fan_in, c, data):
    if not sum(sizes):
        sizes = [*sizes, 5]
    k = data.draw(st.integers(1, sum(sizes)))
    tree = grow_tree(sizes, k=k, c=c, fan_in=fan_in)
    for level in tree.levels:
        assert sum(node.n_candidates for node in level) >= k
        assert all(0 <= node.n_candidates <= node.available for node in level)
        assert [node.first for node in level] == np.cumsum([0, *(node.members for node in level)])[:-1].tolist()
        assert sum(node.members for node in level) == len(sizes)
    for below, level in zip(tree.levels, tree.levels[1:], strict=False):
        assert all(len(node.children) <= fan_in for node in level)
        assert [node.available for node in level] == [
            sum(below[i].n_candidates for i in node.children) for node in level
        ]
    assert tree.root.n_candidates == k


@pytest.mark.parametrize("fan_in", [2, 4, 16])
@pytest.mark.parametrize("k", [40, 200])
def test_a_tree_gets_nearly_all_of_what_centralized_greedy_gains(fan_in, k):
    X = corpus(3_000, 24, 0)
    found, tree, total = greedi(X, k, 16, fan_in)
    chance, central = random_value(total, 3_000, k, 10.0), select(X, k, recipe="none").value
    assert tree.rounds == {2: 5, 4: 3, 16: 2}[fan_in]
    assert (found.value - chance) / (central - chance) > 0.97
    assert len(set(found.ids.tolist())) == k


@pytest.mark.parametrize("fan_in", [2, 3])
def test_the_order_of_arrival_does_not_matter(fan_in):
    X = corpus(500, 8, 1)
    assert greedi(X, 40, 7, fan_in)[0].ids.tolist() == greedi(X, 40, 7, fan_in, order=-1)[0].ids.tolist()


def test_an_inner_reducer_sees_its_share_of_t():
    # Two of four partitions, of which half of t is asked: what greedy picks against half of t, not against all of it.
    X = corpus(400, 8, 2)
    total = exact_total(unit_rows(X)).vector()
    from ray_subsel.objectives.graph_cut import GraphCut

    halves = [
        LocalSolution(0, ItemBatch(np.arange(0, 200, 2), X[0:200:2]), 100),
        LocalSolution(1, ItemBatch(np.arange(1, 200, 2), X[1:200:2]), 100),
    ]
    merged = merge_solutions(halves, node=5, objective=ScaledGraphCut(10.0, total), share=0.5, n_candidates=40)
    expected = select(X[:200], 40, objective=GraphCut(lam=10.0, total=total / 2)).indices
    assert merged.chosen.ids.tolist() == expected.tolist()
    assert (merged.partition, merged.items) == (5, 200)
    nothing = merge_solutions(halves, node=5, objective=ScaledGraphCut(10.0, total), share=0.5, n_candidates=0)
    assert nothing.chosen.ids.size == 0
