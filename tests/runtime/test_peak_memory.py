"""Bytes as people write them, and what a process has used."""

import numpy as np
import pytest

from ray_subsel.core.byte_sizes import parse_bytes, show_bytes
from ray_subsel.core.errors import InputError
from ray_subsel.runtime.peak_memory import available_bytes, peak_bytes, start_peak


@pytest.mark.parametrize(
    ("text", "amount"),
    [("3GiB", 3 << 30), ("1.5 gib", 3 << 29), ("800MB", 800_000_000), ("2g", 2 << 30), ("123456789", 123_456_789)],
)
def test_bytes_are_read(text, amount):
    assert parse_bytes(text) == amount


@pytest.mark.parametrize("text", ["", "much", "-1GiB", "0", "3 parsecs", "1e9", "nan"])
def test_what_is_no_amount_is_refused(text):
    with pytest.raises(InputError, match="memory_limit must be a number of bytes such as 3GiB"):
        parse_bytes(text)


def test_bytes_are_shown():
    assert show_bytes(3 << 30) == "3.00 GiB"
    assert show_bytes(5 << 20) == "5 MiB"


def test_the_peak_holds_what_was_used_and_given_back():
    start_peak()
    before = peak_bytes()
    block = np.ones(64 << 20, dtype=np.uint8)
    del block
    assert peak_bytes() - before > 50 << 20
    assert 0 < available_bytes() < 1 << 50
