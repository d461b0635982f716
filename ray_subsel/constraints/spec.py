"""Parse quotas and floors from the command line."""

from __future__ import annotations

from collections.abc import Sequence

from ray_subsel.core.errors import invalid

WISHES = ("proportional", "equal")


def parse_quotas(texts: Sequence[str]) -> str | dict[str, int] | None:
    """Return ``"proportional"``, ``"equal"``, a mapping from label to number, or None where nothing is said.

    Raises
    ------
    InputError
        For anything but one of the two words, or ``LABEL=N`` once a label.
    """
    if not texts:
        return None
    if len(texts) == 1 and texts[0] in WISHES:
        return texts[0]
    return _mapping(texts, "quota", "proportional, equal, or LABEL=N, repeated")


def parse_floors(texts: Sequence[str]) -> int | dict[str, int] | None:
    """Return a number for every group, a mapping from label to number, or None where nothing is said."""
    if not texts:
        return None
    if len(texts) == 1 and texts[0].isascii() and texts[0].isdigit():
        return int(texts[0])
    return _mapping(texts, "floor", "a whole number, or LABEL=N, repeated")


def _mapping(texts: Sequence[str], parameter: str, must: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for text in texts:
        label, equals, number = text.rpartition("=")
        if not equals or not (number.isascii() and number.isdigit()):
            raise invalid(parameter, f"be {must}", text)
        if label in found:
            raise invalid(parameter, "name a label once", f"{label} twice")
        found[label] = int(number)
    return found
