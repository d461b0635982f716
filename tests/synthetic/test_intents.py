"""Requests of many kinds: counted, unequal, the same again, and of one set of classes for every seed."""

from collections import Counter

import pytest

from ray_subsel.core.errors import InputError
from ray_subsel.synthetic.intents import MOST_CLASSES, main, make_intents


def test_rows_classes_and_copies_are_as_asked():
    made = make_intents(1000, 48, near=0.6, seed=3)
    assert len(made) == 1000
    assert sum(one.kind == "near" for one in made) == 600
    assert len({one.label for one in made}) == 48
    assert made == make_intents(1000, 48, near=0.6, seed=3)
    assert made != make_intents(1000, 48, near=0.6, seed=4)


def test_classes_are_unequal_by_skew_and_equal_without():
    skewed = Counter(one.label for one in make_intents(4000, 40, near=0.0, skew=1.0)).most_common()
    even = Counter(one.label for one in make_intents(4000, 40, near=0.0, skew=0.0)).most_common()
    assert skewed[0][1] > 10 * skewed[-1][1]
    assert even[0][1] < 2 * even[-1][1]


def test_other_seeds_have_the_same_classes_and_other_texts():
    train, test = make_intents(600, 30, near=0.0, seed=0), make_intents(600, 30, near=0.0, skew=0.0, seed=1)
    assert {one.label for one in train} == {one.label for one in test}
    assert len({one.text for one in train} & {one.text for one in test}) < 60


def test_a_text_names_its_class():
    for one in make_intents(200, 50, near=0.0):
        assert all(word in one.text.lower() for word in one.label.split())


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"rows": 0}, "rows must be at least 1"),
        ({"rows": 9, "classes": MOST_CLASSES + 1}, "classes must lie in"),
        ({"rows": 9, "near": 1.0}, "near must lie in"),
    ],
)
def test_what_cannot_be_made_costs_one_line(asked, message):
    with pytest.raises(InputError, match=message):
        make_intents(**asked)


def test_the_command_writes_a_file(tmp_path):
    main(["--rows", "50", "--classes", "5", "--out", str(tmp_path / "sub" / "a.csv")])
    lines = (tmp_path / "sub" / "a.csv").read_text().splitlines()
    assert lines[0] == "text,label,kind"
    assert len(lines) == 51
