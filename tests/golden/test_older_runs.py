"""A run directory written before the layout of the package was changed: it is resumed, never misread.

``run-0.1.0.zip`` has a corpus of 120 vectors and the directory of ``subsel select corpus.parquet --vectors v --near
0.97 --k 12 --partitions 2 --out run``, as the version before the change left it. That version decided nothing, and its
objective was graph cut; so these commands say ``--recipe none``.
"""

import json
import zipfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from ray_subsel.cli import main

FROZEN = Path(__file__).with_name("run-0.1.0.zip")


@pytest.fixture
def folder(tmp_path):
    with zipfile.ZipFile(FROZEN) as archive:
        archive.extractall(tmp_path)
    return tmp_path


def select(folder, *more, out="run", recipe="none"):
    options = [
        "--recipe",
        recipe,
        "--vectors",
        "v",
        "--near",
        "0.97",
        "--k",
        "12",
        "--partitions",
        "2",
        "--out",
        str(folder / out),
    ]
    return main(["select", str(folder / "corpus.parquet"), *options, *more])


def written(folder):
    """Return when each file of the older run was written."""
    return {path: path.stat().st_mtime_ns for path in (folder / "run").rglob("*.parquet")}


def begin_again(folder, *stages):
    manifest = folder / "run" / "manifest.json"
    content = json.loads(manifest.read_text())
    for stage in stages:
        content["stages"][stage]["done"] = False
    manifest.write_text(json.dumps(content))


def same_but_for_rounding(one, other):
    """Assert that two selections are the same: the sum of all vectors was rounded otherwise in the older version."""
    assert one.drop_columns(["gain"]).equals(other.drop_columns(["gain"]))
    assert one["gain"].to_pylist() == pytest.approx(other["gain"].to_pylist(), rel=1e-12)


def test_a_finished_run_is_taken_as_it_is(folder, capsys):
    before = written(folder)
    assert select(folder) == 0
    assert before.items() <= written(folder).items()  # beside decisions.parquet, which the older version had not
    said = capsys.readouterr()
    assert "selected  12 of 57 items" in said.out
    assert all(f"{stage}: as before" in said.err for stage in ("corpus", "embed", "near", "select"))


def test_a_run_that_was_killed_goes_on_to_the_same_selection(folder):
    before, chosen = written(folder), pq.read_table(folder / "run" / "selection.parquet")
    begin_again(folder, "near", "select")
    for gone in ("selection.parquet", "subset.parquet", "candidates/part-00001.parquet", "leaders/part-00000.parquet"):
        (folder / "run" / gone).unlink()
    assert select(folder) == 0
    again = pq.read_table(folder / "run" / "selection.parquet")
    assert sum(again["weight"].to_pylist()) == 120
    same_but_for_rounding(again.drop_columns(["weight"]), chosen)  # which the older version did not tell
    embedded = {path: when for path, when in before.items() if path.parent.name == "embeddings"}
    assert len(embedded) == 8
    assert embedded.items() <= written(folder).items()


def test_the_recipe_of_today_refuses_it_with_the_flags_for_what_is_there(folder, capsys):
    before = written(folder)
    assert select(folder, recipe="auto") == 2
    assert "Add --objective graph_cut for what is there" in capsys.readouterr().err
    assert written(folder) == before
    assert select(folder, "--objective", "graph_cut", recipe="auto") == 0
    assert select(folder, "--copies", "collapse", recipe="paper") == 0
    assert before.items() <= written(folder).items()


def test_another_k_needs_overwrite_and_keeps_what_was_embedded(folder, capsys):
    before = written(folder)
    assert select(folder, "--k", "20") == 2
    assert "select.k: 12 there, 20 here" in capsys.readouterr().err
    assert written(folder) == before
    assert select(folder, "--k", "20", "--overwrite") == 0
    assert select(folder, "--k", "20", out="fresh") == 0
    chosen = [pq.read_table(folder / out / "selection.parquet") for out in ("run", "fresh")]
    assert chosen[0].num_rows == 20
    same_but_for_rounding(*chosen)
