"""What counts as a number, and as an array of numbers."""

import numpy as np
import pytest

from ray_subsel.core.errors import InputError
from ray_subsel.core.numeric import array_of, as_number, finite_number, whole_number


@pytest.mark.parametrize("number", [3, np.int8(3), np.uint64(3), np.array(3), 3.0, np.float32(3), np.array(3.0)])
def test_numbers_of_all_kinds_are_numbers(number):
    assert as_number(number) == 3
    assert type(as_number(number)) in (int, float)
    whole = isinstance(as_number(number), int)
    assert as_number(number, whole=True) == (3 if whole else None)


def test_a_tensor_without_dimensions_is_a_number():
    torch = pytest.importorskip("torch")
    assert as_number(torch.tensor(3), whole=True) == 3
    assert as_number(torch.tensor(True)) is None
    assert as_number(torch.tensor([3])) is None


@pytest.mark.parametrize(
    "other", [True, np.True_, np.array(True), "3", np.str_("3"), None, [3], np.array([3]), 3j, np.ma.masked, object()]
)
def test_nothing_else_is_one(other):
    assert as_number(other) is None
    with pytest.raises(InputError, match="^x must be whole; got"):
        whole_number(other, "x", "be whole")


def test_bounds_are_part_of_the_demand():
    assert whole_number(0, "x", "be >= 0", least=0) == 0
    assert finite_number(0.5, "x", "lie in (0, 1]", above=0.0, most=1.0) == 0.5
    with pytest.raises(InputError, match="^x must be >= 0; got -1. So.$"):
        whole_number(-1, "x", "be >= 0", "So.", least=0)
    for bad in (0.0, 1.5, float("nan"), float("inf")):
        with pytest.raises(InputError, match=r"^x must lie in \(0, 1\]; got"):
            finite_number(bad, "x", "lie in (0, 1]", above=0.0, most=1.0)


def test_arrays_are_even_and_unmasked():
    assert array_of(np.ma.array([1.0, 2.0]), "x", "be numbers").tolist() == [1.0, 2.0]
    with pytest.raises(InputError, match="^x must have no masked entries; got 1 masked"):
        array_of(np.ma.array([1.0, 2.0], mask=[True, False]), "x", "be numbers")
    with pytest.raises(InputError, match="^x must be numbers; got list that is no array"):
        array_of([[1], [1, 2]], "x", "be numbers")
