"""What counts as a number, and as an array of numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_subsel.core.errors import InputError
from ray_subsel.core.numeric import array_of, as_number, finite_number, number_of_text, whole_number


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


WHOLE = {
    "7": 7, "0": 0, "-3": -3, "10k": 10_000, "10K": 10_000, "2.5M": 2_500_000, "1G": 10**9, "1e3": 1000, "1E3": 1000,
    "1.50e2": 150, "5.": 5, "1000e-3": 1, "9223372036854775807": 2**63 - 1,
}  # fmt: skip
NOT_WHOLE = (
    "2.5",
    "1e-3",
    "0.0005k",
    "1.00000000000000000000000000000000001k",
    "9223372036854775808",
    "1e19",
    "1e999",
    "9999999999999G",
)
NONE = (
    *("", " ", " 5", "5 ", "+5", "1_000", "1,000", "0x10", "nan", "inf", "-inf", "many", "5m", "5kk", "k", ".", "e3"),
    *("1e", "--5", "\uff15", "\u0665", "5\u00a0", "1e1000", "9" * 5000, "1\n", "\u00bd"),
)


@pytest.mark.parametrize(("text", "number"), WHOLE.items())
def test_texts_of_whole_numbers(text, number):
    assert number_of_text(text, whole=True) == number
    assert type(number_of_text(text, whole=True)) is int
    assert number_of_text(text) == float(number)


@pytest.mark.parametrize("text", NOT_WHOLE)
def test_texts_of_numbers_that_are_not_whole_or_too_large(text):
    assert number_of_text(text, whole=True) is None


@pytest.mark.parametrize("text", NONE)
def test_texts_of_no_number(text):
    assert number_of_text(text) is None
    assert number_of_text(text, whole=True) is None


@given(st.integers(-(2**63) + 1, 2**63 - 1))
def test_every_whole_number_is_read_as_it_is_written(number):
    assert number_of_text(str(number), whole=True) == number


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_is_read_as_it_is_written(number):
    assert number_of_text(repr(number)) == number
