"""Make near copies of a text, as texts are that are typed again, reposted or scraped twice.

Each edit takes a list of words and a generator and changes the list in place. A near copy is the text after a few of
them, in number about proportional to its length.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ray_subsel.core.errors import invalid

Words = list[str]
Edit = Callable[[Words, np.random.Generator], None]

BOILERPLATE = (
    ("Update:", ""),
    ("Repost:", ""),
    ("From our archive:", ""),
    ("", "Read more on our page."),
    ("", "All rights reserved."),
    ("", "Share this with a friend."),
    ("", "Comments are closed."),
    ("Please note:", "Thank you."),
)
"""What is put before and after a text."""


def _typo(words: Words, rng: np.random.Generator) -> None:
    """Swap two neighbouring letters, drop one, double one, or put another in its place."""
    at = int(rng.integers(len(words)))
    word = words[at]
    if len(word) < 3:
        words[at] = word + word[-1]
        return
    place = int(rng.integers(len(word) - 1))
    kind = int(rng.integers(4))
    if kind == 0:
        words[at] = word[:place] + word[place + 1] + word[place] + word[place + 2 :]
    elif kind == 1:
        words[at] = word[:place] + word[place + 1 :]
    elif kind == 2:
        words[at] = word[: place + 1] + word[place:]
    else:
        words[at] = word[:place] + chr(ord("a") + int(rng.integers(26))) + word[place + 1 :]


def _case(words: Words, rng: np.random.Generator) -> None:
    """Write a word in capitals, or all of them in small letters."""
    if rng.random() < 0.7:
        at = int(rng.integers(len(words)))
        words[at] = words[at].upper()
    else:
        words[:] = [word.lower() for word in words]


def _punctuation(words: Words, rng: np.random.Generator) -> None:
    """Drop a word's punctuation, or give it some."""
    at = int(rng.integers(len(words)))
    bare = words[at].rstrip(".,;:!?")
    marks = (",", "!", "...", " -")
    words[at] = bare if bare and bare != words[at] else words[at] + marks[int(rng.integers(len(marks)))]


def _drop(words: Words, rng: np.random.Generator) -> None:
    """Leave a word out, unless it is one of the last two."""
    if len(words) > 2:
        del words[int(rng.integers(len(words)))]


def _swap(words: Words, rng: np.random.Generator) -> None:
    """Exchange two neighbouring words."""
    if len(words) > 1:
        at = int(rng.integers(len(words) - 1))
        words[at], words[at + 1] = words[at + 1], words[at]


def _boilerplate(words: Words, rng: np.random.Generator) -> None:
    """Put a phrase before or after the text."""
    before, after = BOILERPLATE[int(rng.integers(len(BOILERPLATE)))]
    words[:0] = before.split()
    words += after.split()


EDITS: dict[str, tuple[Edit, float]] = {
    "typo": (_typo, 0.32),
    "case": (_case, 0.16),
    "punctuation": (_punctuation, 0.2),
    "drop": (_drop, 0.14),
    "swap": (_swap, 0.12),
    "boilerplate": (_boilerplate, 0.06),
}
"""Each edit and its share."""

_ORDER = [edit for edit, _ in EDITS.values()]
_UP_TO = np.cumsum([share for _, share in EDITS.values()]).tolist()


def near_copy(text: str, rng: np.random.Generator, strength: float = 0.05) -> str:
    """Return a near copy of a text, never the text itself.

    Parameters
    ----------
    text : str
        Runs of white space become single spaces.
    rng : np.random.Generator
        The same generator in the same state gives the same copy.
    strength : float, default=0.05
        Edits a word, in (0, 1]: a text of w words gets ``max(1, round(strength w u))`` edits, u uniform in [0.5, 1.5).

    Raises
    ------
    InputError
        For a text without a word, or a strength outside (0, 1].

    Examples
    --------
    >>> near_copy("The old pilot repaired a red kite.", np.random.default_rng(1))
    'Update: The old pilot repaired a red kite.'
    """
    if not 0 < strength <= 1:
        raise invalid("strength", "lie in (0, 1]", strength)
    words = text.split()
    if not words:
        raise invalid("text", "hold a word", text)
    for _ in range(max(1, round(strength * len(words) * (0.5 + float(rng.random()))))):
        draw = float(rng.random())
        _ORDER[next((i for i, limit in enumerate(_UP_TO) if draw < limit), len(_ORDER) - 1)](words, rng)
    copy = " ".join(words)
    return copy if copy != text else f"{copy} {BOILERPLATE[3][1]}"
