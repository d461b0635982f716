"""Read and write numbers of bytes as people do: ``3GiB``. Digits are those of :mod:`ray_subsel.core.numeric`."""

from __future__ import annotations

import re
from decimal import Decimal

from ray_subsel.core.errors import invalid
from ray_subsel.core.numeric import DIGITS

GIB = 1 << 30


_UNITS = {
    "": 1,
    "b": 1,
    "kib": 1 << 10,
    "mib": 1 << 20,
    "gib": GIB,
    "tib": 1 << 40,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
}


def parse_bytes(text: str, parameter: str = "memory_limit") -> int:
    """Return the bytes that a text such as ``3GiB``, ``800 MB`` or ``1500000000`` means.

    Raises
    ------
    InputError
        When it means nothing, or nothing above 0.
    """
    found = re.fullmatch(rf"({DIGITS}) ?([a-z]*)", text.lower() if text.isascii() else "")
    amount = 0 if found is None else int(Decimal(found[1]) * _UNITS.get(found[2], 0))
    if amount < 1:
        raise invalid(parameter, "be a number of bytes such as 3GiB or 800MB", text)
    return amount


def show_bytes(amount: float) -> str:
    """Return a number of bytes as people read it."""
    return f"{amount / GIB:.2f} GiB" if amount >= GIB else f"{amount / (1 << 20):.0f} MiB"
