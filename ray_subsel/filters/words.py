"""Turn a text into the words by which repeats are found: NFKC, case folded, punctuation and white space taken out.

A word is a run of characters between white space and punctuation. Chinese and Japanese write no spaces: each of their
characters is a word. Symbols that are no punctuation (``+``, ``=``, ``$``) stay: ``2 + 2`` is not ``2 - 2``.
"""

from __future__ import annotations

import hashlib
import re
import sys
import unicodedata
from functools import lru_cache

_ALONE = re.compile("([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff])")


@lru_cache(maxsize=1)
def _punctuation() -> dict[int, str]:
    """Return the table that turns each punctuation character of Unicode (categories P*) into a space."""
    points = range(sys.maxunicode + 1)
    return {point: " " for point in points if unicodedata.category(chr(point)).startswith("P")}


def words_of(text: str) -> list[str]:
    """Return the words of a text, in their order.

    Examples
    --------
    >>> words_of("  The cat's HAT, 2 + 2…")
    ['the', 'cat', 's', 'hat', '2', '+', '2']
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).translate(_punctuation())
    return (_ALONE.sub(r" \1 ", folded) if not folded.isascii() else folded).split()


@lru_cache(maxsize=1 << 18)
def word_hash(word: str) -> int:
    """Return a 64-bit hash of a word (BLAKE2b), the same in every process."""
    return int.from_bytes(hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
