"""Find texts that repeat a text of another set: equal after normalisation, or with so many words in a row in common.

Two texts overlap where they share ``LONG`` = 13 words in a row or, if the shorter of them has fewer than 13 words,
``SHORT`` = 8. Texts of fewer than 8 words repeat only what is equal: short questions share phrases by chance. Words are
those of :mod:`ray_subsel.filters.words`.

The other set is held as 64-bit hashes of its n-grams, 16 bytes each; texts that are looked up pass by. A wrong hit
needs a clash of two hashes: some N M / 2^64 of them are expected among N n-grams looked up and M held.

Sources: Brown et al. 2020, "Language models are few-shot learners", appendix C (13-grams); Chowdhery et al. 2022,
"PaLM" (8-grams of short texts).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.hashing import mix, text_key
from ray_subsel.core.types import Indices
from ray_subsel.filters.words import word_hash, words_of

LONG, SHORT = 13, 8
EQUAL, NGRAM = "equal", "ngram"
BATCH = 2048
"""Texts that are taken apart at once; nothing but memory depends on it."""

_STREAM = 0x6A35

Hashes = NDArray[np.uint64]


@dataclass(frozen=True)
class Overlap:
    """A text that repeats another.

    Attributes
    ----------
    place : int
        Of the text among those that were looked up.
    number : int
        Of the text that it repeats, the first in order of numbers.
    kind : str
        :data:`EQUAL` or :data:`NGRAM`.
    evidence : str
        The words that both have.
    """

    place: int
    number: int
    kind: str
    evidence: str


@dataclass(frozen=True, eq=False)
class _Grams:
    """N-grams and the first text that has each.

    Attributes
    ----------
    n : int
        Words of each.
    hashes : uint64 array of shape (g,)
        Ascending.
    numbers : int64 array of shape (g,)
    """

    n: int
    hashes: Hashes
    numbers: Indices

    @staticmethod
    def of(n: int, hashes: Sequence[Hashes], numbers: Sequence[Indices]) -> _Grams:
        """Return the distinct ones of many, in whatever order they come."""
        every = np.concatenate([np.zeros(0, dtype=np.uint64), *hashes])
        owner = np.concatenate([np.zeros(0, dtype=np.int64), *numbers])
        order = np.lexsort((owner, every))
        every, owner = every[order], owner[order]
        first = np.flatnonzero(np.append(True, every[1:] != every[:-1])[: every.size])
        return _Grams(n, every[first], owner[first])

    def found(self, hashes: Hashes) -> Indices:
        """Return for each hash the number of the first text that has it, -1 where none has."""
        if not self.hashes.size:
            return np.full(hashes.size, -1, dtype=np.int64)
        at = np.minimum(np.searchsorted(self.hashes, hashes), self.hashes.size - 1)
        return np.where(self.hashes[at] == hashes, self.numbers[at], -1)


@dataclass(frozen=True, eq=False)
class TextIndex:
    """The texts of another set, ready to be looked up. Picklable.

    Attributes
    ----------
    equal : dict of bytes to int
        By a hash of all words, the first text.
    long, short, inside : grams
        13-grams; 8-grams of texts of 8 to 12 words; 8-grams of longer ones, with which shorter texts are compared.
    """

    equal: dict[bytes, int]
    long: _Grams
    short: _Grams
    inside: _Grams

    @staticmethod
    def of(texts: Iterable[tuple[int, str]], batch_size: int = BATCH) -> TextIndex:
        """Index numbered texts; of several equal ones the lowest number counts."""
        equal: dict[bytes, int] = {}
        kept: dict[str, tuple[list[Hashes], list[Indices]]] = {name: ([], []) for name in ("long", "short", "inside")}
        stream = iter(texts)
        while batch := list(islice(stream, batch_size)):
            numbers = np.array([number for number, _ in batch], dtype=np.int64)
            words = [words_of(text) for _, text in batch]
            for number, own in zip(numbers.tolist(), words, strict=True):
                if own:
                    key = _key(own)
                    equal[key] = min(number, equal.get(key, number))
            lengths = np.array([len(own) for own in words], dtype=np.int64)
            for name, n, some in (
                ("long", LONG, lengths >= LONG),
                ("short", SHORT, (lengths >= SHORT) & (lengths < LONG)),
                ("inside", SHORT, lengths >= LONG),
            ):
                hashes, owner, _ = _grams([own if ok else [] for own, ok in zip(words, some, strict=True)], n)
                kept[name][0].append(hashes)
                kept[name][1].append(numbers[owner])
        return TextIndex(
            equal, _Grams.of(LONG, *kept["long"]), _Grams.of(SHORT, *kept["short"]), _Grams.of(SHORT, *kept["inside"])
        )

    def look_up(self, texts: Iterable[str], batch_size: int = BATCH) -> Iterator[Overlap]:
        """Yield the texts that repeat one of the set, in their order."""
        stream, place = iter(texts), 0
        while batch := list(islice(stream, batch_size)):
            words = [words_of(text) for text in batch]
            found: dict[int, Overlap] = {}
            for at, own in enumerate(words):
                if own and (number := self.equal.get(_key(own))) is not None:
                    found[at] = Overlap(place + at, number, EQUAL, _shown(own))
            rest = [own if at not in found else [] for at, own in enumerate(words)]
            long = [own if len(own) >= LONG else [] for own in rest]
            short = [own if SHORT <= len(own) < LONG else [] for own in rest]
            for grams, some in ((self.long, long), (self.short, long), (self.short, short), (self.inside, short)):
                for at, number, start in _first_hits(grams, some):
                    if at not in found or found[at].number > number:
                        shared = _shown(some[at][start : start + grams.n])
                        found[at] = Overlap(place + at, number, NGRAM, shared)
            yield from (found[at] for at in sorted(found))
            place += len(batch)


def _shown(words: Sequence[str], most: int = 200) -> str:
    text = " ".join(words)
    return text if len(text) <= most else text[:most] + "..."


def _key(words: Sequence[str]) -> bytes:
    return text_key(" ".join(words))


def _grams(texts: Sequence[Sequence[str]], n: int) -> tuple[Hashes, Indices, Indices]:
    """Return the hashes of all n-grams, the text of each and its place in it."""
    lengths = np.array([len(words) for words in texts], dtype=np.int64)
    count = int(lengths.sum()) - n + 1
    if count < 1:
        return np.zeros(0, dtype=np.uint64), np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    single = np.array([word_hash(word) for words in texts for word in words], dtype=np.uint64)
    factors = mix(np.arange(n), _STREAM) | np.uint64(1)
    hashes = np.zeros(count, dtype=np.uint64)
    for place in range(n):
        hashes += single[place : place + count] * factors[place]
    owner = np.repeat(np.arange(lengths.size), lengths)
    start = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    whole = np.flatnonzero(owner[:count] == owner[n - 1 :])
    return hashes[whole], owner[whole], start[whole]


def _first_hits(grams: _Grams, texts: Sequence[Sequence[str]]) -> Iterator[tuple[int, int, int]]:
    """Yield text, number and place of the hit of lowest number, then place, of each text that has one."""
    hashes, owner, start = _grams(texts, grams.n)
    number = grams.found(hashes)
    hit = np.flatnonzero(number >= 0)
    order = hit[np.lexsort((start[hit], number[hit], owner[hit]))]
    first = order[np.flatnonzero(np.diff(owner[order], prepend=-1))]
    yield from zip(owner[first].tolist(), number[first].tolist(), start[first].tolist(), strict=True)
