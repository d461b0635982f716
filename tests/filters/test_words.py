"""The words of a text: what normalisation takes out, and what it keeps apart."""

import pytest

from ray_subsel.filters.words import word_hash, words_of


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The cat sat.", "the  CAT\n\tsat"),
        ("“Don’t!”", "don't"),
        ("ﬁne", "fine"),  # a ligature: NFKC
        ("Ｆｕｌｌ　width", "full width"),
        ("STRASSE", "straße"),  # case folding
        ("well-known", "well known"),
        ("Café", "CAFE\u0301"),  # composed and decomposed
        ("猫が好き。", "猫 が 好 き"),
    ],
)
def test_what_is_the_same(one, other):
    assert words_of(one) == words_of(other) != []


@pytest.mark.parametrize(("one", "other"), [("2 + 2", "2 - 2"), ("a cat", "acat"), ("C++", "C"), ("résumé", "resume")])
def test_what_is_not(one, other):
    assert words_of(one) != words_of(other)


def test_punctuation_alone_is_no_word():
    assert words_of(" ?! ... ") == []


def test_hashes_are_fixed():
    assert word_hash("cat") == 3429664268601861939
