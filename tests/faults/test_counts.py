"""No row is dropped in silence: from each stage to the next the counts are checked, and a row less stops the run."""

import dataclasses
import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from ray_subsel.config import CorpusConfig, EmbedConfig, SelectConfig
from ray_subsel.core.errors import InputError
from ray_subsel.corpus.ingest import ingest
from ray_subsel.corpus.rows import RowStore
from ray_subsel.dedup.settings import NearSettings
from ray_subsel.planning.policy import Policy
from ray_subsel.runtime.progress import NullProgress
from ray_subsel.stages import deduplicate, embed, select_exact
from ray_subsel.stages.embed import EmbedTask, embed_shard, open_embeddings
from ray_subsel.stages.select_greedi import choose, reduce, solve_node
from ray_subsel.stages.selection_job import plan_selection
from ray_subsel.storage.embedding_store import EmbeddingStore, read_meta
from ray_subsel.storage.run_directory import RunDir
from tests.stores import write_store


@pytest.fixture
def corpus(tmp_path):
    lines = [f"text {i % 20}" if i % 6 else "" for i in range(60)]
    (tmp_path / "a.txt").write_text("\n".join(lines) + "\n")
    return CorpusConfig(data=(str(tmp_path / "a.txt"),), format="text", max_rejected=0.5)


@pytest.fixture
def run(tmp_path):
    return RunDir(str(tmp_path / "run"))


@pytest.fixture
def store(run):
    """Three parts of 40 items in four partitions; item 3 i of shard 0 is a near copy of item 3 i + 1 of shard 1."""
    X = np.random.default_rng(0).normal(size=(120, 6)).astype(np.float32) + 0.3
    X[0::3] = X[1::3] + 0.01
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    return write_store(run, X, shards=3, partitions=4)


CONFIG = SelectConfig(k=12, partitions=4, recipe="none")


def rewrite(run, name, change):
    """Write a Parquet file again, changed, with the same metadata."""
    table = change(run.read_table(name))
    pq.write_table(table, run.path(name))


@pytest.mark.fault
@pytest.mark.parametrize("lost", ["part", "reject"])
def test_what_is_read_is_kept_or_rejected(corpus, run, lost):
    """Input to corpus: a unit that was read before the rerun lost a part, or a reject."""
    ingest(corpus, run)
    index = run.read_json("rows/index.json")
    assert (index["n_read"], sum(part["rows"] for part in index["parts"])) == (60, 50)
    run.delete("rows/index.json")
    rejects = run.read_table("rejected.parquet")
    run.write_table("rows/rejected-00000-00000.parquet", rejects.slice(0, 9) if lost == "reject" else rejects)
    marker = {
        "file": corpus.data[0], "rows": 60, "rejected": 10, "reasons": index["rejected_by_reason"],
        "examples": {reason: example[1:] for reason, example in index["reject_examples"].items()},
        "reject_files": ["rows/rejected-00000-00000.parquet"], "shape": {"kinds": {}},
        "parts": index["parts"] if lost == "reject" else [],
    }  # fmt: skip
    run.write_json("rows/unit-00000.json", marker)
    with pytest.raises(InputError, match=r"rows must account for 60 rows; got (50 and 9|0 and 10) rejected\. Delete"):
        ingest(corpus, run)


@pytest.mark.fault
def test_a_row_that_a_part_of_the_corpus_lost_stops_whoever_reads_it(corpus, run):
    rows = ingest(corpus, run)
    rewrite(run, rows.index["parts"][0]["name"], lambda table: table.slice(1))
    for read in (
        lambda: rows.shard(0),
        lambda: rows.take([1]),
        rows.ids,
        lambda: embed_shard(EmbedTask(rows, corpus, EmbedConfig(), 1, 0, "cpu"), None, 0),
    ):
        with pytest.raises(InputError, match=r"part-00000-00000\.parquet must hold 50 rows; got 49\. Delete it"):
            read()


@pytest.mark.fault
def test_rows_that_the_embeddings_lost_stop_the_run(corpus, run):
    rows = ingest(corpus, run)

    class Ones:
        dimension = 2

        def embed(self, texts):
            return np.ones((len(texts), 2), dtype=np.float32)

    for shard in range(rows.shards):
        embed_shard(EmbedTask(rows, corpus, EmbedConfig(), 1, 0, "cpu"), Ones(), shard)
    assert open_embeddings(rows).rows == 50
    fewer = json.loads(json.dumps(rows.index))
    full = next(shard for shard in range(rows.shards) if rows.shard(shard).num_rows)
    fewer["parts"][0]["shard_rows"][full] = 0
    embed_shard(EmbedTask(RowStore(run, fewer), corpus, EmbedConfig(), 1, 0, "cpu"), Ones(), full)
    with pytest.raises(InputError, match=r"embeddings must account for 50 rows; got \d+\. Delete the folder"):
        open_embeddings(rows)


@pytest.mark.fault
def test_an_item_that_a_part_lost_stops_the_run(run, store):
    rewrite(run, "embeddings/part-00001.parquet", lambda table: table.slice(1))
    with pytest.raises(InputError, match=r"part-00001\.parquet must hold 40 items; got 39\. Delete it"):
        read_meta(run, 1)


@pytest.mark.fault
def test_an_item_that_moved_to_another_partition_stops_the_run(run, store):
    meta = store.meta(0)
    moved = (meta.partition_items[0] - 1, meta.partition_items[1] + 1, *meta.partition_items[2:])
    with pytest.raises(InputError, match=r"part-00000\.parquet must hold \d+ items of partition 0; got \d+"):
        EmbeddingStore(run, (dataclasses.replace(meta, partition_items=moved),)).read_partition(0)


@pytest.mark.fault
@pytest.mark.parametrize("lost", ["leaders/part-00001.parquet", "groups/part-00001.parquet", "leaders/last"])
def test_groups_that_are_lost_are_made_again(run, store, lost):
    task = deduplicate.NearTask(store, NearSettings(0.9, cluster_size=30, exact_items=0, bucket_numbers=40 * store.d))
    leaders, about = deduplicate.collapse(task, in_process=True, bar=NullProgress())
    assert about.items - about.kept > 20
    assert len(leaders.shards) > 2
    assert deduplicate.accounted(store)
    run.delete(lost.replace("last", f"part-{len(leaders.shards) - 1:05d}.parquet"))
    assert not deduplicate.accounted(store)
    again, _ = deduplicate.collapse(task, in_process=True, bar=NullProgress())
    assert [(meta.shard, meta.items, meta.rows) for meta in again.shards] == [
        (meta.shard, meta.items, meta.rows) for meta in leaders.shards
    ]


@pytest.mark.fault
def test_candidates_that_come_of_fewer_items_are_refused(run, store):
    job = plan_selection(store, CONFIG, 12)
    choose(store, job, bar=NullProgress())
    full = run.read_bytes("candidates/part-00002.parquet")
    rewrite(run, "candidates/part-00002.parquet", lambda table: table.slice(0, table.num_rows - 1))
    with pytest.raises(InputError, match=r"part-00002\.parquet must hold the 6 candidates of \d+ items; got 5 of"):
        choose(store, job, bar=NullProgress())
    run.write_bytes("candidates/part-00002.parquet", full)
    fewer = EmbeddingStore(run, store.shards[:2])
    less = plan_selection(fewer, CONFIG, 12)
    solve_node(fewer, less, less.tree.levels[0][2])
    with pytest.raises(InputError, match=r"part-00002\.parquet must hold the 6 candidates of \d+ items; got 6 of"):
        choose(store, job, bar=NullProgress())


@pytest.mark.fault
def test_the_last_round_counts_the_ground_set(run, store):
    job = plan_selection(store, CONFIG, 12)
    choose(store, job, bar=NullProgress())
    with pytest.raises(InputError, match="partitions must hold 121 items together"):
        reduce(store, dataclasses.replace(job, n=121))


@pytest.mark.fault
@pytest.mark.usefixtures("ray_session")
@pytest.mark.parametrize("here", [True, False])
def test_mode_exact_counts_the_ground_set(run, store, here):
    job = plan_selection(store, CONFIG, 12, policy=Policy() if here else Policy(in_process_numbers=0))
    with pytest.raises(InputError, match="must hold 121 items together; got 120"):
        select_exact.choose_exactly(store, dataclasses.replace(job, n=121), bar=NullProgress(), processes=2)


def test_shards_without_a_part_are_missing(corpus, run):
    rows = ingest(corpus, run)
    assert embed.missing_shards(rows) == list(range(rows.shards))
    assert rows.missing_parts() == []
    run.delete(rows.index["parts"][0]["name"])
    assert rows.missing_parts() == ["rows/part-00000-00000.parquet"]
