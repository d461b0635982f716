"""How fast the machine is: a figure within bounds."""

import pytest

from ray_subsel.planning.speed import slowness


def test_it_is_a_multiple_of_the_reference_and_bounded():
    assert 0.2 <= slowness() <= 20.0
    assert slowness(reference=1e-9) == 20.0
    assert slowness(reference=1e9) == pytest.approx(0.2)
