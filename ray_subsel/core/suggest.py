"""Suggest the known word that a mistyped one is close to."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``Did you mean 'x'?`` for the known word that is closest, or an empty text where none is close.

    Closeness is difflib's ratio of the words in lower case, at least 0.6.

    Examples
    --------
    >>> did_you_mean("facility_locaton", ["graph_cut", "facility_location"])
    "Did you mean 'facility_location'?"
    >>> did_you_mean("x", ["graph_cut"])
    ''
    """
    by_lower = {one.lower(): one for one in known}
    found = difflib.get_close_matches(word.lower(), by_lower, n=1)
    return f"Did you mean {by_lower[found[0]]!r}?" if found else ""
