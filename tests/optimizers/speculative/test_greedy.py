"""The certified greedy picks what the paper's does, whatever it is that makes it fast."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ray_subsel.core.threads as core_threads
from ray_subsel.constraints.base import Constraints
from ray_subsel.core.device import Device, computing_on
from ray_subsel.core.errors import InputError
from ray_subsel.objectives import GraphCut, LogDeterminant
from ray_subsel.optimizers import CertifiedGreedy, NaiveGreedy, PacedGreedy, Problem
from ray_subsel.optimizers.speculative.score import GraphCutScore
from ray_subsel.optimizers.speculative.verify import SieveSizes

SETTINGS = settings(deadline=None, max_examples=60)


def cloud(seed, n, d, *, sign="any", copies=True, dtype=np.float64):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    if sign == "positive":
        X = np.abs(X)
    elif sign == "mean":
        X += 1.5
    if copies and n > 2:
        X[rng.permutation(n)[: n // 2]] = X[rng.integers(0, n, n // 2)]
    X = X.astype(dtype)
    X[~X.any(axis=1)] = 1  # what is too small for float16 is 0 there, which has no cosine
    return X


def picks(X, k, lam=10.0, optimizer=None, **more):
    limits = Constraints(
        **{name: more.pop(name) for name in ("include", "exclude", "quotas", "groups") if name in more}
    )
    problem = Problem(X=X, objective=more.pop("objective", GraphCut(lam)), k=k, constraints=limits, **more)
    return (optimizer or CertifiedGreedy(picks=16)).maximize(problem)


@SETTINGS
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(1, 150),
    d=st.integers(1, 40),
    share=st.floats(0, 1),
    lam=st.sampled_from([0.0, 0.5, 3.0, 10.0, 100.0]),
    sign=st.sampled_from(["any", "positive", "mean"]),
    copies=st.booleans(),
    dtype=st.sampled_from([np.float16, np.float32, np.float64]),
)
def test_equals_the_papers_greedy(dense_greedy, seed, n, d, share, lam, sign, copies, dtype):
    X = cloud(seed, n, d, sign=sign, copies=copies, dtype=dtype)
    k = max(1, round(share * n))
    ids, gains = dense_greedy(X, k, lam=lam)
    found = picks(X, k, lam, CertifiedGreedy(picks=8))
    assert found.indices.tolist() == ids
    assert found.gains == pytest.approx(gains, abs=1e-8 * (1 + max(map(abs, gains))))


@pytest.mark.parametrize("sign", ["any", "positive", "mean"])
@pytest.mark.parametrize("k", [1, 60, 200, 700, 2000])
def test_equals_the_papers_greedy_over_many_rounds(dense_greedy, sign, k):
    X = cloud(k, 2000, 24, sign=sign, dtype=np.float32)
    assert picks(X, k).indices.tolist() == dense_greedy(X, k)[0]


def test_rounds_are_few():
    X = cloud(0, 20000, 32, sign="mean", dtype=np.float32)
    found = picks(X, 1000)
    assert found.stats["passes"] <= 60
    assert found.stats["evaluations"] < 0.25 * 20000 * 1000


@pytest.mark.parametrize("copies", [False, True])
def test_without_a_common_direction_a_pick_takes_little_more_than_a_pass(copies):
    X = cloud(3, 4000, 64, copies=copies, dtype=np.float32)
    X -= X.mean(axis=0)
    k = 600
    found = picks(X, k)
    assert found.stats["passes"] <= 1.2 * k
    assert found.stats["evaluations"] <= 1.4 * k * 4000
    assert found.indices.tolist() == picks(X, k, optimizer=NaiveGreedy()).indices.tolist()


@pytest.mark.parametrize("mean", [0.0, 1.5])
def test_rows_of_few_numbers_are_read_at_most_once_a_pick_and_not_drafted_from(mean):
    X = cloud(4, 1500, 16, dtype=np.float32) + np.float32(mean)
    few, drafted = picks(X, 200, optimizer=CertifiedGreedy()), picks(X, 200)
    assert few.indices.tolist() == drafted.indices.tolist()
    assert np.array_equal(few.gains, drafted.gains)
    assert few.stats["passes"] <= 200
    assert few.stats["rounds"] == 1  # a walk
    large = cloud(4, 17000, 128, copies=False, dtype=np.float32) + np.float32(1.5)
    assert picks(large, 200, optimizer=CertifiedGreedy()).stats["passes"] < 100


@pytest.mark.parametrize("vectors", ["same", "identity", "signs", "circle"])
def test_items_that_tie_mathematically_go_by_their_ids(vectors):
    n = 600  # more than any pool at the start
    angles = np.linspace(0, 2 * np.pi, n, endpoint=False)
    X = {
        "same": np.ones((n, 3)),
        "identity": np.eye(n),
        "signs": np.array(list(itertools.product([-1.0, 1.0], repeat=9))),
        "circle": np.stack([np.cos(angles), np.sin(angles)], axis=1),
    }[vectors]
    k = 90
    found = picks(X, k, 1.0, CertifiedGreedy(picks=8, pool=2))
    assert found.indices.tolist() == picks(X, k, 1.0, NaiveGreedy()).indices.tolist()
    if vectors in ("same", "identity"):
        assert found.indices.tolist() == list(range(k))


@pytest.mark.parametrize(("first", "pool"), [(1, 1), (8, 2), (50, 8), (1024, 1)])
def test_sizes_of_drafts_and_candidates_change_nothing(first, pool):
    X = cloud(5, 900, 12, dtype=np.float32)
    usual, other = picks(X, 400), picks(X, 400, 10.0, CertifiedGreedy(first, pool))
    assert np.array_equal(usual.indices, other.indices)
    assert np.array_equal(usual.gains, other.gains)


def test_sizes_of_blocks_and_sieves_change_nothing():
    X = cloud(6, 900, 12, dtype=np.float32)
    usual, other = picks(X, 300), picks(X, 300, 10.0, CertifiedGreedy(sieves=SieveSizes(3, 1)))
    assert np.array_equal(usual.indices, other.indices)
    assert np.array_equal(usual.gains, other.gains)


def test_order_of_rows_changes_ids_only_as_it_must():
    X = cloud(7, 300, 10, copies=False)
    order = np.random.default_rng(7).permutation(300)
    assert np.array_equal(order[picks(X[order], 80).indices], picks(X, 80).indices)


@SETTINGS
@given(st.integers(0, 10**6), st.sampled_from([0.5, 10.0]), st.data())
def test_prefixes_are_the_results_of_smaller_budgets(seed, lam, data):
    X = cloud(seed, 120, 6)
    k = data.draw(st.integers(1, 120))
    less = data.draw(st.integers(1, k))
    long, short = picks(X, k, lam), picks(X, less, lam)
    assert np.array_equal(long.indices[:less], short.indices)
    assert np.array_equal(long.gains[:less], short.gains)


@SETTINGS
@given(st.integers(0, 10**6), st.data())
def test_includes_excludes_utilities_and_stops(dense_greedy, seed, data):
    n = 80
    X = cloud(seed, n, 5)
    rng = np.random.default_rng(seed)
    order = rng.permutation(n)
    include = order[: data.draw(st.integers(0, 5))]
    exclude = order[5 : 5 + data.draw(st.integers(0, 40))]
    utility = np.round(rng.standard_normal(n) * data.draw(st.sampled_from([0.0, 1.0, 30.0])), 1)
    stop = data.draw(st.sampled_from([None, 0.0, -20.0]))
    k = data.draw(st.integers(max(1, include.size), n - exclude.size))
    ids, gains = dense_greedy(X, k, include=include, exclude=exclude, utility=utility, stop=stop)
    more = {"include": include, "exclude": exclude, "utility": utility, "stop_when_gain": stop}
    found = picks(X, k, 10.0, CertifiedGreedy(picks=8), **more)
    assert found.indices.tolist() == ids
    assert found.gains == pytest.approx(gains, abs=1e-8)


@SETTINGS
@given(st.integers(0, 10**6), st.integers(1, 30), st.sampled_from([0.0, 10.0]), st.data())
def test_multiplicity_is_the_expanded_array(seed, n, lam, data):
    X = cloud(seed, n, 4)
    counts = np.random.default_rng(seed).integers(1, 6, n)
    expanded = np.repeat(np.arange(n), counts)
    k = data.draw(st.integers(1, int(counts.sum())))
    objective = GraphCut(lam, total=GraphCut().init(X[expanded]).total)
    short = picks(X, k, multiplicity=counts, objective=objective)
    long = picks(X[expanded], k, lam)
    assert short.indices.tolist() == expanded[long.indices].tolist()
    assert short.gains == pytest.approx(long.gains, abs=1e-9)
    assert picks(X, k, lam, multiplicity=counts).indices.tolist() == short.indices.tolist()
    naive = picks(X, k, optimizer=NaiveGreedy(), multiplicity=counts, objective=objective)
    assert naive.indices.tolist() == short.indices.tolist()


def test_must_includes_count_toward_multiplicities():
    X = np.array([[1.0, 0.1], [0.1, 1.0]])
    found = picks(X, 4, 0.0, multiplicity=np.array([3, 1]), include=np.array([0, 0]))
    assert sorted(found.indices.tolist()) == [0, 0, 0, 1]


def test_total_of_a_larger_ground_set():
    X = cloud(8, 400, 8, sign="mean")
    objective = GraphCut(10.0, total=GraphCut().init(X).total / 4)
    part = X[:100]
    assert np.array_equal(
        picks(part, 30, objective=objective).indices,
        picks(part, 30, optimizer=NaiveGreedy(), objective=objective).indices,
    )


def test_memory_map_and_its_array_agree(tmp_path):
    X = cloud(9, 700, 16, dtype=np.float32)
    path = tmp_path / "vectors.npy"
    np.save(path, X)
    mapped = np.load(path, mmap_mode="r")
    assert isinstance(mapped, np.memmap)
    assert np.array_equal(picks(mapped, 200).indices, picks(X, 200).indices)


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16"])
def test_tensors_and_arrays_agree(dtype):
    torch = pytest.importorskip("torch")
    T = torch.from_numpy(cloud(10, 600, 16, dtype=np.float32)).to(getattr(torch, dtype))
    found = picks(T, 150)
    assert np.array_equal(found.indices, picks(T.double().numpy(), 150).indices)


@pytest.mark.parametrize("precision", ["highest", "medium"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_products_on_a_device_change_no_pick(precision, dtype):
    torch = pytest.importorskip("torch")
    X = cloud(11, 600, 16, dtype=dtype) * np.logspace(-2, 2, 600)[:, None].astype(dtype)
    usual = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        with computing_on(Device(torch.empty(0), least=0)):
            found = picks(X, 150)
    finally:
        torch.set_float32_matmul_precision(usual)
    assert np.array_equal(found.indices, picks(X, 150).indices)
    assert np.array_equal(found.gains, picks(X, 150).gains)


@pytest.mark.parametrize("order", ["F", "reversed", "sliced"])
def test_layout_in_memory_changes_nothing(order):
    X = cloud(12, 500, 10, dtype=np.float32)
    wide = np.zeros((500, 20), dtype=np.float32)
    wide[:, ::2] = X
    other = {"F": np.asfortranarray(X), "reversed": X[::-1].copy()[::-1], "sliced": wide[:, ::2]}[order]
    assert np.array_equal(picks(other, 200).indices, picks(X, 200).indices)


def test_negative_zero_is_zero():
    X = cloud(13, 200, 6)
    X[:, 0] = 0.0
    signed = X.copy()
    signed[::2, 0] = -0.0
    assert np.array_equal(picks(signed, 100).indices, picks(X, 100).indices)


def test_keyboard_interrupt_leaves_nothing_behind():
    threadpoolctl = pytest.importorskip("threadpoolctl")
    X = cloud(14, 2000, 16, dtype=np.float32)
    before = [pool["num_threads"] for pool in threadpoolctl.threadpool_info()]

    def interrupt(picked, k):
        if picked >= 100:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        picks(X, 1000, progress=interrupt)
    assert [pool["num_threads"] for pool in threadpoolctl.threadpool_info()] == before
    assert picks(X, 20).indices.size == 20


def test_progress_tells_what_was_picked():
    seen = []
    picks(cloud(15, 500, 8), 300, progress=lambda picked, k: seen.append((picked, k)))
    assert seen[-1] == (300, 300)
    assert [picked for picked, _ in seen] == sorted({picked for picked, _ in seen})


def test_other_objectives_and_constraints_are_refused():
    X, groups = cloud(0, 10, 3), np.zeros(10, dtype=np.int64)
    budget = Constraints(costs=np.ones(10), budget=3.0)
    with pytest.raises(InputError, match="optimizer must know costs"):
        CertifiedGreedy().maximize(Problem(X=X, objective=GraphCut(), k=2, constraints=budget))
    with pytest.raises(InputError, match="optimizer must know quotas"):
        quotas = Constraints(groups=groups, quotas=np.array([1]))
        PacedGreedy().maximize(Problem(X=X, objective=GraphCut(), k=2, constraints=quotas))
    with pytest.raises(InputError, match="objective must be graph_cut"):
        CertifiedGreedy().maximize(Problem(X=X, objective=LogDeterminant(), k=2))


def test_a_tie_is_wider_than_rounding():
    for d in (1, 100, 1000, 10**4, 10**5):
        for picked in (0, 10**6):
            score = GraphCutScore(np.ones(d), 10.0)
            assert 2 * score.slack(picked) < score.tie(picked)


@pytest.mark.parametrize("shared", [0, 1 << 40])
def test_threads_change_no_pick(monkeypatch, shared):
    threadpoolctl = pytest.importorskip("threadpoolctl")
    monkeypatch.setattr(core_threads, "SHARED_NUMBERS", shared)
    X = cloud(13, 3_000, 24, dtype=np.float32)
    X[2_000:] = X[:1_000]
    found = []
    for threads in (1, 2):
        with threadpoolctl.threadpool_limits(threads, user_api="blas"):
            found.append(picks(X, 200))
    assert np.array_equal(found[0].indices, found[1].indices)
    assert np.array_equal(found[0].gains, found[1].gains)
