"""Near copies are other texts, resemble their original, and are the same for the same generator."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_subsel.core.errors import InputError
from ray_subsel.synthetic import near_copy, original_text
from ray_subsel.synthetic.noise import EDITS


@given(
    text=st.text(min_size=1, max_size=60).filter(lambda text: bool(text.split())),
    seed=st.integers(0, 2**32 - 1),
    strength=st.floats(0.01, 1.0),
)
@settings(deadline=None, max_examples=200)
def test_any_text_has_a_near_copy_which_is_another_text_and_not_empty(text, seed, strength):
    copy = near_copy(text, np.random.default_rng(seed), strength)
    assert copy != text
    assert copy.strip()
    assert copy == near_copy(text, np.random.default_rng(seed), strength)


def kept_share(text: str, copy: str) -> float:
    words = set(text.lower().split())
    return len(words & set(copy.lower().split())) / len(words)


def test_a_stronger_noise_changes_more():
    rng = np.random.default_rng(0)
    texts = [original_text(number) for number in range(100)]
    weak, medium, strong = (
        np.mean([kept_share(text, near_copy(text, rng, strength)) for text in texts]) for strength in (0.05, 0.2, 0.8)
    )
    assert 0.93 < weak < 0.99
    assert weak > medium + 0.05 > strong + 0.1


@pytest.mark.parametrize(
    ("edit", "law"),
    [
        ("case", lambda old, new: [w.lower() for w in new] == [w.lower() for w in old] and new != old),
        ("drop", lambda old, new: len(new) == len(old) - 1 and set(new) <= set(old)),
        ("swap", lambda old, new: sorted(new) == sorted(old) and sum(a != b for a, b in zip(old, new)) == 2),
        ("typo", lambda old, new: sum(a != b for a, b in zip(old, new)) <= 1 and len(new) == len(old)),
        ("punctuation", lambda old, new: [w.strip(".,!- ") for w in new] == [w.strip(".,!- ") for w in old]),
        ("boilerplate", lambda old, new: " ".join(old) in " ".join(new) and len(new) > len(old)),
    ],
)
def test_each_edit_does_what_it_says(edit, law):
    rng = np.random.default_rng(3)
    for _ in range(50):
        old = ["Seven", "tired", "travellers", "slept", "beside", "a", "frozen", "river."]
        new = list(old)
        EDITS[edit][0](new, rng)
        assert law(old, new)


def test_shares_of_the_edits_add_up():
    assert sum(share for _, share in EDITS.values()) == pytest.approx(1.0)


def test_bad_input():
    rng = np.random.default_rng(0)
    with pytest.raises(InputError, match=r"strength must lie in \(0, 1\]; got 0"):
        near_copy("a b", rng, 0)
    with pytest.raises(InputError, match="text must hold a word; got ' '"):
        near_copy("  ", rng)
