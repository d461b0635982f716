"""What is computed ahead grows with what is asked for of it, and shrinks where little is."""

from __future__ import annotations

from ray_subsel.objectives.foresight import Foresight


def test_twice_as_many_as_were_asked_for_are_computed_next() -> None:
    ahead = Foresight(most=20, first=8)
    assert ahead.size == 8
    ahead.computed(range(8))
    assert ahead.size == 2  # nothing was asked for yet
    for candidate in (0, 1, 2, 2, 99):
        ahead.asked(candidate)
    assert ahead.size == 6
    for candidate in range(8):
        ahead.asked(candidate)
    assert ahead.size == 16
    ahead.computed(range(16))
    for candidate in range(16):
        ahead.asked(candidate)
    assert ahead.size == 20
