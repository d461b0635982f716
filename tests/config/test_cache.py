"""Where embeddings are kept."""

from pathlib import Path

import pytest

from ray_subsel import InputError
from ray_subsel.config import CacheConfig


def test_the_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert CacheConfig().folder == tmp_path / "ray_subsel" / "embeddings"
    for ignored in ("", "relative/folder"):
        monkeypatch.setenv("XDG_CACHE_HOME", ignored)
        assert CacheConfig().folder == Path.home() / ".cache" / "ray_subsel" / "embeddings"
    assert CacheConfig(cache=str(tmp_path / "mine")).folder == tmp_path / "mine" / "embeddings"
    assert CacheConfig(no_cache=True).folder is None
    assert CacheConfig(cache_size="2MiB").limit == 2 << 20


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"cache": "s3://bucket/cache"}, "cache must be a local folder"),
        ({"cache": ""}, "cache must be a local folder"),
        ({"cache": __file__}, "cache must be a folder; got the file"),
        ({"cache": "x", "no_cache": True}, "cache must be left out with no_cache"),
        ({"cache_size": "a lot"}, "cache_size must be a number of bytes"),
    ],
)
def test_what_cannot_be_used_is_named(given, words):
    with pytest.raises(InputError, match=words):
        CacheConfig(**given)
