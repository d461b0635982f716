"""The exact greedy of the log-determinant over divided rows: what one process would pick, whatever the division."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_subsel import select
from ray_subsel.constraints.base import Constraints
from ray_subsel.objectives import LogDeterminant, ProblemSize
from ray_subsel.optimizers import NaiveGreedy, Problem
from ray_subsel.optimizers.greedy import fastest_for
from ray_subsel.optimizers.leverage import LeverageGreedy, LocalLeveragePool, exact_log_determinant
from ray_subsel.optimizers.leverage_shard import LeverageShard


def corpus(n, d, seed, *, copies=0.0, mean=0.3):
    """Vectors, a share of which repeats others."""
    draw = np.random.default_rng(seed)
    X = (draw.normal(size=(n, d)) + mean).astype(np.float32)
    again = draw.random(n) < copies
    X[again] = X[draw.integers(n, size=int(again.sum()))]
    return X


def shards_of(X, parts, objective, seed=0):
    """Divide the rows at random, unevenly and in no order."""
    draw = np.random.default_rng(seed)
    where = draw.integers(parts, size=len(X)) if parts > 1 else np.zeros(len(X), dtype=int)
    groups = [draw.permutation(np.flatnonzero(where == part)) for part in range(parts)]
    return [LeverageShard.of(ids.astype(np.int64), X[ids].copy(), objective) for ids in groups if len(ids)]


def exact(X, k, parts, objective=None, **more):
    objective = objective or LogDeterminant()
    return exact_log_determinant(LocalLeveragePool(shards_of(X, parts, objective)), objective, X.shape[1], k, **more)


@settings(deadline=None, max_examples=60)
@given(
    n=st.integers(1, 250),
    d=st.integers(1, 12),
    parts=st.integers(1, 7),
    seed=st.integers(0, 1000),
    copies=st.sampled_from([0.0, 0.5, 0.97]),
    ridge=st.sampled_from([1.0, 1e-2, 1e-6]),
    kernel=st.sampled_from(["cosine", "shifted_cosine"]),
    proposed=st.sampled_from([1, 8, 2048]),
    data=st.data(),
)
def test_the_ids_are_those_of_one_machine(n, d, parts, seed, copies, ridge, kernel, proposed, data):
    X, f = corpus(n, d, seed, copies=copies), LogDeterminant(ridge=ridge, kernel=kernel)
    k = data.draw(st.integers(1, n))
    found, alone = exact(X, k, parts, f, proposed=proposed), select(X, k, objective=f, optimizer="lazy")
    assert found.ids.tolist() == alone.indices.tolist()
    np.testing.assert_allclose(found.gains, alone.gains, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("parts", [1, 3])
def test_a_round_keeps_many_picks_and_looks_at_few_items(parts):
    X = corpus(6_000, 32, 1)
    found = exact(X, 600, parts, proposed=256)
    assert found.ids.tolist() == select(X, 600, objective="log_determinant", optimizer="lazy").indices.tolist()
    assert found.rounds <= 100
    assert found.evaluations < 0.75 * found.rounds * 6_000


@pytest.mark.parametrize("parts", [1, 2, 5])
def test_ties_of_many_copies_go_to_the_lowest_id(parts):
    X = np.tile(np.eye(3, dtype=np.float32), (100, 1))
    found = exact(X, 40, parts, proposed=4)
    assert found.ids.tolist() == select(X, 40, objective="log_determinant", optimizer="lazy").indices.tolist()
    assert found.ids[:3].tolist() == [0, 1, 2]


def test_a_run_goes_on_from_any_round_with_other_shards():
    X, checkpoints = corpus(400, 9, 3, copies=0.3), []
    whole = exact(X, 120, 3, after_round=checkpoints.append, proposed=32)
    assert len(checkpoints) == whole.rounds > 3
    for checkpoint in checkpoints[:-1:2]:
        resumed = exact(X, 120, 2, begin=checkpoint, proposed=32)
        assert resumed.ids.tolist() == whole.ids.tolist()
        np.testing.assert_allclose(resumed.gains, whole.gains, rtol=1e-12)


def test_shards_that_forget_everything_between_requests_answer_the_same():
    # What an actor does that dies and is loaded again; and one that is asked the same question twice.
    X, f = corpus(300, 7, 2, copies=0.4), LogDeterminant()

    class Forgetful(LocalLeveragePool):
        def proposals(self, request):
            fresh = [shard.propose(request) for shard in shards_of(X, 3, f)]
            kept = super().proposals(request)
            again = super().proposals(request)
            for one, two, three in zip(fresh, kept, again, strict=True):
                assert one.ids.tolist() == two.ids.tolist() == three.ids.tolist()
                assert one.highest <= two.highest + 1e-12  # nothing but new scores: as low as a bound can be
            return fresh

    found = exact_log_determinant(Forgetful(shards_of(X, 3, f)), f, 7, 90, proposed=24)
    assert found.ids.tolist() == select(X, 90, objective=f, optimizer="lazy").indices.tolist()


def test_without_the_bound_of_other_rows_the_ids_go_wrong():
    X, f = corpus(2_000, 6, 5), LogDeterminant()
    alone = select(X, 100, objective=f, optimizer="lazy").indices.tolist()

    class Credulous(LocalLeveragePool):
        def proposals(self, request):
            return [replace(answer, highest=-np.inf) for answer in super().proposals(request)]

    assert exact(X, 100, 3, proposed=30).ids.tolist() == alone
    found = exact_log_determinant(Credulous(shards_of(X, 3, f)), f, 6, 100, proposed=30)
    assert found.ids.tolist() != alone


@pytest.mark.parametrize("mean", [1.0, 0.0])
@pytest.mark.parametrize(("n", "d", "k"), [(20_000, 32, 250), (10_000, 64, 500)])
def test_about_as_many_rounds_are_taken_as_are_told(n, d, k, mean):
    taken, told = exact(corpus(n, d, 1, mean=mean), k, 2).rounds, LogDeterminant().rounds(ProblemSize(n, k, d))
    assert told / 2 < taken < 2 * told


@settings(deadline=None, max_examples=60)
@given(
    n=st.integers(1, 200),
    d=st.integers(1, 12),
    seed=st.integers(0, 1000),
    copies=st.sampled_from([0.0, 0.5, 0.97]),
    ridge=st.sampled_from([1.0, 1e-2, 1e-6]),
    kernel=st.sampled_from(["cosine", "shifted_cosine"]),
    dtype=st.sampled_from([np.float16, np.float32, np.float64]),
    proposed=st.sampled_from([1, 8, 1024]),
    data=st.data(),
)
def test_in_memory_the_picks_are_those_of_the_naive_greedy(n, d, seed, copies, ridge, kernel, dtype, proposed, data):
    X, f = corpus(n, d, seed, copies=copies).astype(dtype), LogDeterminant(ridge=ridge, kernel=kernel)
    problem = Problem(X, f, data.draw(st.integers(1, n)))
    naive = NaiveGreedy().maximize(problem)
    found = LeverageGreedy(proposed).maximize(problem)
    assert found.indices.tolist() == naive.indices.tolist()
    np.testing.assert_allclose(found.gains, naive.gains, rtol=1e-8, atol=1e-9)
    stop = float(naive.gains[naive.gains.size // 2])
    ended = LeverageGreedy(proposed).maximize(replace(problem, stop_when_gain=stop * (1 + 1e-6)))
    assert ended.indices.tolist() == naive.indices[naive.gains > stop * (1 + 1e-6)].tolist()


def test_greedy_takes_it_where_any_item_may_be_chosen_once_and_reports_progress():
    X = corpus(2_000, 8, 3)
    seen = []
    problem = Problem(X, LogDeterminant(ridge=1e-3), 300, progress=lambda done, k: seen.append((done, k)))
    assert isinstance(fastest_for(problem), LeverageGreedy)
    found = fastest_for(problem).maximize(problem)
    assert seen[-1] == (300, 300)
    assert len(seen) == found.stats["rounds"] > 1
    by_passes = LeverageGreedy().maximize(replace(problem, objective=LogDeterminant()))
    assert by_passes.stats["passes"] == 300, "of few numbers, and of gains that lose no digits"
    others = {
        "objective": LogDeterminant(kernel="rbf"),
        "constraints": Constraints(exclude=np.array([3])),
        "utility": np.ones(2_000),
        "multiplicity": np.ones(2_000, dtype=np.int64),
        "X": X[:5],  # fewer items than numbers: rows of a Cholesky factor cost less
    }
    for name, value in others.items():
        assert not LeverageGreedy.suits(replace(problem, **{name: value})), name
    assert not LeverageGreedy.suits(replace(problem, constraints=Constraints(include=np.array([3]))))
