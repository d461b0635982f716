"""Settings of near copies: what is refused, and up to which size all pairs are compared."""

import pytest

from ray_subsel.core.errors import InputError
from ray_subsel.dedup.settings import NearSettings


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"threshold": 0.0}, r"threshold must be a cosine in \(0, 1\]; got 0.0"),
        ({"threshold": 1.1}, "threshold must be a cosine"),
        ({"threshold": float("nan")}, "threshold must be a cosine"),
        ({"cluster_size": 1}, "cluster_size must be a whole number >= 2; got 1"),
    ],
)
def test_bad_settings_are_named(change, message):
    with pytest.raises(InputError, match=message):
        NearSettings(**{"threshold": 0.9, **change})


def test_all_pairs_are_compared_up_to_a_size():
    settings = NearSettings(0.9)
    assert settings.is_exact(100_000, 384)
    assert not settings.is_exact(100_001, 2)
    assert not settings.is_exact(100_000, 768)
    assert settings.most_kept(100_000, 384) == 100_000
    assert settings.most_kept(1_000_000, 384) == 8000


def test_a_bucket_holds_at_least_a_usual_cluster():
    assert NearSettings(0.9).largest(384) == 41_666
    assert NearSettings(0.9).largest(10_000) == 2000
