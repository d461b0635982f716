"""Rises, gains and bounds of every function of a stream against the formula of its objective."""

import numpy as np
import pytest

from ray_subsel.objectives import FacilityLocation, GraphCut, LogDeterminant
from ray_subsel.streaming.facility_location import greedy_order
from ray_subsel.streaming.functions import LONGEST_STEP, next_step
from ray_subsel.streaming.grid_rows import grid_rows
from ray_subsel.streaming.registry import stream_function

OBJECTIVES = {
    "graph cut": GraphCut(3.0),
    "facility location": FacilityLocation(),
    "represented": FacilityLocation(represented=np.random.default_rng(9).normal(size=(7, 5))),
    "log-determinant": LogDeterminant(ridge=0.5),
}


def of_formula(objective, X, subset):
    """f on the scale of the stream's function."""
    value = objective.evaluate(X, np.array(subset, dtype=np.int64)) if len(subset) else 0.0
    if not isinstance(objective, FacilityLocation):
        return value
    return value / (len(X) if objective.represented is None else len(objective.represented))


@pytest.mark.parametrize("name", OBJECTIVES)
def test_rises_gains_and_values_are_those_of_the_formula(name):
    objective = OBJECTIVES[name]
    rng = np.random.default_rng(0)
    X = grid_rows(rng.normal(size=(30, 5)) + 0.5)
    function = stream_function(objective, 5, 100, 0)
    function.see(X, np.arange(len(X)))
    function.step(X[:0])
    look = function.look(X)
    kept, chosen = X[:0], []
    for item in (4, 9, 2, 17):
        gain = function.gains(look, slice(item, item + 1), kept, -np.inf)[0]
        assert gain == pytest.approx(
            of_formula(objective, X, [*chosen, item]) - of_formula(objective, X, chosen), abs=1e-6
        )
        chosen.append(item)
        kept = X[chosen]
        function.added(look, item, kept)
        assert function.value(len(chosen)) == pytest.approx(of_formula(objective, X, chosen), abs=1e-6)
    for item, place in ((11, 2), (12, 0), (25, 0), (7, 3)):
        exact = []
        for new in range(len(X)):
            rises = function.rises(look, new, kept)
            here = of_formula(objective, X, chosen)
            outside = [chosen[:j] + chosen[j + 1 :] + [new] for j in range(4)]
            if new not in chosen:
                assert rises == pytest.approx([of_formula(objective, X, other) - here for other in outside], abs=1e-6)
            exact.append(rises.max())
        for threshold in (-1.0, 0.0, 0.3):
            bounds = function.bounds(look, slice(0, len(X)), kept, threshold)
            assert (np.maximum(bounds, threshold) >= exact).all()
        out, chosen[place] = kept[place], item
        kept = X[chosen]
        function.replaced(look, item, place, out, kept)
        assert function.value(4) == pytest.approx(of_formula(objective, X, chosen), abs=1e-6)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_monotone_functions_have_no_negative_gain(name):
    function = stream_function(OBJECTIVES[name], 5, 100, 0)
    X = grid_rows(np.random.default_rng(1).normal(size=(40, 5)))
    function.see(X, np.arange(len(X)))
    function.step(X[:0])
    look = function.look(X)
    for item in range(10):
        function.added(look, item, X[: item + 1])
    gains = function.gains(look, slice(10, 40), X[:10], -np.inf)
    assert (gains >= -1e-12).all() == function.monotone


def test_many_exchanges_leave_no_error_behind():
    rng = np.random.default_rng(2)
    X = grid_rows(rng.normal(size=(400, 6)))
    function = stream_function(LogDeterminant(ridge=1e-3), 6, 1, 0)
    look = function.look(X)
    chosen = [0, 1, 2, 3, 4]
    for at in range(5):
        function.added(look, at, X[: at + 1])
    for turn in range(1500):
        place, item = turn % 5, 5 + int(rng.integers(395))
        out, chosen[place] = X[chosen[place]], item
        function.replaced(look, item, place, out, X[chosen])
    assert function.value(5) == pytest.approx(LogDeterminant(ridge=1e-3).evaluate(X, np.array(chosen)), rel=1e-7)


def test_steps_come_often_at_first_and_never_further_apart_than_the_longest():
    seen, steps = 0, []
    while seen < 5000:
        steps.append(next_step(seen) - seen)
        seen += steps[-1]
    assert steps[:10] == [1] * 10
    assert max(steps) == LONGEST_STEP
    assert steps == sorted(steps)


def test_the_sample_is_uniform_and_depends_on_the_order_alone():
    X = grid_rows(np.random.default_rng(3).normal(size=(2000, 3)))
    held = []
    for size in (1, 77, 2000):
        function = stream_function(FacilityLocation(), 3, 100, 5)
        for start in range(0, 2000, size):
            function.see(X[start : start + size], np.arange(start, min(start + size, 2000)))
            function.step(X[:0])
        held.append({row.tobytes() for row in function.R})
    assert held[0] == held[1] == held[2]
    assert len(held[0]) == 100
    numbers = [number for number, row in enumerate(X) if row.tobytes() in held[0]]
    assert 800 < np.mean(numbers) < 1200


@pytest.mark.parametrize("name", OBJECTIVES)
def test_all_at_once_is_one_after_the_other(name):
    X = grid_rows(np.random.default_rng(1).normal(size=(25, 5)))
    one, other = (stream_function(OBJECTIVES[name], 5, 100, 0) for _ in range(2))
    for function in (one, other):
        function.see(X, np.arange(len(X)))
        function.step(X[:0])
    kept, look = X[3:9], one.look(X)
    one.begin(kept)
    for at in range(6):
        other.added(look, 3 + at, kept[: at + 1])
    assert one.value(6) == other.value(6)
    for new in range(25):
        assert one.rises(look, new, kept).tolist() == other.rises(look, new, kept).tolist()


def test_the_order_of_kept_items_is_greedy_s():
    rng = np.random.default_rng(2)
    X, R = grid_rows(rng.normal(size=(9, 4))), grid_rows(rng.normal(size=(30, 4)))
    X[7] = X[2]  # a tie: the lower place comes first
    f = FacilityLocation(represented=R)
    order, gains = greedy_order(X, R)
    chosen: list[int] = []
    for place, gain in zip(order.tolist(), gains.tolist(), strict=True):
        values = [f.evaluate(X, np.array([*chosen, one])) if one not in chosen else -1.0 for one in range(9)]
        assert place == int(np.argmax(np.round(values, 6)))
        before = f.evaluate(X, np.array(chosen)) if chosen else 0.0
        assert gain == pytest.approx(values[place] - before, abs=1e-6)
        chosen.append(place)
