"""The stage that drops doubtful labels and outliers: what, why, and the same whatever does the work."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_subsel import select
from ray_subsel.config import CorpusConfig, EmbedConfig, FilterConfig, RunConfig, RuntimeConfig, SelectConfig
from ray_subsel.core.errors import InputError
from ray_subsel.core.unit_rows import unit_rows
from ray_subsel.dedup.clusters import Centres
from ray_subsel.filters.neighbours import nearest_neighbours
from ray_subsel.pipeline import run
from ray_subsel.planning.policy import DEFAULT_POLICY, ON_RAY
from ray_subsel.report import render_html
from ray_subsel.report.terminal import summary_text
from ray_subsel.stages.drop_doubtful import ScoreTask, score
from ray_subsel.storage.run_directory import RunDir
from tests.corpus.inputs import write, write_parquet
from tests.stores import write_store

N, D, CLASSES = 300, 16, 5
DRAW = np.random.default_rng(0)
TRUTH = DRAW.integers(CLASSES, size=N)
X = (DRAW.normal(size=(CLASSES, D))[TRUTH] + 0.25 * DRAW.normal(size=(N, D))).astype(np.float32)
X[200:205] = 3.0 * DRAW.normal(size=(5, D))  # outliers
X[290] = X[10]  # a copy: one item of two rows
LABELS = np.array([f"class {one}" for one in TRUTH], dtype=object)
FLIPPED = DRAW.choice(np.setdiff1d(np.arange(N), [10, 290, *range(200, 205)]), 20, replace=False)
LABELS[FLIPPED] = [f"class {(TRUTH[one] + 1) % CLASSES}" for one in FLIPPED]
LABELS[290] = LABELS[10]
LABELS[77] = ""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    column = pa.FixedSizeListArray.from_arrays(X.reshape(-1), D)
    path = tmp_path_factory.mktemp("corpus") / "x.parquet"
    return write_parquet(path, {"v": column, "label": LABELS.tolist(), "name": [f"own{i}" for i in range(N)]})


def drop_run(corpus, out, *, policy=DEFAULT_POLICY, watch=None, label="label", filters=None, **options):
    config = RunConfig(
        corpus=CorpusConfig(data=(corpus,), vectors="v", label=label, id="name"),
        embed=EmbedConfig(),
        select=SelectConfig(**{"k": 10, "recipe": "none", **options}),
        filters=FilterConfig(**(filters or {"drop_label_noise": 0.06, "drop_outliers": 0.02})),
        runtime=RuntimeConfig(out=str(out), workers=1),
    )
    return run(config, policy=policy, watch=watch)


def lines(out):
    return pq.read_table(out / "dropped.parquet").to_pylist()


def chosen(out):
    return pq.read_table(out / "selection.parquet")["id"].to_pylist()


@pytest.fixture(scope="module")
def whole(corpus, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "out"
    return drop_run(corpus, out, k=250), out


def test_flipped_labels_and_far_rows_are_dropped_and_listed(whole):
    report, out = whole
    found = lines(out)
    noise = [one for one in found if one["kind"] == "label_noise"]
    far = [one for one in found if one["kind"] == "outlier"]
    assert (len(noise), len(far)) == (17, 5)  # floor(0.06 * 299), floor(0.02 * 299)
    assert len({one["id"] for one in noise} & set(FLIPPED.tolist())) > 12  # by chance one
    assert set(range(200, 205)) <= {one["id"] for one in found}  # doubtful labels come first
    assert len({one["id"] for one in far} & set(range(200, 205))) > 2
    assert [one["id"] for one in found] == sorted(one["id"] for one in found)
    assert not {one["id"] for one in found} & set(chosen(out))
    one = noise[0]
    assert one["source_id"] == f"own{one['id']}"
    assert one["label"] == LABELS[one["id"]]
    assert one["neighbour_labels"] == [LABELS[row] or None for row in one["neighbours"]]
    assert len(one["neighbours"]) == 10
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    cosines = unit[one["neighbours"]] @ unit[one["id"]]
    others = np.array([label != one["label"] for label in one["neighbour_labels"]])
    assert one["score"] == pytest.approx(cosines[others].sum() / cosines.sum(), abs=1e-5)
    assert one["cosine"] == pytest.approx(cosines.mean(), abs=1e-5)
    assert far[0]["score"] == far[0]["cosine"]
    assert report["selection"]["n"] == 299 - 22
    assert report["drop"]["kinds"] == {"label_noise": 17, "outlier": 5}
    assert "dropped   22 doubtful items (label_noise 17, outlier 5), see dropped.parquet" in summary_text(report, "out")
    assert "items dropped: label_noise 17, outlier 5" in render_html(report)
    assert not (out / "neighbours").exists()
    told = {one["id"]: one for one in pq.read_table(out / "decisions.parquet").to_pylist()}
    assert [row for row, one in told.items() if one["status"] == "label noise"] == [one["id"] for one in noise]
    assert [row for row, one in told.items() if one["status"] == "outlier"] == [one["id"] for one in far]
    count = sum(label not in (None, one["label"]) for label in one["neighbour_labels"])
    assert f"{count} of 10 nearest neighbours have another label than {one['label']}" in told[one["id"]]["reason"]


@pytest.mark.parametrize("options", [{}, {"near": 0.97}])
def test_as_in_memory(corpus, tmp_path, options):
    drop_run(corpus, tmp_path / "out", **options)
    rows = np.delete(np.arange(N), 290)  # equal vectors are one item of a run
    here = select(
        X[rows], 10, recipe="none", labels=LABELS[rows], drop_label_noise=0.06, drop_outliers=0.02, **options
    )  # fmt: skip
    assert chosen(tmp_path / "out") == rows[here.indices].tolist()
    found = lines(tmp_path / "out")
    assert [one["id"] for one in found] == rows[here.left_out.rows].tolist()
    assert [one["kind"] for one in found] == here.left_out.kind.tolist()
    assert [one["neighbours"] for one in found] == rows[here.left_out.neighbours].tolist()
    np.testing.assert_allclose([one["score"] for one in found], here.left_out.score, atol=1e-7)


@pytest.mark.parametrize("in_parts", [False, True])
def test_scores_of_parts_are_those_of_clusters(tmp_path, in_parts):
    """Each item is scored within its cluster, whatever partition the cluster lies in."""
    centres = Centres(np.eye(D)[:3])
    clusters = centres.nearest(unit_rows(X))
    store = write_store(RunDir(str(tmp_path)), X / np.linalg.norm(X, axis=1, keepdims=True), shards=3, partitions=1)
    if in_parts:

        class ByCluster:
            name, partitions = "by cluster", 3

            def of(self, items):
                return centres.nearest(unit_rows(items.vectors)) if len(items) else np.zeros(0, dtype=np.int64)

        store = store.replaced([store.arrange(ByCluster(), shard) for shard in store.numbers])
    task = ScoreTask(None, store, centres, None, None)
    found = {}
    for part in range(task.parts):
        score(task, part)
        for row in store.run.read_table(task.name(part)).to_pylist():
            found[row["id"]] = row
    assert sorted(found) == list(range(N))
    for cluster in range(3):
        own = np.flatnonzero(clusters == cluster)
        near = nearest_neighbours(unit_rows(X[own]))
        for place, row in enumerate(own.tolist()):
            assert found[row]["neighbours"] == own[near.places[place][near.known[place]]].tolist()
            assert found[row]["closeness"] == pytest.approx(near.closeness()[place], abs=1e-6)


@pytest.mark.usefixtures("ray_session")
def test_on_ray(corpus, tmp_path, whole):
    drop_run(corpus, tmp_path / "out", k=250, policy=ON_RAY)
    assert (tmp_path / "out" / "dropped.parquet").read_bytes() == (whole[1] / "dropped.parquet").read_bytes()


@pytest.mark.parametrize("moment", ["neighbours/1/part-00000", "kept/part-00003", "dropped"])
def test_a_killed_run_goes_on(corpus, tmp_path, whole, moment):
    written = []

    def watch(event, name):
        if event == "write":
            written.append(name)
            if moment is not None and name.startswith(moment):
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        drop_run(corpus, tmp_path / "out", k=250, watch=watch)
    done = [name for name in written[:-1] if name.startswith(("neighbours/", "kept/"))]
    written.clear()
    moment = None
    drop_run(corpus, tmp_path / "out", k=250, watch=watch)
    assert not set(done) & set(written)
    assert lines(tmp_path / "out") == lines(whole[1])
    assert chosen(tmp_path / "out") == chosen(whole[1])
    written.clear()
    drop_run(corpus, tmp_path / "out", k=250, watch=watch)  # as before
    assert not [name for name in written if name.endswith(".parquet")]


def test_named_rows_and_floors_stay(corpus, tmp_path, whole):
    noise = [one for one in lines(whole[1]) if one["kind"] == "label_noise"]
    include = write(tmp_path / "in.txt", f"own{noise[0]['id']}\n")
    exclude = write(tmp_path / "ex.txt", f"own{noise[1]['id']}\n")
    drop_run(corpus, tmp_path / "out", include=include, exclude=exclude)
    dropped = {one["id"] for one in lines(tmp_path / "out")}
    assert not {noise[0]["id"], noise[1]["id"]} & dropped
    assert len(dropped) == 22  # others in their place
    assert chosen(tmp_path / "out")[0] == noise[0]["id"]
    label = noise[0]["label"]
    sizes = {name: int((LABELS == name).sum()) for name in set(LABELS)}
    drop_run(corpus, tmp_path / "floor", k=200, floors=(f"{label}={sizes[label] - 1}",))
    assert sum(one["label"] == label for one in lines(tmp_path / "floor")) <= 1
    report = drop_run(corpus, tmp_path / "all", filters={"drop_label_noise": 1.0})
    assert report["drop"]["kinds"]["label_noise"] < 299
    assert "of the others no label is doubted" in report["warnings"][0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"label": None}, "drop_label_noise must go with label; got no --label. Use --label COLUMN"),
        ({"filters": {"drop_outliers": 1.0}}, "drop_outliers must leave items to choose from; got all 299"),
    ],
)
def test_bad_settings_are_one_line(corpus, tmp_path, settings, message):
    with pytest.raises(InputError, match=message):
        drop_run(corpus, tmp_path / "out", **settings)


def test_other_shares_are_another_run(corpus, whole):
    with pytest.raises(InputError, match=r"drop\.outliers: 0\.02 there, 0\.03 here"):
        drop_run(corpus, whole[1], k=250, filters={"drop_label_noise": 0.06, "drop_outliers": 0.03})
