"""Read and write numbers of bytes as people do: ``3GiB``."""

from __future__ import annotations

import re

from ray_subsel.core.errors import invalid

GIB = 1 << 30


_UNITS = {"": 1, "b": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": GIB, "tib": 1 << 40, "kb": 10**3, "mb": 10**6}


def parse_bytes(text: str, parameter: str = "memory_limit") -> int:
    """Return the bytes that a text such as ``3GiB``, ``800 MB`` or ``1500000000`` means.

    Raises
    ------
    InputError
        When it means nothing, or nothing above 0.
    """
    found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([a-z]*)\s*", text.lower())
    if found is None or found[2] not in _UNITS or float(found[1]) * _UNITS[found[2]] < 1:
        raise invalid(parameter, "be a number of bytes such as 3GiB or 800MB", text)
    return int(float(found[1]) * _UNITS[found[2]])


def show_bytes(amount: float) -> str:
    """Return a number of bytes as people read it."""
    return f"{amount / GIB:.2f} GiB" if amount >= GIB else f"{amount / (1 << 20):.0f} MiB"
