"""The embedding stage's pure parts; the pool itself is in test_pipeline."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from ray_subsel.cli import main
from ray_subsel.config import CorpusConfig, EmbedConfig
from ray_subsel.core.errors import InputError
from ray_subsel.corpus.ingest import ingest
from ray_subsel.planning.embedding_plan import EmbeddingPlan
from ray_subsel.runtime.ray_session import Resources
from ray_subsel.stages import embed
from ray_subsel.stages.embed import EmbedTask, embed_shard, missing_shards, open_embeddings, pool_size
from ray_subsel.storage.embedding_store import part_name
from ray_subsel.storage.run_directory import RunDir


class Letters:
    """Counts of a and b, and how often it was asked."""

    dimension = 2

    def __init__(self):
        self.seen = []

    def embed(self, texts):
        self.seen += texts
        counts = np.array([[text.count("a") + 1, text.count("b") + 1] for text in texts], dtype=np.float32)
        return counts / np.linalg.norm(counts, axis=1, keepdims=True)


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(["aab", "b", "aab", "abab", "b", "b", "a"] + ["a" * i for i in range(2, 12)]) + "\n")
    return ingest(CorpusConfig(data=(str(path),), format="text"), RunDir(str(tmp_path / "run")))


def task(rows, copies="collapse", partitions=2, **embed):
    return EmbedTask(rows, CorpusConfig(format="text", copies=copies), EmbedConfig(**embed), partitions, 0, "cpu")


def all_items(rows, partitions=2):
    store = open_embeddings(rows)
    assert store.partitions == partitions
    items = store.read_all()
    return items.ids, items.vectors, items.columns["multiplicity"]


def test_each_distinct_text_is_embedded_once(rows):
    letters = Letters()
    for shard in range(rows.shards):
        embed_shard(task(rows), letters, shard)
    assert len(letters.seen) == len(set(letters.seen)) == 14
    ids, vectors, multiplicity = all_items(rows)
    assert ids[:4].tolist() == [0, 1, 3, 6]
    assert multiplicity[:4].tolist() == [2, 3, 1, 1]
    assert np.allclose(vectors[0], np.array([3, 2]) / np.sqrt(13))


def test_kept_copies_share_the_one_vector(rows):
    letters = Letters()
    for shard in range(rows.shards):
        embed_shard(task(rows, copies="keep"), letters, shard)
    assert len(letters.seen) == 14
    ids, vectors, multiplicity = all_items(rows)
    assert ids.tolist() == list(range(17))
    assert multiplicity.tolist() == [1] * 17
    assert np.array_equal(vectors[0], vectors[2])
    assert np.array_equal(vectors[1], vectors[5])


def test_vectors_of_texts_are_rounded_to_the_type_on_disk(rows):
    for shard in range(rows.shards):
        embed_shard(task(rows), Letters(), shard)
    ids, wide, _ = all_items(rows)
    for shard in range(rows.shards):
        embed_shard(task(rows, vectors_dtype="float16"), Letters(), shard)
    assert open_embeddings(rows).dtype == "float16"
    again, halves, _ = all_items(rows)
    assert np.array_equal(again, ids)
    assert np.array_equal(halves, wide.astype(np.float16))
    assert not np.array_equal(halves, wide)


def test_only_missing_shards_are_made_and_lost_rows_are_noticed(rows):
    assert missing_shards(rows) == list(range(rows.shards))
    full = [s for s in range(rows.shards) if rows.shard(s, ["id"]).num_rows]
    for shard in range(rows.shards):
        embed_shard(task(rows), Letters(), shard)
    rows.run.delete(part_name(full[0]))
    assert missing_shards(rows) == [full[0]]
    # A part with fewer rows than its shard: some earlier corpus's, say.
    empty = next(s for s in range(rows.shards) if s != full[0])
    rows.run.write_bytes(part_name(full[0]), rows.run.read_bytes(part_name(empty)))
    with pytest.raises(InputError, match="embeddings must account for 17 rows; got"):
        open_embeddings(rows)


def test_pools_by_hand():
    here = Resources(cpus=2, gpus=0, nodes=1, local=True)
    assert pool_size(None, None, here) == (2, 0.0)
    assert pool_size(5, None, here) == (5, 0.0)
    assert pool_size(None, None, Resources(cpus=16, gpus=4, nodes=2, local=False)) == (4, 1.0)
    assert pool_size(None, 0.5, Resources(cpus=16, gpus=2, nodes=2, local=False)) == (4, 0.5)
    assert pool_size(None, 0.0, Resources(cpus=16, gpus=2, nodes=2, local=False)) == (16, 0.0)
    with pytest.raises(InputError, match="num_gpus must be at most what Ray has; got 1 of 0. Use --num-gpus 0"):
        pool_size(None, 1.0, here)
    # A cluster at rest has no GPUs yet: they come when they are asked for.
    assert pool_size(4, 1.0, Resources(cpus=2, gpus=0, nodes=1, local=False)) == (4, 1.0)


def test_vectors_of_another_version_of_an_embedder_are_refused(tmp_path, capsys):
    """A directory of TF-IDF from before texts were folded is not resumed: its vectors are of other words."""
    path = tmp_path / "texts.txt"
    path.write_text("caf\xe9 one\ncafe\u0301 two\nthree\n")
    command = ["embed", str(path), "--embedder", "tfidf", "--out", str(tmp_path / "run")]
    assert main(command) == 0
    manifest = tmp_path / "run" / "manifest.json"
    content = json.loads(manifest.read_text())
    content["stages"]["embed"]["settings"]["model_fingerprint"] = "tfidf"
    manifest.write_text(json.dumps(content))
    assert main(command) == 2
    said = capsys.readouterr().err
    assert "embed.model_fingerprint: 'tfidf' there, 'tfidf-2' here). Use another --out, or --overwrite" in said
    assert main([*command, "--overwrite"]) == 0


@pytest.mark.parametrize(
    ("libraries", "vectors", "planned"),
    [(("json", "a_library_that_is_not_loaded"), None, False), (("json",), None, True), ((), None, True),
     (("a_library_that_is_not_loaded",), "v", True)],
)  # fmt: skip
def test_no_library_is_loaded_to_tell_how_rows_were_embedded(monkeypatch, libraries, vectors, planned):
    plan = EmbeddingPlan(False, 3, 5)
    monkeypatch.setattr(embed, "embedding_of", lambda *given: plan)
    kind = SimpleNamespace(embedder_class=SimpleNamespace(libraries=libraries))
    context = SimpleNamespace(config=SimpleNamespace(embed=kind, corpus=SimpleNamespace(vectors=vectors)))
    assert embed.embedding_done(context, None, 8) == (plan if planned else EmbeddingPlan(True, 1, 0))
