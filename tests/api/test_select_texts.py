"""Texts of any kind in, the same kind out."""

import collections
import json
import re
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ray_subsel
from ray_subsel import InputError, embed, select, select_texts
from ray_subsel.cli import main

WORDS = "red blue bird cat house lake train late old cold ran sang boat tea cake snow".split()


def sentence(i):
    rng = np.random.default_rng(i)
    return " ".join(rng.choice(WORDS, size=5))


TEXTS = [sentence(i % 37) for i in range(50)]
"""50 rows, 37 distinct."""
LABELS = ["ab"[i % 2] for i in range(50)]


def chosen_of(texts, k=9, **options):
    options = {"embedder": "tfidf", "vector_size": 64, "cache": False, **options}
    return select_texts(texts, k, return_selection=True, **options)


ROWS = chosen_of(TEXTS)[1].indices


def frame():
    return pd.DataFrame({"text": TEXTS, "label": LABELS, "n": range(50)}, index=[f"r{i}" for i in range(50)])


def arrow():
    return pa.table(
        {"text": TEXTS, "label": pa.array(LABELS).dictionary_encode(), "nested": [{"a": [i]} for i in range(50)]}
    )


def polars_frame():
    return pytest.importorskip("polars").DataFrame({"text": TEXTS, "n": list(range(50))})


def dataset():
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["a", "b"]), "n": datasets.Value("int16")}
    )
    return datasets.Dataset.from_dict({"text": TEXTS, "label": LABELS, "n": list(range(50))}, features=features)


def relation():
    duckdb = pytest.importorskip("duckdb")
    rows = arrow().select(["text"]).append_column("n", pa.array(range(50)))  # noqa: F841 - DuckDB finds it by its name
    return duckdb.sql("select text, n from rows")


def same_list(got):
    assert got == [TEXTS[row] for row in ROWS]


def same_frame(got):
    pd.testing.assert_frame_equal(got, frame().iloc[ROWS])


def same_arrow(got):
    assert got.schema == arrow().schema
    assert got.equals(arrow().take(ROWS))


def same_dataset(got):
    assert got.features == dataset().features
    assert got["n"] == ROWS.tolist()
    assert got.features["label"].int2str(got["label"]) == [LABELS[row] for row in ROWS]


KINDS = {
    "list": (lambda: TEXTS, same_list),
    "tuple": (lambda: tuple(TEXTS), lambda got: same_list(list(got)) or isinstance(got, tuple) or pytest.fail("kind")),
    "records": (
        lambda: [{"text": text, "n": n} for n, text in enumerate(TEXTS)],
        lambda got: np.testing.assert_array_equal([record["n"] for record in got], ROWS),
    ),
    "numpy": (lambda: np.array(TEXTS), lambda got: same_list(got.tolist())),
    "objects": (lambda: np.array(TEXTS, dtype=object), lambda got: same_list(got.tolist())),
    "series": (lambda: frame()["text"], lambda got: pd.testing.assert_series_equal(got, frame()["text"].iloc[ROWS])),
    "pandas": (frame, same_frame),
    "arrow": (arrow, same_arrow),
    "chunked": (lambda: arrow()["text"], lambda got: same_list(got.to_pylist())),
    "polars": (polars_frame, lambda got: got.equals(polars_frame()[ROWS.tolist()]) or pytest.fail("rows")),
    "polars series": (lambda: polars_frame()["text"], lambda got: same_list(got.to_list())),
    "dataset": (dataset, same_dataset),
    "relation": (relation, lambda got: same_list(got["text"].to_pylist()) or got["n"].to_pylist() == ROWS.tolist()),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_kind_comes_back_with_the_same_rows_in_rank_order(kind):
    make, check = KINDS[kind]
    data = make()
    got, chosen = chosen_of(data)
    assert chosen.indices.tolist() == ROWS.tolist()
    assert isinstance(got, pa.Table if kind == "relation" else type(data))
    check(got)


@pytest.mark.usefixtures("ray_session")
def test_a_ray_dataset_stays_one():
    import ray

    data = ray.data.from_arrow([arrow().slice(0, 29), arrow().slice(29)])  # a block each
    got, chosen = chosen_of(data)
    assert isinstance(got, ray.data.Dataset)
    assert chosen.indices.tolist() == ROWS.tolist()
    assert [row["nested"]["a"] for row in got.iter_rows()] == [[row] for row in ROWS.tolist()]
    assert data.context.execution_options.preserve_order is False


@pytest.mark.usefixtures("ray_session")
def test_the_example_on_ray_of_the_page_runs():
    page = (Path(__file__).parents[2] / "docs" / "python.md").read_text()
    first = re.search(r"```python\n(.*?)```", page, re.DOTALL)[1]
    [on_ray] = re.findall(r"```python title=[^\n]*Ray[^\n]*\n(.*?)```", page, re.DOTALL)
    exec(compile(first + on_ray, "docs/python.md", "exec"), {"__name__": "example"})


def test_the_command_line_chooses_the_same_rows(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS))
    command = ["select", str(path), "--text", "text", "--embedder", "tfidf", "--vector-size", "64"]
    for flags, options in (
        ([], {}),
        (["--near", "0.7"], {"near": 0.7}),
        (["--recipe", "paper"], {"recipe": "paper"}),
        (["--recipe", "paper", "--copies", "collapse"], {"recipe": "paper", "copies": "collapse"}),
        (["--objective", "graph_cut", "--near", "none"], {"objective": "graph_cut", "near": "none"}),
    ):
        out = tmp_path / f"out{len(flags)}{len(options)}{''.join(flags)}"
        assert main([*command, *flags, "--k", "9", "--out", str(out)]) == 0
        table = pq.read_table(out / "selection.parquet")
        chosen = chosen_of(TEXTS, **options)[1]
        assert chosen.indices.tolist() == table["id"].to_pylist(), flags
        assert chosen.weights.tolist() == table["weight"].to_pylist(), flags
        assert chosen.weights.sum() == 50


def test_it_is_embed_and_select_of_the_distinct_texts():
    distinct = list(dict.fromkeys(TEXTS))
    X = embed(distinct, "tfidf", vector_size=64)
    expected = select(X, 9, near=0.9)
    got, chosen = chosen_of(TEXTS)
    assert got == [distinct[item] for item in expected]
    np.testing.assert_array_equal(chosen.gains, expected.gains)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from([*WORDS, "", " ", None, " red ", "red  "]), min_size=1, max_size=30), st.data())
def test_rows_without_a_text_are_never_chosen_and_are_told(texts, data):
    usable = [row for row, text in enumerate(texts) if (text or "").strip()]
    distinct = {texts[row].strip() for row in usable}
    if not usable:
        with pytest.raises(InputError, match="texts must hold at least one text"):
            chosen_of(texts, 1)
        return
    k = data.draw(st.integers(1, len(distinct)))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        got, chosen = chosen_of(texts, k, near="none")
    lost = len(texts) - len(usable)
    lines = [str(one.message) for one in told if "cannot be chosen" in str(one.message)]
    assert len(lines) == bool(lost)
    assert all(line.startswith(f"{lost} of {len(texts)} rows") for line in lines)
    assert chosen.stats["without_text"] == lost
    assert len({text.strip() for text in got}) == k
    assert set(chosen.indices.tolist()) <= set(usable)


def test_a_label_balances_and_values_may_be_columns():
    labels = ["a"] * 40 + ["b"] * 10
    data = pa.table({"text": [sentence(i) for i in range(50)], "label": labels, "tokens": list(range(1, 51))})
    by_column, chosen = chosen_of(data, 10, label="label")
    assert any(decision.flag == "quota" for decision in chosen.decisions)
    by_values, _ = chosen_of(data, 10, label=labels)
    assert by_values.equals(by_column)
    shares = collections.Counter(by_column["label"].to_pylist())
    assert shares["b"] > 2
    priced, _ = chosen_of(data, None, costs="tokens", budget=60, near="none")
    assert sum(priced["tokens"].to_pylist()) <= 60
    grouped, _ = chosen_of(data, 10, groups="label", quotas={"a": 4}, near="none")
    assert grouped["label"].to_pylist().count("a") == 4


def test_included_and_excluded_rows():
    got, chosen = chosen_of(TEXTS, 9, include=[45, 3], exclude=[0], near="none")
    assert chosen.indices[:2].tolist() == [45, 3]  # 45 is a copy of row 8
    assert got[0] == TEXTS[45]
    assert 0 not in chosen.indices
    assert 37 not in chosen.indices  # the same text as row 0
    with pytest.raises(InputError, match="exclude must share no row with include; got row 45"):
        chosen_of(TEXTS, 9, include=[45], exclude=[8])
    with pytest.raises(InputError, match=r"include must name rows in \[0, 50\)"):
        chosen_of(TEXTS, 9, include=[50])
    with (
        pytest.raises(InputError, match="include must name rows that have a text; got row 1"),
        pytest.warns(UserWarning, match="cannot be chosen"),
    ):
        chosen_of(["a b", "", "c d"], 1, include=[1])


def test_rows_that_repeat_other_texts_are_left_out():
    other = ["nothing like it", TEXTS[5], TEXTS[5], TEXTS[7]]
    got, chosen = chosen_of(TEXTS, 9, against=pa.table({"text": other}), near="none")
    assert chosen.left_out.rows.tolist() == [5, 7, 42, 44]  # and their copies
    assert chosen.left_out.nearest.tolist() == [1, 3, 1, 3]
    assert not {TEXTS[5], TEXTS[7]} & set(got)
    told = "Row 42 was left out before the choice: it is near row 1 of against (cosine 1.0000)."
    assert chosen.explain(42) == told
    near = chosen_of(TEXTS, 9, against=other, near=0.7)[1]
    assert near.stands_for.size == 50


def test_a_target_is_texts_too_and_per_takes_k_of_each_group():
    distinct = list(dict.fromkeys(TEXTS))
    aimed = chosen_of(TEXTS, 3, target=[distinct[4]], near="none")[1]
    assert int(aimed.indices[0]) == 4  # nothing is nearer to a text than itself
    got, chosen = chosen_of(frame(), 2, per="label", near="none")
    assert got["label"].tolist() == ["a", "a", "b", "b"]
    assert chosen.explain(int(chosen.indices[3])).startswith(f"Row {chosen.indices[3]} was chosen as number 4 of 4")


def test_doubtful_rows_are_left_out_with_their_copies():
    _, chosen = chosen_of(TEXTS, 9, drop_outliers=0.1, near="none")
    distinct = list(dict.fromkeys(TEXTS))
    expected = select(embed(distinct, "tfidf", vector_size=64), 9, drop_outliers=0.1).left_out
    rows = [row for row in range(50) if row % 37 in set(expected.rows.tolist())]
    assert chosen.left_out.rows.tolist() == rows
    assert len(rows) > 0
    assert chosen.explain(rows[0]).startswith(
        f"Row {rows[0]} was left out before the choice: it is far from all others"
    )
    assert chosen.left_out.neighbours.shape == (len(rows), 10)


def test_a_fraction_is_one_of_the_rows():
    assert len(chosen_of(TEXTS, None, fraction=0.2)[0]) == 10
    with pytest.raises(InputError, match="fraction must ask for at most 37 items"):
        chosen_of(TEXTS, None, fraction=0.9)
    assert len(chosen_of(TEXTS, None, fraction=0.9, copies="keep", near="none")[0]) == 45


def test_several_columns_are_joined():
    table = pa.table({"a": ["red", None], "b": [" bird ", "cat"]})
    assert chosen_of(table, 2, text=["a", "b"])[1].indices.size == 2
    with pytest.warns(UserWarning, match="the first is row 1"):
        assert chosen_of(table, 1, text="a", near="none")[1].indices.tolist() == [0]


class Letters:
    def embed(self, texts):
        return np.array([[text.count("a") + 1, text.count("b") + 1] for text in texts], dtype=np.float64)


def test_an_embedder_of_the_caller_s_own():
    got, chosen = select_texts(["aaa", "bbb", "aab"], 2, embedder=Letters(), return_selection=True)
    assert len(got) == 2
    assert next(d for d in chosen.decisions if d.flag == "near").value == "none"  # unknown vectors keep near copies


def test_explain_knows_texts():
    texts = ["a red bird", "a blue bird", "a red bird", "", "the train is late"]
    with pytest.warns(UserWarning, match="1 of 5 rows cannot be chosen: the first is row 3"):
        _, chosen = chosen_of(texts, 1, include=[2], near="none")
    assert chosen.explain(2).startswith("Row 2 was chosen as number 1 of 1, with a gain of")
    assert chosen.explain(2).endswith("It stands for 2 rows: itself, 0.")
    assert "it is a copy of row 2 (cosine 1.0000), which was chosen as number 1 of 1." in chosen.explain(0)
    assert chosen.explain(3) == "Row 3 has nothing to be compared by (no text, or zeros), so it could not be chosen."
    assert chosen.explain(4).startswith("Row 4 was not chosen. The nearest chosen row is 2, number 1, at a cosine of")


BAD = {
    "str": (("one text", 1), {}, r"texts must be a list of texts.*got str. Put it into a list"),
    "dict": (({"text": ["a"]}, 1), {}, r"got dict. Make a table of it: pyarrow.table\(data\)"),
    "number": ((5, 1), {}, "texts must be a list of texts"),
    "numbers": (([1, 2], 1), {}, "texts must be str; got int at row 0"),
    "set": (({"a", "b"}, 1), {}, "texts must have an order"),
    "nothing": (([], 1), {}, "texts must hold at least one text; got none"),
    "no k": ((TEXTS,), {}, "k must be given, or fraction, or costs and budget"),
    "both": ((TEXTS, 3), {"fraction": 0.5}, "k must be given without fraction"),
    "k too large": ((TEXTS, 38), {}, "k must lie between 1 and 37"),
    "column": ((pa.table({"a": ["x"], "b": ["y"]}), 1), {}, "text must name the column that holds the text; got none"),
    "no column": ((pa.table({"a": ["x"], "b": ["y"]}), 1), {"text": "c"}, "text must be a column, one of a, b"),
    "type": ((pa.table({"text": [1]}), 1), {}, "text must name a column of strings; got text, of int64"),
    "label": ((TEXTS, 3), {"label": ["a"]}, "label must be the name of a column, or 50 values"),
    "label column": ((TEXTS, 3), {"label": "topic"}, "label must be a column, one of text"),
    "argument": ((TEXTS, 3), {"objectiv": "graph_cut"}, "argument must be one of .*Did you mean 'objective'"),
    "multiplicity": ((TEXTS, 3), {"multiplicity": [1] * 50}, "argument must be one of"),
    "copies": ((TEXTS, 3), {"copies": "drop"}, "copies must be one of collapse, keep"),
    "recipe": ((TEXTS, 3), {"recipe": "fast"}, "recipe must be one of"),
    "embedder": ((TEXTS, 3), {"embedder": "minim"}, "embedder must be one of"),
    "embedder object": (
        (TEXTS, 3),
        {"embedder": 5},
        r"embedder must be a name or an object with embed\(texts\); got int",
    ),
    "settings": ((TEXTS, 3), {"embedder": Letters(), "max_length": 5}, "settings must be left out with an embedder"),
    "cache": ((TEXTS, 3), {"cache": "s3://x"}, "cache must be a local folder"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_used_is_one_line(case):
    given, options, words = BAD[case]
    options = {"embedder": "tfidf", **options}
    with pytest.raises(InputError, match=words) as error:
        select_texts(*given, **options)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["IterableDataset", "DatasetDict", "LazyFrame"])
def test_what_is_near_to_a_kind_is_told_the_way(name):
    if name == "LazyFrame":
        data, way = pytest.importorskip("polars").LazyFrame({"text": TEXTS}), r"data.collect\(\)"
    else:
        datasets = pytest.importorskip("datasets")
        data = dataset().to_iterable_dataset() if name == "IterableDataset" else datasets.DatasetDict(train=dataset())
        way = "streaming=True" if name == "IterableDataset" else r"data\['train'\]"
    with pytest.raises(InputError, match=way):
        select_texts(data, 3)


def test_the_package_begins_with_texts_and_stays_light():
    assert "select_texts" in ray_subsel.__doc__.split("\n\n")[2]
    assert {"select_texts", "embed", "SubsetSelector"} <= set(dir(ray_subsel))
    with pytest.raises(AttributeError, match="no attribute 'select_text'"):
        _ = ray_subsel.select_text
    assert select_texts.__doc__.startswith("Choose a small subset of texts")


def test_frames_are_read_without_their_libraries():
    """No library of a frame is imported by the package itself."""
    import subprocess

    script = (
        "import sys; from ray_subsel import select_texts\n"
        "print(select_texts(['a b', 'c d', 'a c'], 1, embedder='tfidf'))\n"
        "print([name for name in ('polars', 'datasets', 'duckdb', 'ray', 'torch') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
