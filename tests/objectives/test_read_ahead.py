"""What is computed ahead grows with what is asked for of it, and shrinks where little is."""

from __future__ import annotations

from ray_subsel.objectives.read_ahead import ReadAhead


def test_twice_as_many_as_were_asked_for_are_computed_next_but_some_always() -> None:
    ahead = ReadAhead(most=50, first=20)
    assert ahead.size == 20
    ahead.computed(range(20))
    few = ahead.size
    assert 2 <= few < 20  # nothing was asked for yet
    for candidate in (0, 1, 2, 2, 99):
        ahead.asked(candidate)
    assert ahead.size == few
    for candidate in range(12):
        ahead.asked(candidate)
    assert ahead.size == 24
    ahead.computed(range(40))
    for candidate in range(40):
        ahead.asked(candidate)
    assert ahead.size == 50
