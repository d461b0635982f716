"""What a recipe decides of what flags leave open."""

import pytest

from ray_subsel.config.recipe import Asked, Facts, decide, objective_of, values_of

LABELLED = Facts("minilm", 0.95, "column intent")
ALL = {"objective": "facility_location", "near": 0.95, "quota": "balanced"}

CASES = {
    "a labelled corpus": (Asked(), LABELLED, ALL),
    "no labels": (Asked(), Facts("minilm", 0.95), {"objective": "facility_location", "near": 0.95}),
    "unknown vectors": (Asked(), Facts("ready vectors"), {"objective": "facility_location", "near": "none"}),
    "an objective": (Asked(objective="graph_cut"), LABELLED, {"near": 0.95, "quota": "balanced"}),
    "a penalty": (Asked(graph_cut="lam"), LABELLED, ALL | {"objective": "graph_cut"}),
    "a threshold": (Asked(near=0.8), LABELLED, {"objective": "facility_location", "quota": "balanced"}),
    "near copies kept": (Asked(near="none"), LABELLED, {"objective": "facility_location", "quota": "balanced"}),
    "limits": (Asked(limits=True), LABELLED, {"objective": "facility_location", "near": 0.95}),
    "groups": (Asked(), Facts("minilm", 0.95, "column intent", grouped=True), ALL | {"quota": "none"}),
    "exact": (
        Asked(exact=True, graph_cut="mode exact"),
        LABELLED,
        ALL | {"objective": "graph_cut", "quota": "none"},
    ),
    "target": (Asked(target=True), LABELLED, ALL | {"quota": "none"}),
    "everything": (Asked("log_determinant", 0.5, "keep", limits=True), LABELLED, {}),
}


@pytest.mark.parametrize("name", CASES)
def test_auto_decides_what_was_not_said(name):
    asked, facts, expected = CASES[name]
    found = decide("auto", asked, facts)
    assert values_of(found) == expected
    assert all(decision.reason and "\n" not in decision.line() for decision in found)


def test_paper_is_the_setting_of_the_report_and_flags_overrule_it():
    paper = {"objective": "graph_cut", "near": "none", "copies": "keep", "quota": "none"}
    assert values_of(decide("paper", Asked(), LABELLED)) == paper
    overruled = decide("paper", Asked(copies="collapse", near=0.9, limits=True), LABELLED)
    assert values_of(overruled) == {"objective": "graph_cut"}


def test_none_decides_nothing():
    assert decide("none", Asked(), LABELLED) == ()
    assert objective_of("none", Asked()) == "graph_cut"
    assert objective_of("none", Asked(objective="feature_based")) == "feature_based"
