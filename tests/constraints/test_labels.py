"""Labels of groups: what is one label, in which order, and how one is named."""

import numpy as np
import pytest

from ray_subsel.constraints.labels import Groups, key_of, numbers_of
from ray_subsel.core.errors import InputError

FIVE = [None, float("nan"), 1, "1", True]


def test_values_of_different_kinds_are_different_labels_in_one_order():
    draw = np.random.default_rng(0)
    labels = np.array([*FIVE, np.float64("nan"), np.int64(1), 1.0, np.str_("1"), np.True_], dtype=object)
    for _ in range(20):
        groups = Groups.of(labels[draw.permutation(10)], 10)
        assert [key_of(name) for name in groups.names] == [key_of(FIVE[at]) for at in (0, 4, 3, 2, 1)]
        assert np.bincount(groups.numbers).tolist() == [1, 2, 2, 3, 2]


@pytest.mark.parametrize("kind", [list, tuple, lambda labels: np.array(labels, dtype=object)])
def test_a_list_keeps_the_values_of_its_labels(kind):
    groups = Groups.of(kind([1, "1", True, None]), 4)
    assert len(groups.names) == 4
    assert numbers_of(["1", 1], groups.names, "quotas") == [
        groups.names.index("1"),
        next(at for at, name in enumerate(groups.names) if type(name) is int),
    ]


def test_labels_of_one_kind_are_sorted_by_value():
    assert Groups.of(np.array(["b", "a", "b"], dtype=object), 3).names == ("a", "b")
    assert Groups.of(["b", "a", "b"], 3).numbers.tolist() == [1, 0, 1]
    assert Groups.of([10, 9, 2.5], 3).names == (2.5, 9, 10)
    assert Groups.of(np.array([2.0, np.nan, np.nan]), 3).numbers.tolist() == [0, 1, 1]
    assert Groups.of([(2, 1), (1, 2), (2, 1)], 3).names == ((1, 2), (2, 1))
    days = np.array(["2024-02-01", "2024-01-01"], dtype="datetime64[ns]")
    assert numbers_of([days[1]], Groups.of(days, 2).names, "quotas") == [0]


def test_a_label_that_cannot_be_found_is_named():
    names = Groups.of([1, 2, "1"], 3).names
    with pytest.raises(InputError, match="^quotas must name labels that occur .*; got True"):
        numbers_of([True], names, "quotas")
    with pytest.raises(InputError, match="^floors must name a label once; got nan twice"):
        numbers_of([float("nan"), np.float64("nan")], (float("nan"),), "floors")
    with pytest.raises(InputError, match="^groups must be labels that can be hashed; got .* at row 1"):
        Groups.of([1, [2]], 2)
    with pytest.raises(InputError, match="^groups must be 3 labels"):
        Groups.of([1, 2], 3)
