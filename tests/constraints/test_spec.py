"""Quotas, floors and budgets as users state them: one resolver for select() and for runs."""

import numpy as np
import pytest

from ray_subsel import select
from ray_subsel.constraints.spec import ConstraintSpec, GroupFacts, parse_floors, parse_quotas
from ray_subsel.core.errors import InputError


def test_texts_by_hand():
    assert parse_quotas([]) is None
    assert parse_quotas(["equal"]) == "equal"
    assert parse_quotas(["a=3", "b=c=0"]) == {"a": 3, "b=c": 0}
    assert parse_floors(["4"]) == 4
    assert parse_floors(["a=1"]) == {"a": 1}


@pytest.mark.parametrize(
    ("parse", "texts", "message"),
    [
        (
            parse_quotas,
            ["half"],
            "quota must be balanced, proportional, equal, none, or LABEL=N or LABEL=N%, repeated; got 'half'",
        ),
        (parse_quotas, ["equal", "a=1"], "quota must be .* got 'equal'"),
        (parse_quotas, ["a=-1"], "quota must be"),
        (parse_floors, ["a=1", "a=2"], "floor must name a label once"),
        (parse_floors, ["2", "a=1"], "floor must be a whole number"),
    ],
)
def test_texts_that_cannot_be_read(parse, texts, message):
    with pytest.raises(InputError, match=message):
        parse(texts)


NAMES, SIZES = ("a", "b", "c"), np.array([6, 3, 1])


def resolved(k, included=None, budget=None, **said):
    facts = GroupFacts(NAMES, SIZES, np.zeros(3, dtype=np.int64) if included is None else included)
    return ConstraintSpec(**said, budget=budget).resolve(k, facts)


def test_numbers_by_hand():
    assert resolved(5, quotas="proportional").quotas.tolist() == [3, 2, 0]
    assert resolved(5, quotas="equal").quotas.tolist() == [2, 2, 1]
    assert resolved(5, floors={"c": 1}).floors.tolist() == [0, 0, 1]
    both = resolved(5, quotas="proportional", floors={"c": 1})
    assert both.quotas.tolist() == [3, 1, 1], "the floor first, then 4 of 9 items"
    assert both.floors.tolist() == [0, 0, 1]
    assert resolved(6, quotas="equal", floors=np.array([4, 0, 0])).quotas.tolist() == [4, 1, 1]
    assert resolved(5, quotas={"a": 10**30}).quotas.tolist()[1:] == [3, 1]
    assert resolved(5, floors=1).floors.tolist() == [1, 1, 1]
    assert resolved(5, quotas={"a": 2}).quotas.tolist() == [2, 3, 1], "a label without a quota may give all it has"
    assert not ConstraintSpec(budget=3.0).resolve(5).grouped


@pytest.mark.parametrize(
    ("k", "said", "message"),
    [
        (5, {"quotas": {"a": 1, "b": 1, "c": 1}}, "quotas must allow k = 5 items; got 3 at most"),
        (5, {"quotas": np.array([1, 1, 1])}, "quotas must allow k = 5 items; got 3 at most"),
        (5, {"quotas": "equal", "floors": {"c": 2}}, "floor of 'c' must be at most the 1 items it may have; got 2"),
        (5, {"quotas": "equal", "floors": np.array([0, 4, 0])}, "floor of 'b' must be at most the 3 items"),
        (5, {"quotas": {"b": 1}, "floors": {"b": 2}}, "floor of 'b' must be at most the 1 items it may have; got 2"),
        (5, {"floors": {"c": 2}}, "floor of 'c' must be at most the 1 items it may have; got 2"),
        (2, {"floors": 1}, "floors must sum to at most k = 2; got 3"),
        (5, {"floors": {"d": 1}}, r"floors must name labels that occur \('a', 'b', 'c'\); got 'd'"),
        (5, {"quotas": {"a": -1}}, "quota of 'a' must be a whole number >= 0; got -1"),
        (5, {"floors": 1.5}, "floors must be a whole number >= 0; got 1.5"),
        (5, {"quotas": "fair"}, "quotas must be 'balanced', 'proportional', 'equal' or a mapping"),
        (5, {"quotas": {"a": 1}, "included": np.array([2, 0, 0])}, "include must fit the quotas; got 2 of 'a', whose"),
        (3, {"floors": 1, "included": np.array([2, 0, 0])}, "include must leave enough of k for the floors"),
    ],
)
def test_what_nothing_can_satisfy_is_named(k, said, message):
    with pytest.raises(InputError, match=message):
        resolved(k, **said)


X = np.random.default_rng(0).standard_normal((12, 4))
LABELS = np.array(list("aaaaaabbbbcc"))


def test_a_budget_may_end_the_choice_before_the_quotas_reach_k():
    # A run accepts this; select() asked for quotas that reach the whole ground set.
    assert resolved(10, quotas={"a": 1, "b": 1, "c": 1}, budget=2.0).quotas.tolist() == [1, 1, 1]
    chosen = select(X, groups=LABELS, quotas={"a": 1, "b": 1, "c": 1}, costs=np.ones(12), budget=9.0,
                    objective="facility_location").indices  # fmt: skip
    assert sorted(LABELS[chosen]) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"quotas": {"a": 0}, "include": [1]}, "include must fit the quotas; got 1 of 'a', whose quota is 0"),
        ({"floors": {"c": 3}}, "floor of 'c' must be at most the 2 items it may have; got 3"),
        ({"floors": 2}, "floors must sum to at most k = 5; got 6"),
    ],
)
def test_select_names_labels_as_a_run_does(arguments, message):
    with pytest.raises(InputError, match=message):
        select(X, 5, groups=LABELS, objective="facility_location", **arguments)


FORMS = {
    "mapping": {"groups": LABELS, "quotas": {"a": 1, "b": 1, "c": 1}},
    "array": {"groups": np.repeat([0, 1, 2], [6, 4, 2]), "quotas": np.array([1, 1, 1])},
}


@pytest.mark.parametrize("form", FORMS)
def test_quotas_that_leave_too_little_room_are_refused_in_every_form(form):
    with pytest.raises(InputError, match="quotas must allow k = 12 items; got 3 at most. Raise quotas or lower k."):
        select(X, 12, objective="facility_location", **FORMS[form])


@pytest.mark.parametrize("form", FORMS)
def test_room_is_counted_after_exclusions_and_near_copies(form):
    said = FORMS[form] | {"objective": "facility_location"}
    assert len(select(X, 3, **said, recipe="none")) == 3
    with pytest.raises(InputError, match="quotas must allow k = 3 items; got 2 at most"):
        select(X, 3, exclude=[10, 11], **said, recipe="none")
    doubled = X.copy()
    doubled[10:] = X[0]  # group c consists of near copies of an item of group a
    with pytest.raises(InputError, match="quotas must allow k = 3 items; got 2 at most"):
        select(doubled, 3, near=0.99, **said, recipe="none")


def test_labels_keep_their_values():
    labels = np.array([None, np.nan, 1, "1", True, None, float("nan"), 1, "1", True, 2, 2], dtype=object)
    chosen = select(X, 6, groups=labels, quotas="equal", objective="facility_location").indices
    assert len({0 if i in (0, 5) else 1 if i in (1, 6) else repr(labels[i]) for i in chosen.tolist()}) == 6
    limits = {None: 0, float("nan"): 0, 1: 1, "1": 0, 2: 0}
    chosen = select(X, 3, groups=list(labels), quotas=limits, objective="facility_location").indices.tolist()
    assert sorted(repr(labels[i]) for i in chosen) == ["1", "True", "True"]
