"""The table of objectives, and what the rest of the package asks of a row."""

import dataclasses

import numpy as np
import pytest

from ray_subsel.config import SelectConfig
from ray_subsel.core.errors import InputError
from ray_subsel.objectives import OBJECTIVES, GraphCut, ProblemSize, find_objective
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
    rounds = [GraphCut(lam).rounds(10_000, 1_000) for lam in (0.0, 10.0, 1_000.0)]
    assert rounds == sorted(rounds)
    assert len(set(rounds)) == 3
