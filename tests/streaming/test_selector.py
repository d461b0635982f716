"""A stream decides as a plain loop over the definition does, for any batches, and as before after it was saved."""

import json
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_subsel import InputError, select
from ray_subsel.objectives import FacilityLocation, FeatureBased, GraphCut, LogDeterminant
from ray_subsel.streaming import StreamSelector
from ray_subsel.streaming.functions import next_step
from ray_subsel.streaming.grid_rows import grid_rows
from ray_subsel.streaming.rules import Swap, ThreeSieves
from ray_subsel.synthetic.vectors import original_vectors

OBJECTIVES = {"graph_cut": GraphCut(4.0), "facility_location": FacilityLocation(), "log_determinant": LogDeterminant()}
SETTINGS = {
    "plain": {},
    "near": {"near": 0.8},
    "quotas": {"quotas": {"a": 1, "b": 2}},
    "a quota each": {"quotas": 2, "near": 0.95},
    "least rise": {"rule": Swap(0.2)},
}


def rows(n, d, seed):
    """Vectors with near copies among them."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) + 0.7
    copied = rng.random(n) < 0.3
    X[copied] = X[rng.integers(n, size=n)][copied] + 0.1 * rng.normal(size=(int(copied.sum()), d))
    return X


def columns(n, seed, named):
    """What else is known of rows: utilities and, where there are quotas, groups."""
    rng = np.random.default_rng(seed + 1)
    more = {"utility": np.round(rng.random(n), 2)}
    if "quotas" in named:
        more["groups"] = [("a", "b", "c", None)[at] for at in rng.integers(4, size=n)]
    return more


def some(more, start, stop):
    return {name: values[start:stop] for name, values in more.items()}


def by_definition(X, k, objective, named, more):
    """Yield (accepted, evicted) of a loop that knows nothing but formulas: f against the rows before the last step."""
    X = grid_rows(X)
    groups, utility = more.get("groups"), more["utility"]
    quota = named.get("quotas", {})
    most = {g: quota if isinstance(quota, int) else quota.get(g, 10**9) for g in set(groups or [])}
    least = named["rule"].least_rise if "rule" in named else 0.0
    kept, seen_at_step, step = [], 0, next_step(0)

    def f(subset):
        if isinstance(objective, LogDeterminant):
            return objective.evaluate(X, np.array(subset))
        seen = X[:seen_at_step]
        if isinstance(objective, GraphCut):
            return GraphCut(objective.lam, seen.sum(axis=0)).evaluate(X, np.array(subset))
        return float(np.maximum(seen @ X[subset].T, 0.0).max(axis=1).mean()) if len(seen) else 0.0

    for item in range(len(X)):
        near = named.get("near", 9.0)
        copy = bool(kept) and (X[kept] @ X[item]).max() >= near
        full_group = groups is not None and sum(groups[j] == groups[item] for j in kept) >= most[groups[item]]
        if len(kept) < k and not full_group:
            if not copy:
                kept.append(item)
                yield item, None
        else:
            here = f(kept) if kept else 0.0
            total = X[:seen_at_step].sum(axis=0) @ X[kept].sum(axis=0) if isinstance(objective, GraphCut) else here
            worth = max(total, 0.0) / len(kept) if kept else 0.0
            rises = {}
            for place, j in enumerate(kept):
                if full_group and groups[j] != groups[item]:
                    continue
                other = [*kept[:place], item, *kept[place + 1 :]]
                rises[place] = f(other) - here + worth * (utility[item] - utility[j])
            if rises and not copy:
                place = max(rises, key=lambda at: (round(rises[at], 5), -at))
                if rises[place] - least * worth > 1e-5:
                    gone, kept[place] = kept[place], item
                    yield item, gone
        if item + 1 == step:
            seen_at_step, step = item + 1, next_step(item + 1)


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("setting", SETTINGS)
def test_decisions_are_those_of_the_definition(name, setting):
    named = SETTINGS[setting]
    for seed in range(3):
        X, more = rows(60, 5, seed), columns(60, seed, named)
        stream = StreamSelector(5, OBJECTIVES[name], **named)
        decided = stream.partial_fit(X, **more)
        gone = [None if at < 0 else int(decided.evicted[at]) for at in decided.replaced]
        assert list(zip(decided.accepted.tolist(), gone, strict=True)) == list(
            by_definition(X, 5, OBJECTIVES[name], named, more)
        )


@settings(max_examples=40, deadline=None)
@given(
    name=st.sampled_from(sorted(OBJECTIVES)),
    setting=st.sampled_from([*SETTINGS, "sieves"]),
    cuts=st.lists(st.integers(0, 400), max_size=8),
    saved_at=st.integers(0, 400),
    seed=st.integers(0, 5),
)
def test_no_decision_depends_on_batches_nor_on_a_restart(name, setting, cuts, saved_at, seed):
    if setting == "sieves" and name == "graph_cut":
        return
    named = SETTINGS.get(setting, {"rule": ThreeSieves(0.2, 20), "near": 0.9})
    X = rows(400, 6, seed)
    more = {} if setting == "sieves" else columns(400, seed, named)
    sample = {"sample": 150} if name == "facility_location" else {}
    whole = StreamSelector(7, OBJECTIVES[name], **named, **sample)
    accepted, evicted = whole.partial_fit(X, **more)
    stream = StreamSelector(7, OBJECTIVES[name], **named, **sample)
    parts = []
    edges = sorted({0, 400, saved_at, *cuts})
    for start, stop in pairwise(edges):
        if start == saved_at:
            stream = StreamSelector.from_bytes(stream.to_bytes())
        parts.append(stream.partial_fit(X[start:stop], **some(more, start, stop)))
    assert np.concatenate([one.accepted for one in parts]).tolist() == accepted.tolist()
    assert np.concatenate([one.evicted for one in parts]).tolist() == evicted.tolist()
    assert stream.selection().ids.tolist() == whole.selection().ids.tolist()
    assert stream.to_bytes() == StreamSelector.from_bytes(whole.to_bytes()).to_bytes() == whole.to_bytes()


MONOTONE = ("facility_location", "log_determinant")


def fixed(name, rng):
    """A monotone function that does not change with the stream."""
    return FacilityLocation(represented=rng.normal(size=(12, 3))) if name == "facility_location" else LogDeterminant()


def best_of(f, X, k, groups, quota):
    """The most that k of few rows are worth, at most so many of a group."""
    values = [0.0]
    for size in range(1, min(k, len(X)) + 1):
        for subset in combinations(range(len(X)), size):
            if max(np.bincount(groups[list(subset)])) <= quota:
                values.append(f.evaluate(X, np.array(subset)))
    return max(values)


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(MONOTONE),
    n=st.integers(2, 9),
    k=st.integers(1, 3),
    quota=st.sampled_from([1, 2, 9]),
    least_rise=st.sampled_from([1.0, 1.0, 0.0]),
    seed=st.integers(0, 10_000),
)
def test_swapping_keeps_a_quarter_of_the_best_in_any_order_and_never_lowers_f(name, n, k, quota, least_rise, seed):
    rng = np.random.default_rng(seed)
    X, groups, f = rng.normal(size=(n, 3)), rng.integers(3, size=n), fixed(name, rng)
    stream = StreamSelector(k, f, rule=Swap(least_rise), quotas=quota)
    values = [0.0]
    for at in range(n):
        stream.partial_fit(X[at : at + 1], groups=groups[at : at + 1].tolist())
        values.append(f.evaluate(X, stream.ids))
        assert values[-1] >= values[-2] - 1e-6
    assert max(np.bincount(groups[stream.ids])) <= quota
    if least_rise == 1.0:  # else nothing is promised
        assert values[-1] >= best_of(f, X, k, groups, quota) / 4 - 1e-6


@settings(max_examples=15, deadline=None)
@given(name=st.sampled_from(MONOTONE), k=st.integers(1, 3), seed=st.integers(0, 10_000))
def test_three_sieves_keeps_its_share_of_the_best_of_independent_draws(name, k, seed):
    rng = np.random.default_rng(seed)
    X, f = rng.normal(size=(9, 3)), fixed(name, rng)
    drawn = rng.integers(9, size=4000)  # a row comes in 100 draws but with a chance of 1e-5
    stream = StreamSelector(k, f, rule=ThreeSieves(0.1, 100))
    stream.partial_fit(X[drawn])
    share = (1 - 0.1) * (1 - 1 / np.e)
    assert f.evaluate(X, drawn[stream.ids]) >= share * best_of(f, X, k, np.arange(9), 1) - 1e-6


LEAST = {"graph_cut": 0.95, "facility_location": 0.97, "log_determinant": 0.97}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_one_pass_in_random_order_comes_near_the_greedy_that_sees_everything(name):
    X, _ = original_vectors(np.arange(3000), 32, 0, 20)
    f = GraphCut() if name == "graph_cut" else OBJECTIVES[name]
    stream = StreamSelector(40, f)
    stream.partial_fit(X)
    best = f.evaluate(X, select(X, 40, objective=f).indices)
    assert f.evaluate(X, stream.ids) >= LEAST[name] * best


def test_three_sieves_accepts_only_and_beats_random_rows():
    rng = np.random.default_rng(5)
    X = np.where(rng.random((3000, 1)) < 0.95, 4.0, 0.0) * np.eye(12)[0] + rng.normal(size=(3000, 12)) * 0.1
    stream = StreamSelector(10, "log_determinant", rule=ThreeSieves(0.1, 100))
    accepted, evicted = stream.partial_fit(X)
    assert not evicted.size
    assert accepted.size == stream.ids.size == 10
    f = LogDeterminant()
    random = np.mean([f.evaluate(X, rng.permutation(3000)[:10]) for _ in range(20)])
    assert f.evaluate(X, accepted) > 1.2 * random


def test_kept_items_are_no_near_copies_and_those_refused_are_counted():
    X = rows(500, 5, 7)
    stream = StreamSelector(20, near=0.9)
    stream.partial_fit(X)
    unit = X[stream.ids] / np.linalg.norm(X[stream.ids], axis=1)[:, None]
    assert np.triu(unit @ unit.T, 1).max() < 0.9
    assert stream.refused_near == stream.selection().refused_near > 0
    assert StreamSelector.from_bytes(stream.to_bytes()).refused_near == stream.refused_near


def test_quality_decides_where_rows_are_alike():
    X = np.tile([[1.0, 0.2]], (50, 1)) + np.random.default_rng(0).normal(size=(50, 2)) * 1e-3
    utility = np.random.default_rng(1).random(50)
    stream = StreamSelector(3, "graph_cut")
    stream.partial_fit(X, utility=utility)
    assert sorted(stream.ids.tolist()) == sorted(np.argsort(-utility)[:3].tolist())


def test_targets_draw_the_selection():
    X = np.random.default_rng(0).normal(size=(400, 4))
    target = np.array([[1.0, 0.0, 0.0, 0.0], [0.9, 0.1, 0.0, 0.0]])
    stream = StreamSelector(2, FacilityLocation(represented=target))
    stream.partial_fit(X)
    assert (X[stream.ids] @ target[0] / np.linalg.norm(X[stream.ids], axis=1)).min() > 0.8


def test_the_selection_is_in_greedy_order_and_its_value_is_that_of_the_whole_stream():
    X = rows(300, 6, 3)
    for name, f in OBJECTIVES.items():
        stream = StreamSelector(8, f)
        stream.partial_fit(X, ids=np.arange(1000, 1300))
        found = stream.selection()
        assert sorted(found.ids.tolist()) == sorted(stream.ids.tolist()) == sorted((found.arrivals + 1000).tolist())
        assert found.value == pytest.approx(f.evaluate(X, found.arrivals), rel=1e-5), name
        assert found.value == pytest.approx(found.gains.sum())
        first = [f.evaluate(X, found.arrivals[at : at + 1]) for at in range(len(found))]
        assert int(np.argmax(np.round(first, 6))) == 0
        assert found.seen == 300


def test_memory_does_not_grow_with_the_stream():
    rng = np.random.default_rng(0)
    for name in OBJECTIVES:
        stream = StreamSelector(10, name, **({"sample": 50} if name == "facility_location" else {}))
        sizes = []
        for _ in range(30):
            stream.partial_fit(rng.normal(size=(256, 8)))
            sizes.append(len(stream.to_bytes()))
        assert max(sizes) - min(sizes[10:]) < 50 * 8 * 8  # rows of the sample that wait for the next step


def test_no_rows_no_decisions():
    stream = StreamSelector(3)
    assert [one.tolist() for one in stream.partial_fit(np.empty((0, 4)))] == [[], []]
    assert len(stream.selection()) == 0
    assert len(StreamSelector.from_bytes(stream.to_bytes()).partial_fit(np.eye(4)).accepted) == 3


GOOD = np.eye(3)
BAD = {
    "k": (lambda: StreamSelector(0), "k must be a whole number >= 1"),
    "objective": (lambda: StreamSelector(2, "saturated_coverage"), "objective must be one of"),
    "instance": (lambda: StreamSelector(2, FeatureBased()), "objective must be one of"),
    "kernel": (lambda: StreamSelector(2, LogDeterminant(kernel="rbf")), "kernel must be 'cosine'"),
    "ridge": (lambda: StreamSelector(2, LogDeterminant(ridge=1e-9)), "ridge must be at least"),
    "weights": (lambda: StreamSelector(2, FacilityLocation(GOOD, np.ones(3))), "weights must be None"),
    "total": (lambda: StreamSelector(2, GraphCut(1.0, np.ones(3))), "total must be None"),
    "rule": (lambda: StreamSelector(2, rule="best"), "rule must be one of swap, three_sieves"),
    "least_rise": (lambda: Swap(-1.0), "least_rise must be"),
    "epsilon": (lambda: ThreeSieves(1.0), "epsilon must lie in"),
    "refusals": (lambda: ThreeSieves(0.1, 0), "refusals must be"),
    "near": (lambda: StreamSelector(2, near=1.5), "near must be a cosine"),
    "sample": (lambda: StreamSelector(2, "graph_cut", sample=5), "sample must go with"),
    "quotas": (lambda: StreamSelector(2, quotas="equal"), "quotas must be a whole number or a mapping"),
    "quota": (lambda: StreamSelector(2, quotas={"a": -1}), "quota of 'a' must be"),
    "sieves and graph cut": (
        lambda: StreamSelector(2, "graph_cut", rule="three_sieves").partial_fit(GOOD),
        "rule must be 'swap'",
    ),
    "sieves and quotas": (
        lambda: StreamSelector(2, rule="three_sieves", quotas=1).partial_fit(GOOD, groups=[1, 1, 1]),
        "quotas must go with rule='swap'",
    ),
    "sieves and utility": (
        lambda: StreamSelector(2, rule="three_sieves").partial_fit(GOOD, utility=np.ones(3)),
        "utility must go with rule='swap'",
    ),
    "no groups": (lambda: StreamSelector(2, quotas=1).partial_fit(GOOD), "groups must be given with quotas"),
    "no quotas": (lambda: StreamSelector(2).partial_fit(GOOD, groups=[1, 2, 3]), "groups must be given with quotas"),
    "few groups": (lambda: StreamSelector(2, quotas=1).partial_fit(GOOD, groups=[1]), "groups must be 3 labels"),
    "odd group": (lambda: StreamSelector(2, quotas=1).partial_fit(GOOD, groups=[1, (2,), 3]), "groups must be texts"),
    "ids": (lambda: StreamSelector(2).partial_fit(GOOD, ids=[1.5, 2, 3]), "ids must be 3 numbers"),
    "utility": (lambda: StreamSelector(2).partial_fit(GOOD, utility=[1, np.nan, 3]), "utility must be finite"),
    "represented": (
        lambda: StreamSelector(2, FacilityLocation(np.eye(4))).partial_fit(GOOD),
        "X must have 4 columns, as represented has",
    ),
    "zero row": (lambda: StreamSelector(2).partial_fit(np.zeros((1, 3))), "row 0 of X must not be zero"),
    "no state": (lambda: StreamSelector.from_bytes(b"PK"), "the state must be the saved state of a stream"),
    "no file": (lambda: StreamSelector.load("/nonexistent/state.npz"), "must be the saved state of a stream"),
    "unwritable": (lambda: StreamSelector(2).save("/nonexistent/state.npz"), "could not be written"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line(case):
    call, words = BAD[case]
    with pytest.raises(InputError) as error:
        call()
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_a_bad_batch_changes_nothing():
    stream = StreamSelector(2, quotas=1)
    stream.partial_fit(GOOD, groups=["a", "b", "a"])
    before = stream.to_bytes()
    for X, more in ((np.ones((1, 4)), {"groups": ["z"]}), (GOOD, {"groups": ["z", "y", ("x",)]})):
        with pytest.raises(InputError):
            stream.partial_fit(X, **more)
        assert stream.to_bytes() == before


def test_a_state_of_another_version_is_refused(tmp_path):
    stream = StreamSelector(2)
    stream.partial_fit(GOOD)
    stream.save(tmp_path / "state.npz")
    with np.load(tmp_path / "state.npz", allow_pickle=False) as file:
        arrays = dict(file)
    about = {**json.loads(arrays["settings"].tobytes()), "schema": 99}
    arrays["settings"] = np.frombuffer(json.dumps(about).encode(), dtype=np.uint8)
    np.savez(tmp_path / "other.npz", **arrays)
    with pytest.raises(InputError, match="schema 1; got 99"):
        StreamSelector.load(tmp_path / "other.npz")
    assert StreamSelector.load(tmp_path / "state.npz").ids.tolist() == stream.ids.tolist()
    assert [path.name for path in tmp_path.iterdir() if "tmp" in path.name] == []
