"""The table of objectives, and what the rest of the package asks of a row."""

import dataclasses

import numpy as np
import pytest

from ray_subsel.config import SelectConfig
from ray_subsel.core.errors import InputError
from ray_subsel.objectives import OBJECTIVES, GraphCut, LogDeterminant, ProblemSize, find_objective
from ray_subsel.objectives.graph_cut import resolve_lam
from ray_subsel.objectives.registry import representing, takers

SIZE = ProblemSize(items=100_000, picks=1_000, d=64, reference=10_000, represented=10_000)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_row_answers_all_that_is_asked(name):
    found = find_objective(name)
    assert found is OBJECTIVES[name]
    assert found.name == name
    assert found.label
    objective = SelectConfig(k=10, objective=name).objective_of(1_000, 10)
    assert isinstance(objective, found)
    twice = dataclasses.replace(SIZE, items=2 * SIZE.items)
    assert objective.memory_bytes(twice) >= objective.memory_bytes(SIZE) >= 0
    assert objective.seconds(twice) > objective.seconds(SIZE) > 0
    assert objective.multiplications(twice) > objective.multiplications(SIZE) > 0
    found.check_input(embedded=False)


def test_sentences_name_the_rows_that_have_an_option():
    assert takers("lam") == "graph_cut"
    assert representing() == "facility_location or saturated_coverage"


def test_amounts_of_features_are_no_embedder_s_vectors():
    with pytest.raises(InputError, match="objective must be another one for an embedder's vectors"):
        find_objective("feature_based").check_input(embedded=True)


def test_weights_count_rows_where_that_has_a_meaning():
    X = np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    weights = np.array([3, 1, 2])
    expanded = np.repeat(X, weights, axis=0)
    for name in ("graph_cut", "facility_location", "saturated_coverage"):
        weighted = OBJECTIVES[name]().weighted(X, weights)
        plain = OBJECTIVES[name]()
        first = plain.gains(plain.init(expanded))[[0, 3, 4]]
        if name == "saturated_coverage":  # whose saturation would have to count the chosen rows' copies, too
            assert weighted.weights is weights
            continue
        assert np.allclose(weighted.gains(weighted.init(X)), first)
    assert OBJECTIVES["log_determinant"]().weighted(X, weights) is None
    assert OBJECTIVES["facility_location"](represented=X).weighted(X, weights) is None


def test_lambda_of_a_configuration():
    assert (resolve_lam("auto", n=120, k=10), resolve_lam("auto", n=10, k=10), resolve_lam(3, n=10, k=10)) == (10, 0, 3)
    assert SelectConfig(k=10, lam="auto", recipe="none").objective_of(120, 10).lam == 10.0
    with pytest.raises(InputError, match="lam must be a finite number >= 0, or 'auto'; got 'most'"):
        resolve_lam("most", n=10, k=10)


def test_rounds_of_the_exact_greedy_grow_with_the_penalty():
    rounds = [GraphCut(lam).rounds(ProblemSize(10_000, 1_000, 16)) for lam in (0.0, 10.0, 1_000.0)]
    assert rounds == sorted(rounds)
    assert len(set(rounds)) == 3


@pytest.mark.parametrize(
    ("n", "d", "k", "rounds", "seconds"),
    [  # structured and centred vectors of jobs/benchmark_rows.py; CPU seconds of one process with all shards
        (20_000, 64, 500, (15, 29), (0.24, 0.40)),
        (20_000, 64, 2_000, (31, 88), (0.66, 1.29)),
        (20_000, 384, 1_000, (20, 29), (1.70, 2.09)),
        (50_000, 128, 1_000, (24,), (1.17,)),
        (100_000, 64, 2_000, (132,), (5.54,)),
        (100_000, 384, 500, (23,), (3.82,)),
        (100_000, 384, 2_000, (40, 58), (9.91, 11.81)),
    ],
)
def test_rounds_and_seconds_of_the_log_determinant_over_partitions_are_told_within_a_factor_of_two(
    n, d, k, rounds, seconds
):
    size, objective = ProblemSize(n, k, d), LogDeterminant()
    for taken, told in ((rounds, objective.rounds(size)), (seconds, objective.exact_seconds(size, 1))):
        assert all(told / 2 < one < 2 * told for one in taken), (taken, told)
    assert objective.exact_seconds(size, 1) / 4 < objective.exact_seconds(size, 4) < objective.exact_seconds(size, 1)


def test_a_million_vectors_by_log_determinant_took_162_rounds():
    assert 81 < LogDeterminant().rounds(ProblemSize(1_000_000, 10_000, 384)) < 324  # docs/results/scale


def test_mode_exact_divides_what_the_greedy_takes():
    assert GraphCut().exact_seconds(SIZE, 4) == GraphCut().seconds(SIZE) / 4
