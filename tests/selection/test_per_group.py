"""``select(X, k, per=groups)``: each group is what ``select`` gives of its rows alone, and what it lacks is told."""

import numpy as np
import pytest

from ray_subsel import select
from ray_subsel.core.errors import InputError

RNG = np.random.default_rng(0)
N, G = 160, 7
X = RNG.normal(size=(N, 6))
X[100:] = X[:60] + 0.02 * RNG.normal(size=(60, 6))
PER = np.array(["a", "b", "c", "d", "e", "f", "g"])[np.r_[np.arange(G), RNG.choice(G, N - G, p=np.arange(1, 8) / 28)]]
LABELS = np.array(["x", "y", "z"])[RNG.integers(3, size=N)]
COSTS = RNG.integers(1, 9, size=N)
UTILITY = RNG.normal(size=N)


def rows_of(chosen, name):
    mine = np.array([group == name for group in chosen.groups])
    assert chosen.ranks[mine].tolist() == list(range(mine.sum()))
    return chosen.indices[mine], chosen.gains[mine]


@pytest.mark.parametrize(
    ("options", "by_row"),
    [
        ({"k": 3}, {}),
        ({"fraction": 0.3}, {}),
        ({"k": 4, "lam": "auto"}, {}),
        ({"k": 4, "objective": "log_determinant", "optimizer": "lazy"}, {"utility": UTILITY}),
        ({"k": 3, "optimizer": "random", "recipe": "none", "seed": 5}, {}),
        ({"k": 3}, {"labels": LABELS}),
        ({"k": 4, "quotas": {"x": 1}}, {"groups": LABELS}),
        ({"k": 3, "near": 0.9}, {}),
        ({"k": 2, "near": 0.9}, {"near_within": LABELS}),
        ({"budget": 9}, {"costs": COSTS}),
        ({"k": 2}, {"quality": UTILITY}),
    ],
)
def test_a_group_is_chosen_from_as_if_it_were_alone(options, by_row):
    chosen = select(X, per=PER, **options, **by_row)
    assert list(dict.fromkeys(chosen.groups)) == sorted(set(PER))
    for name in set(PER):
        places = np.flatnonzero(PER == name)
        alone = {what: values[places] for what, values in by_row.items()}
        if "k" in options and options["k"] > _left(places, options):
            continue
        expected = select(X[places], **options, **alone)
        rows, gains = rows_of(chosen, name)
        assert rows.tolist() == places[expected.indices].tolist()
        assert gains.tolist() == expected.gains.tolist()
    assert chosen.value == pytest.approx(chosen.gains.sum())


def _left(places, options):
    """Rows that are left when near copies are collapsed; a bound from below is enough."""
    return len(places) // (2 if "near" in options else 1)


def test_rows_named_to_be_in_or_out_are_so_within_their_group():
    first = {name: np.flatnonzero(name == PER) for name in set(PER)}
    include = [int(first["g"][5]), int(first["b"][0]), int(first["g"][2])]
    exclude = [int(first["g"][0])]
    chosen = select(X, 3, per=PER, include=include, exclude=exclude)
    assert rows_of(chosen, "g")[0][:2].tolist() == [include[0], include[2]]
    assert rows_of(chosen, "b")[0][0] == include[1]
    assert exclude[0] not in chosen.indices


def test_what_groups_lack_is_told():
    per = np.repeat(["big", "one", "out"], [20, 1, 2])
    chosen = select(X[:23], 3, per=per, exclude=[21, 22])
    assert [len(rows_of(chosen, name)[0]) for name in ("big", "one", "out")] == [3, 1, 0]
    assert {name: chosen.stats[name] for name in ("groups", "short", "empty")} == {"groups": 3, "short": 2, "empty": 1}


def test_floors_are_lowered_to_what_a_group_has():
    per, labels = np.repeat([0, 1], [10, 10]), np.array(["x"] * 10 + ["x"] * 9 + ["y"])
    chosen = select(X[:20], 4, per=per, groups=labels, floors={"y": 2})
    assert chosen.stats["lowered"] == 2  # one has none, the other one
    assert 19 in rows_of(chosen, 1)[0]


def test_near_copies_leave_within_a_group_only():
    Y = np.repeat(np.eye(3), 4, axis=0) + 0.001 * RNG.normal(size=(12, 3))
    per = np.tile([0, 1], 6)
    chosen = select(Y, 6, per=per, near=0.99)
    assert len(rows_of(chosen, 0)[0]) == len(rows_of(chosen, 1)[0]) == 3
    assert chosen.stats["collapsed"] == 6
    assert chosen.weights.sum() == 12


def test_a_budget_that_pays_for_nothing_in_a_group_takes_nothing_there():
    chosen = select(X[:6], budget=5, costs=[1, 2, 2, 9, 9, 9], per=[0, 0, 0, 1, 1, 1])
    assert set(chosen.groups) == {0}
    assert chosen.stats["empty"] == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"per": PER[:5]}, "per must be 160 labels"),
        ({"per": PER, "certificate": True}, "certificate must be left out with per"),
        ({"per": PER, "against": X[:2]}, "against must be left out with per"),
        ({"per": PER, "groups": LABELS, "quotas": {"w": 1}}, "quotas must name labels that occur; got 'w'"),
        ({"per": PER, "groups": RNG.integers(2, size=N), "quotas": np.array([1, 1])}, "quotas must be given by label"),
        ({"per": PER, "objective": "best"}, "objective must be one of"),
        ({"per": PER, "utility": [1.0]}, "utility must be 160 values"),
        ({"per": PER, "include": np.flatnonzero(PER == "g")[:4]}, "group 'g': include must name at most k = 3 rows"),
        ({"per": PER, "exclude": range(N)}, "per must leave something to choose"),
    ],
)
def test_bad_input(options, message):
    with pytest.raises(InputError, match=message):
        select(X, 3, **options)
