"""Replay rankings and gains that apricot-select 0.6.1 and submodlib-py 0.0.3 give on inputs of our own.

``facts.json`` holds the inputs and, for each run of a peer, its name, function, options, ranking and gains (10 digits);
no peer is needed to replay them (``make_facts.py`` wrote it). Cosines were handed to the peers as a matrix.
Conventions differ:

- apricot sees max(0, cosine) or (1 + cosine) / 2, as its functions refuse negative similarities; facility location here
  cuts off at 0 itself, and the other is the kernel ``shifted_cosine``;
- graph cut: apricot's alpha = 1 / (1 + lam / 2) and submodlib's lambdaVal = 1 + lam / 2 rank as lam does. Both count
  the pair (i, i) in the penalty: our gain is submodlib's plus lam / 2, and apricot's times 1 + lam / 2 plus lam / 2;
- log-determinant: submodlib's is log det(K_S + r I), whose gains are ours plus log r;
- ties: here the lowest index wins, in a peer whatever its rounding says. Two items that only stand for each other tie
  in facility location, and so does every first pick of the log-determinant.
"""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from ray_subsel import select
from ray_subsel.objectives import FacilityLocation, FeatureBased, GraphCut, LogDeterminant, SaturatedCoverage
from ray_subsel.objectives.base import Objective

CLOSE = {"apricot 0.6.1": 1e-7, "submodlib-py 0.0.3": 2e-6}
"""How far gains may be apart, and so what is a tie: the former stores 10 digits here, the latter sums in float32."""

STORED = json.loads((Path(__file__).parent / "facts.json").read_text(encoding="utf-8"))
INPUTS = {name: np.array(rows) for name, rows in STORED["inputs"].items()}


def objective_of(fact):
    options = fact["options"]
    if fact["function"] == "facility_location":
        return FacilityLocation(kernel=fact["similarity"])
    if fact["function"] == "saturated_coverage":
        return SaturatedCoverage(alpha=options["alpha"], kernel=fact["similarity"])
    if fact["function"] == "graph_cut":
        return GraphCut(options["lam"])
    if fact["function"] == "log_determinant":
        return LogDeterminant(ridge=options["ridge"])
    return FeatureBased(concave=options["concave"])


def as_ours(fact):
    """Return a peer's gains in this package's conventions."""
    gains = np.array(fact["gains"])
    if fact["function"] == "graph_cut":
        lam = fact["options"]["lam"]
        if fact["peer"].startswith("apricot"):
            gains = gains * (1.0 + lam / 2.0)
        return gains + lam / 2.0
    if fact["function"] == "log_determinant":
        return gains - math.log(fact["options"]["ridge"])
    return gains


def name_of(fact):
    options = "-".join(f"{name}={value}" for name, value in fact["options"].items())
    return "-".join(filter(None, (fact["peer"], fact["function"], fact["input"], fact["similarity"], options)))


@pytest.mark.parametrize("fact", STORED["facts"], ids=name_of)
def test_a_peer_s_ranking_and_gains(fact):
    X, f, gains = INPUTS[fact["input"]], objective_of(fact), as_ours(fact)
    close = CLOSE[fact["peer"]]
    state, open_, certain = f.init(X), np.ones(len(X), dtype=bool), True
    for rank, (item, gain) in enumerate(zip(fact["ids"], gains, strict=True)):
        mine = np.where(open_, f.gains(state), -np.inf)
        assert abs(mine[item] - gain) <= close, rank
        assert mine[item] >= mine.max() - close, "a peer's pick has the largest gain, but for its rounding"
        certain = certain and np.count_nonzero(mine >= mine.max() - close) == 1
        if certain:  # no tie so far: the picks are the same, one by one
            for optimizer in ("greedy", "naive"):
                found = select(X, rank + 1, objective=f, optimizer=optimizer)
                assert found.indices.tolist() == fact["ids"][: rank + 1]
        state, open_[item] = f.add(state, item), False


def test_the_facts_are_of_both_peers_and_all_objectives():
    covered = {(fact["peer"].split()[0], fact["function"]) for fact in STORED["facts"]}
    assert {function for _, function in covered} == {kind.name for kind in _kinds()}
    assert len(covered) >= 6


def _kinds() -> list[type[Objective]]:
    return [GraphCut, FacilityLocation, SaturatedCoverage, FeatureBased, LogDeterminant]
