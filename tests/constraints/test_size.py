"""How many items to choose: one resolver for select() and for runs."""

import pytest

from ray_subsel.constraints.size import resolve_k
from ray_subsel.core.errors import InputError


def test_a_fraction_is_one_of_the_rows():
    assert resolve_k(None, 0.1, rows=3742, items=1871) == (374, None)
    assert resolve_k(None, 0.0001, rows=3742, items=1871) == (1, None)
    assert resolve_k(None, 0.29, rows=100, items=100) == (29, None)  # 28.999... in binary
    k, warning = resolve_k(None, 1.0, rows=3742, items=1871)
    assert k == 1871
    assert warning == (
        "3742 of 3742 rows were asked for, but there are only 1871, the items to choose from, 1871 of 3742 are left "
        "after copies are collapsed and rows left out: all 1871 are chosen."
    )


def test_excluded_items_are_no_choice():
    assert resolve_k(7, None, rows=10, items=10, excluded=3) == (7, None)
    assert resolve_k(None, None, rows=10, items=10, excluded=3, no_limit=True) == (7, None)
    assert resolve_k(None, 1.0, rows=10, items=10, excluded=3)[0] == 7


@pytest.mark.parametrize(
    ("k", "fraction", "message"),
    [
        (
            11,
            None,
            "k must lie between 1 and 9, the items to choose from, 10 of 20 are left .*, 1 are excluded; got 11",
        ),
        (0, None, "k must lie between 1 and 9"),
        (2.0, None, "k must be a whole number of items; got 2.0. Use fraction for a share."),
        (True, None, "k must be a whole number"),
        (3, 0.5, "k must be given without fraction; got k=3 and fraction=0.5"),
        (None, 1.5, r"fraction must lie in \(0, 1\]; got 1.5. Use k for a number of items."),
        (None, None, "k must be given, or fraction, or costs and budget"),
    ],
)
def test_a_size_that_cannot_be_had_is_named(k, fraction, message):
    with pytest.raises(InputError, match=message):
        resolve_k(k, fraction, rows=20, items=10, excluded=1)
