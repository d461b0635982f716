"""The summary of a comparison: multipliers by hand, level said as level, and a sentence for each case."""

import math

import numpy as np
import pytest

from ray_subsel.experiments.comparison import (
    choose,
    comparison_text,
    level_with_the_best,
    multiplier,
    summarize_comparison,
)
from ray_subsel.experiments.grid import Cell, Result
from ray_subsel.experiments.samples import Redundancy

CURVE = [(100, np.array([0.5, 0.5])), (400, np.array([0.7, 0.7])), (1000, np.array([0.9, 0.9]))]


@pytest.mark.parametrize(
    ("accuracy", "times", "bound"),
    [
        (0.5, 1.0, ""),
        (0.6, 2.0, ""),  # half way between 100 and 400 in logarithms: 200
        (0.7, 4.0, ""),
        (0.9, 10.0, ""),
        (0.95, 10.0, "at least"),
        (0.4, 1.0, "at most"),
    ],
)
def test_how_many_random_rows_reach_the_same(accuracy, times, bound):
    found = multiplier(100, np.array([accuracy] * 2), CURVE)
    assert math.isclose(found["times"], times)
    assert found["bound"] == bound
    assert math.isclose(found["low"], times)
    assert math.isclose(found["high"], times)


def test_a_curve_that_falls_is_made_monotone():
    curve = [(100, np.array([0.6])), (200, np.array([0.5])), (400, np.array([0.8]))]
    found = multiplier(50, np.array([0.7]), curve)
    assert math.isclose(found["times"], math.sqrt(200 * 400) / 50)
    assert found["low"] is None  # one draw


def test_the_interval_of_a_multiplier_holds_the_draws():
    curve = [(100, np.array([0.5, 0.54, 0.46])), (1000, np.array([0.9, 0.9, 0.9]))]
    found = multiplier(100, np.array([0.6, 0.7, 0.8]), curve)
    assert found["low"] < found["times"] < found["high"]


def answers(rng, probabilities, draws=8, rows=150):
    """Answers of methods on shared draws and test rows, some rows and some draws being easier than others."""
    rows_ease, draws_ease = rng.normal(0, 0.15, rows), rng.normal(0, 0.02, draws)
    return {
        name: rng.random((draws, rows)) < np.clip(p + rows_ease + draws_ease[:, None], 0, 1)
        for name, p in probabilities.items()
    }


def test_methods_of_equal_worth_are_called_level():
    rng = np.random.default_rng(0)
    methods = ("random", "auto", "k-center", "semdedup-random", "graph-cut-keep", "random-balanced")
    wrong = sum("random" not in level_with_the_best(answers(rng, dict.fromkeys(methods, 0.7))) for _ in range(200))
    assert wrong <= 200 * 0.05


def test_a_better_method_is_found_and_the_others_are_not_level():
    rng = np.random.default_rng(1)
    found = level_with_the_best(answers(rng, {"random": 0.6, "auto": 0.75, "k-center": 0.62}))
    assert found == ["auto"]


def test_one_draw_decides_nothing():
    right = {"random": np.zeros((1, 50), bool), "auto": np.ones((1, 50), bool)}
    assert level_with_the_best(right) == ["random", "auto"]


@pytest.mark.parametrize(
    ("leaders", "used"),
    [
        (["auto", "random", "k-center"], "random"),
        (["k-center", "auto"], "auto"),
        (["k-center", "semdedup-random"], "k-center"),
    ],
)
def test_of_level_methods_the_cheapest_is_used(leaders, used):
    assert choose(leaders) == used


ABOUT = {"near": 0.9, "test_rows": 200, "rows": 2000}


def results(accuracies, draws=6):
    rng, found = np.random.default_rng(2), []
    for (name, size), p in accuracies.items():
        for seed in range(draws):
            right = rng.random(200) < p
            cell = Cell("probe", name, size, seed, Redundancy("none", 0.0), 1000)
            k, bits = round(1000 * size), np.packbits(right).tobytes().hex()
            found.append(
                Result(cell, float(right.mean()), 1000, 1000, k, k, 0, int(right.sum()), 200, 1.0, 2.0, None, bits)
            )
    return found


def test_the_sentence_where_choosing_helps():
    made = results(
        {("random", 0.1): 0.5, ("random", 0.5): 0.7, ("auto", 0.1): 0.7, ("k-center", 0.1): 0.5, ("full", 1.0): 0.9}
    )
    summary = summarize_comparison(made, ABOUT)
    assert summary["use"] == "auto"
    assert summary["verdict"].startswith("Use auto: a tenth of the rows (100 of 1,000) reaches ")
    assert "random rows need" in summary["verdict"]
    assert "Level with it" not in summary["verdict"]
    [at] = summary["sizes"]
    auto = next(method for method in at["methods"] if method["name"] == "auto")
    assert auto["against_random"]["decided"]
    assert 3 < auto["multiplier"]["times"] < 7
    assert math.isclose(auto["of_everything"], auto["accuracy"]["mean"] / summary["everything"]["accuracy"]["mean"])
    assert [one["size"] for one in summary["random_beyond"]] == [0.5]
    text = comparison_text(summary)
    assert summary["verdict"] in text
    assert "everything (1,000 rows): 0.9" in text


def test_the_sentence_where_it_does_not():
    made = results({("random", 0.1): 0.5, ("auto", 0.1): 0.5, ("full", 1.0): 0.9})
    summary = summarize_comparison(made, ABOUT)
    assert summary["use"] == "random"
    assert summary["verdict"].startswith("Draw at random: no other way is better by more than chance here")


def test_draws_that_are_not_there_for_all_are_left_out():
    made = results({("random", 0.1): 0.5, ("auto", 0.1): 0.6, ("full", 1.0): 0.9})
    made = [one for one in made if (one.cell.method, one.cell.seed) != ("full", 5)]
    assert summarize_comparison(made, ABOUT)["draws"] == 5
