"""map.parquet: every item of a small corpus, a stated sample of a larger one, chosen ones among them."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_subsel.cli import main
from ray_subsel.stages.map import sample_items
from ray_subsel.storage.embedding_store import EmbeddingStore
from ray_subsel.storage.run_directory import RunDir


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("map")
    draw = np.random.default_rng(1)
    X = draw.normal(size=(90, 4)).astype(np.float32)
    X[80:] = X[:10]
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(X.reshape(-1)), 4)
    table = pa.table({"v": vectors, "l": [f"l{i % 3}" for i in range(90)], "t": [f"text {i % 80}" for i in range(90)]})
    pq.write_table(table, folder / "x.parquet")
    (folder / "in.txt").write_text("85\n")
    call = [
        "select",
        str(folder / "x.parquet"),
        "--vectors",
        "v",
        "--text",
        "t",
        "--label",
        "l",
        "--k",
        "12",
        "--quiet",
    ]
    assert main([*call, "--quiet", "--include", str(folder / "in.txt"), "--out", str(folder / "run")]) == 0
    return folder / "run"


def test_every_item_is_there_with_what_became_of_it(run):
    lines = pq.read_table(run / "map.parquet").to_pylist()
    told = {line["id"]: line for line in pq.read_table(run / "decisions.parquet").to_pylist()}
    assert len(lines) == 80
    assert [line["id"] for line in lines] == sorted(line["id"] for line in lines)
    for line in lines:
        assert line["status"] == told[line["id"]]["status"]
        assert line["text"] == f"text {line['id'] % 80}"
        assert line["label"] == f"l{line['id'] % 3}"
    shown = {line["id"] for line in lines if line["status"] == "chosen"}
    assert shown == set(pq.read_table(run / "selection.parquet")["id"].to_pylist())
    assert 85 in shown


def test_the_page_has_the_map(run):
    page = (run / "report.html").read_text()
    assert "All 80 rows." in page
    assert json.loads((run / "report.json").read_text())["seconds"]["map"] >= 0


def test_a_sample_has_the_first_chosen_and_others_by_hash(run):
    store = EmbeddingStore.open_folder(RunDir(str(run)), "embeddings")
    items, rows = sample_items(RunDir(str(run)), store, 20)
    assert items.size == rows.size == 20
    first = pq.read_table(run / "selection.parquet")["id"].to_pylist()[:5]
    assert set(first) <= set(rows.tolist())
    again, _ = sample_items(RunDir(str(run)), store, 20)
    assert again.tolist() == items.tolist()
