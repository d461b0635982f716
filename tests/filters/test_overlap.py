"""Texts that repeat others: the rule, against every pair compared by hand; no batch changes anything."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_subsel.filters.overlap import EQUAL, NGRAM, TextIndex
from ray_subsel.filters.words import words_of

NUMBERS = [f"w{i}" for i in range(400)]


def phrase(start, stop):
    return " ".join(NUMBERS[start:stop])


def by_hand(text, others):
    """Return kind and number of the first text that a text repeats, by comparing it with each."""
    mine = words_of(text)
    equal = [number for number, other in others if mine and words_of(other) == mine]
    if equal:
        return EQUAL, min(equal)
    found = []
    for number, other in others:
        theirs = words_of(other)
        shorter = min(len(mine), len(theirs))
        n = 13 if shorter >= 13 else 8
        if shorter >= 8:
            grams = {tuple(theirs[at : at + n]) for at in range(len(theirs) - n + 1)}
            if any(tuple(mine[at : at + n]) in grams for at in range(len(mine) - n + 1)):
                found.append(number)
    return (NGRAM, min(found)) if found else None


RULE = [
    (phrase(0, 20), phrase(5, 18), NGRAM),  # 13 of 13
    (phrase(0, 20), phrase(8, 30), None),  # 12 words in common, both long
    (phrase(0, 20), phrase(0, 12), NGRAM),  # a short one inside a long one
    (phrase(0, 12), phrase(0, 20), NGRAM),
    (phrase(0, 12), phrase(4, 16), NGRAM),  # both 12 words, 8 in common
    (phrase(0, 12), phrase(5, 17), None),  # 7
    (phrase(0, 7), phrase(0, 20), None),  # fewer than 8 words: equal or nothing
    (phrase(0, 3), phrase(0, 3), EQUAL),
    ("W0, w1... W2!", phrase(0, 3), EQUAL),
    ("?!", "...", None),  # nothing is left of either
]


@pytest.mark.parametrize(("text", "other", "kind"), RULE)
def test_the_rule(text, other, kind):
    found = list(TextIndex.of([(7, other)]).look_up([text]))
    assert [(one.kind, one.number, one.place) for one in found] == ([] if kind is None else [(kind, 7, 0)])
    assert by_hand(text, [(7, other)]) == (None if kind is None else (kind, 7))


def test_the_evidence_is_what_both_have():
    [found] = TextIndex.of([(1, "x y " + phrase(0, 13)), (2, phrase(1, 14))]).look_up([phrase(0, 14) + " end"])
    assert (found.number, found.evidence) == (1, phrase(0, 13))
    [long] = TextIndex.of([(1, phrase(0, 300))]).look_up([phrase(0, 300)])
    assert long.evidence == phrase(0, 300)[:200] + "..."


texts = st.lists(st.integers(0, 2), min_size=0, max_size=18).map(lambda ones: " ".join("abc"[one] for one in ones))


@given(st.lists(texts, max_size=6), st.lists(texts, max_size=6), st.integers(1, 4))
def test_as_by_hand_in_batches_of_any_size(some, others, batch):
    numbered = list(zip(range(0, 3 * len(others), 3), others))
    expected = [by_hand(text, numbered) for text in some]
    index = TextIndex.of(reversed(numbered), batch)
    found = {one.place: (one.kind, one.number) for one in index.look_up(some, batch)}
    assert [found.get(place) for place in range(len(some))] == expected


def test_many_texts():
    draw = np.random.default_rng(0)
    others = [(number, " ".join(draw.choice(NUMBERS, 30))) for number in range(3000)]
    index = TextIndex.of(others)
    planted = [f"{draw.choice(NUMBERS)} {' '.join(words_of(text)[4:17])} end" for _, text in others[::30]]
    clean = [" ".join(draw.choice(NUMBERS, 30)) for _ in range(3000)]
    assert [one.number for one in index.look_up(planted)] == list(range(0, 3000, 30))
    assert list(index.look_up(clean)) == []
