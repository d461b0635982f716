"""The best of equal texts, and of near copies, leads: in runs, in memory, over partitions."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_subsel import select
from ray_subsel.config import CorpusConfig, EmbedConfig, FilterConfig, RunConfig, RuntimeConfig, SelectConfig
from ray_subsel.core.errors import InputError
from ray_subsel.pipeline import run
from ray_subsel.planning.policy import DEFAULT_POLICY, ON_RAY
from tests.corpus.inputs import write_csv, write_parquet

N, D = 240, 8
DRAW = np.random.default_rng(0)
ORIGIN = DRAW.integers(80, size=N)
X = (DRAW.normal(size=(80, D))[ORIGIN] + 0.03 * DRAW.normal(size=(N, D))).astype(np.float32)
X[::6] = X[3::6]  # equal rows
SCORE = DRAW.integers(10, size=N) / 10.0
EQUAL = {tuple(row): np.flatnonzero((row == X).all(axis=1)) for row in X}


def best_of(rows):
    return min(rows.tolist(), key=lambda row: (-SCORE[row], row))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    column = pa.FixedSizeListArray.from_arrays(X.reshape(-1), D)
    path = tmp_path_factory.mktemp("corpus") / "x.parquet"
    return write_parquet(path, {"v": column, "score": SCORE.tolist(), "kind": [f"k{i}" for i in range(N)]})


def best_run(corpus, out, *, policy=DEFAULT_POLICY, watch=None, best="score", columns=None, **options):
    config = RunConfig(
        corpus=CorpusConfig(data=(corpus,), **(columns or {"vectors": "v", "label": "kind"})),
        embed=EmbedConfig(embedder="tfidf", vector_size=8),
        select=SelectConfig(**{"k": 20, "recipe": "none", **options}),
        filters=FilterConfig(keep_best=best),
        runtime=RuntimeConfig(out=str(out), workers=1),
    )
    return run(config, policy=policy, watch=watch)


def table(out, name="selection.parquet"):
    return pq.read_table(out / name).to_pylist()


def groups(out):
    return pa.concat_tables([pq.read_table(path) for path in sorted((out / "groups").glob("*.parquet"))]).sort_by("id")


def test_the_best_of_equal_rows_is_published(corpus, tmp_path):
    k = len(EQUAL)
    report = best_run(corpus, tmp_path / "out", k=k)
    assert {one["id"]: one["rows"] for one in table(tmp_path / "out")} == {
        best_of(rows): rows.tolist() for rows in EQUAL.values()
    }
    shown = {one["id"]: (one["score"], one["kind"]) for one in table(tmp_path / "out", "subset.parquet")}
    assert shown == {best_of(rows): (SCORE[best_of(rows)], f"k{best_of(rows)}") for rows in EQUAL.values()}
    told = pq.read_table(tmp_path / "out" / "decisions.parquet").to_pylist()
    for rows in EQUAL.values():
        for row in rows.tolist():
            chosen_row = row == best_of(rows)
            assert told[row]["status"] == ("chosen" if chosen_row else "exact copy")
            assert told[row]["of"] == (None if chosen_row else best_of(rows))
    renamed = sum(best_of(rows) != rows[0] for rows in EQUAL.values())
    assert report["best"]["renamed"] == renamed > 10
    assert best_run(corpus, tmp_path / "out", k=k)["best"] == report["best"]  # resumed
    few = best_run(corpus, tmp_path / "limits", k=2, floors=(f"k{best_of(EQUAL[tuple(X[0])])}=1",))
    assert best_of(EQUAL[tuple(X[0])]) in {one["id"] for one in table(tmp_path / "limits")}  # labelled as its best row
    assert few["selection"]["k"] == 2


def test_the_best_of_near_copies_leads(corpus, tmp_path):
    best_run(corpus, tmp_path / "out", near=0.97)
    here = select(X, 20, recipe="none", near=0.97, keep_best=SCORE)
    assert [one["id"] for one in table(tmp_path / "out")] == here.indices.tolist()
    found = groups(tmp_path / "out").to_pydict()
    unit = (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float64)
    items = [best_of(rows) for rows in EQUAL.values()]
    assert found["id"] == sorted(items)
    leader = dict(zip(found["id"], found["leader"]))
    kept = sorted(set(leader.values()))
    order = sorted(items, key=lambda row: (-SCORE[row], row))
    for row in items:  # each joins the best kept one that it reaches
        reached = [one for one in order if one in kept and unit[one] @ unit[row] >= 0.97]
        assert leader[row] == (row if row in kept else reached[0])
        assert SCORE[leader[row]] >= SCORE[row]
    assert (np.triu(unit[kept] @ unit[kept].T, 1) < 0.97).all()  # no two kept ones reach the threshold
    told = pq.read_table(tmp_path / "out" / "decisions.parquet").to_pylist()
    joined = [row for row in items if leader[row] != row]
    assert {row for row in range(N) if told[row]["status"] == "near copy"} == set(joined)
    assert all(told[row]["of"] == leader[row] for row in joined if leader[row] in here.indices)
    plain = select(X, 20, recipe="none", near=0.97)
    assert SCORE[here.indices].mean() > SCORE[plain.indices].mean() + 0.1


@pytest.mark.usefixtures("ray_session")
def test_on_ray(corpus, tmp_path):
    for name, policy in (("here", DEFAULT_POLICY), ("ray", ON_RAY)):
        best_run(corpus, tmp_path / name, policy=policy, near=0.97, partitions=3)
    for name in ("selection.parquet", "groups/part-00000.parquet"):
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "ray" / name).read_bytes()


@pytest.mark.parametrize("moment", ["best/part-00003", "near/order/part-00002", "near/pieces/part-00001", "leaders/"])
def test_a_killed_run_goes_on(corpus, tmp_path, moment):
    best_run(corpus, tmp_path / "whole", near=0.97)
    written = []

    def watch(event, name):
        if event == "write":
            written.append(name)
            if moment is not None and name.startswith(moment):
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        best_run(corpus, tmp_path / "out", near=0.97, watch=watch)
    done = [name for name in written[:-1] if name.startswith(("best/", "near/"))]
    written.clear()
    moment = None
    best_run(corpus, tmp_path / "out", near=0.97, watch=watch)
    assert not {name for name in done if "order" not in name and "begun" not in name} & set(written)
    assert table(tmp_path / "out") == table(tmp_path / "whole")
    assert groups(tmp_path / "out").equals(groups(tmp_path / "whole"))


def test_texts_whose_score_is_missing_lead_none(tmp_path):
    rows = [["a cat", "x"], ["a dog", "1"], ["a cat", "0.5"], ["a dog", "1.0"], ["a bird", ""]]
    data = write_csv(tmp_path / "a.csv", ["text", "score"], rows)
    columns = {"text": ("text",)}
    report = best_run(data, tmp_path / "out", columns=columns, k=3)
    assert sorted(one["id"] for one in table(tmp_path / "out")) == [1, 2, 4]
    assert report["warnings"][0] == "2 rows have no number in score: they lead no row that has one"
    with pytest.raises(InputError, match="keep_best must be a column with a number; got none in column text"):
        best_run(data, tmp_path / "none", columns=columns, best="text", k=3)
    with pytest.raises(InputError, match=r"keep_best must be a column of .*a\.csv; got 'stars'"):
        best_run(data, tmp_path / "no", columns=columns, best="stars", k=3)
    with pytest.raises(InputError, match=r"select\.embed"):
        best_run(data, tmp_path / "out", columns=columns, best=None, k=3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"keep_best": SCORE}, "keep_best must go with near; got near=None"),
        ({"keep_best": SCORE[1:], "near": 0.9}, "keep_best must be 240 numbers"),
        ({"keep_best": np.full(N, np.nan), "near": 0.9}, "keep_best must be finite"),
    ],
)
def test_bad_values_are_one_line(settings, message):
    with pytest.raises(InputError, match=message):
        select(X, 5, recipe="none", **settings)


def test_an_included_row_stands_for_its_group(corpus):
    rows = EQUAL[tuple(X[0])]
    worse = next(row for row in rows.tolist() if row != best_of(rows))
    found = select(X, 20, recipe="none", near=0.97, keep_best=SCORE, include=[worse])
    assert found.indices[0] == worse
    assert best_of(rows) not in found.indices


def test_a_constant_value_changes_nothing():
    plain = select(X, 20, recipe="none", near=0.97)
    assert select(X, 20, recipe="none", near=0.97, keep_best=np.ones(N)).indices.tolist() == plain.indices.tolist()


def test_groups_of_their_own_take_no_best(corpus, tmp_path):
    columns = {"vectors": "v", "label": "kind", "group": "score"}
    with pytest.raises(InputError, match="keep_best must be left out with per"):
        best_run(corpus, tmp_path / "out", columns=columns, per="score", k=1)
    with pytest.raises(InputError, match="keep_best must be left out with per"):
        select(X, 2, near=0.97, keep_best=SCORE, per=np.arange(N) % 2)
