"""The known word that is meant."""

import pytest

from ray_subsel.core.suggest import did_you_mean


@pytest.mark.parametrize(
    ("word", "known", "meant"),
    [
        ("lable", ["label", "text"], "Did you mean 'label'?"),
        ("LABEL", ["Label", "text"], "Did you mean 'Label'?"),
        ("zzz", ["label", "text"], ""),
        ("", ["label"], ""),
        ("x", [], ""),
    ],
)
def test_the_closest_word_is_told(word, known, meant):
    assert did_you_mean(word, known) == meant
