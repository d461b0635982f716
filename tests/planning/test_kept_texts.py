"""What a plan says of embeddings that are kept, where only a part of a corpus is looked up."""

import json

import pytest

from ray_subsel.config import CacheConfig, CorpusConfig, EmbedConfig
from ray_subsel.corpus.ingest_plan import plan_ingest
from ray_subsel.embedders import build_embedder
from ray_subsel.planning.kept_texts import texts_to_embed
from ray_subsel.runtime.kept_vectors import open_kept


def test_of_a_large_corpus_parts_are_looked_up_evenly(tmp_path, tiny_bert):
    """Of eight files of 500 texts four are kept: half of all, though little more than a batch of each is read."""
    embed, cache = EmbedConfig(embedder="bert", model=tiny_bert), CacheConfig(cache=str(tmp_path / "kept"))
    for number in range(8):
        rows = [f"text {i} of file {number}" for i in range(500)]
        (tmp_path / f"{number}.jsonl").write_text("".join(json.dumps({"text": row}) + "\n" for row in rows))
        if number % 2:
            open_kept(cache, embed, lambda: build_embedder(embed)).embed(rows)
    corpus = CorpusConfig(data=(str(tmp_path / "*.jsonl"),), text=("text",))
    found = plan_ingest(corpus)

    def looked_up(read_bytes):
        about = texts_to_embed(found, embed, cache, rows=4000, exact=True, d=32, read_bytes=read_bytes)
        return about.texts, about.kept, about.left, about.exact

    assert looked_up(1 << 20) == (4000, 2000, 2000, True)
    assert looked_up(1) == (4000, 2000, 2000, False)


@pytest.mark.parametrize("cache", [{"no_cache": True}, {"cache_size": "1KiB"}])
def test_nothing_is_read_where_nothing_is_kept(tmp_path, tiny_bert, cache):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a"}\n')
    found = plan_ingest(CorpusConfig(data=(str(path),), text=("text",)))
    path.unlink()
    embed = EmbedConfig(embedder="bert", model=tiny_bert)
    about = texts_to_embed(found, embed, CacheConfig(**cache), rows=900, exact=False, d=32)
    assert (about.texts, about.left, about.keeps, about.exact) == (900, 900, False, False)
    assert about.line() == "embed     some 900 to embed"
