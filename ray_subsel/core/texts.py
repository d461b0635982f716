"""Tell what of a text can be seen, and bring its spellings to one form."""

from __future__ import annotations

import re
import unicodedata

_IGNORABLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""Unicode's default ignorable code points (Standard Annex 44): soft hyphens, zero-width spaces and joiners, marks of
direction, variation selectors. A text looks the same with and without them."""

_BLANK = "\u2800"
"""The braille pattern without dots, which is a symbol and shows nothing."""


_UNSEEN = frozenset({"Zs", "Zl", "Zp", "Cc", "Cf"})


def folded(text: str) -> str:
    r"""Return a text in Unicode's composed form (NFC) without what cannot be seen.

    Examples
    --------
    >>> folded("cafe\u0301") == folded("ca\u00adf\u00e9") == "caf\u00e9"
    True
    """
    if text.isascii():
        return text
    return unicodedata.normalize("NFC", _IGNORABLE.sub("", text))


def is_visible(text: str) -> bool:
    """Tell whether anything of a text can be seen: more than spaces, control and ignorable characters."""
    if text.isascii():
        return any(33 <= ord(character) <= 126 for character in text)
    seen = _IGNORABLE.sub("", text)
    return any(character != _BLANK and unicodedata.category(character) not in _UNSEEN for character in seen)
