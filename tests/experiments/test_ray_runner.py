"""An experiment spread over Ray tasks gives the cells that one process gives, and keeps each as it comes."""

import json
import runpy
import sys
from pathlib import Path

import pytest

from ray_subsel import cli
from ray_subsel.config import CorpusConfig, EmbedConfig, TrainConfig
from ray_subsel.core.errors import InputError
from ray_subsel.experiments import experiment as experiments
from ray_subsel.experiments import ray_runner
from ray_subsel.experiments.experiment import ExperimentConfig, run
from ray_subsel.experiments.grid import Bases, Cell, read_results
from ray_subsel.experiments.labelled_rows import Labelled
from ray_subsel.experiments.ray_runner import Spread, tasks_of
from ray_subsel.experiments.runner import Setup
from ray_subsel.experiments.samples import Redundancy
from ray_subsel.experiments.studies import StudyConfig, cells_of
from ray_subsel.storage.run_directory import RunDir


def experiment(files, tiny_bert, out, *, workers=None, **study):
    study = {"study": "claim", "seeds": 2, "sizes": (0.1, 0.25), "kinds": ("exact", "near"), **study}
    return ExperimentConfig(
        corpus=CorpusConfig(data=(str(files / "train.csv"),), task="story-cloze"),
        embed=EmbedConfig(embedder="bert", model=tiny_bert),
        train=TrainConfig(test=(str(files / "test.csv"),), epochs=1),
        study=StudyConfig(**study),
        out=str(out),
        workers=workers,
    )


def figures(out):
    """All but the seconds, which differ from run to run."""
    found = {}
    for result in read_results(str(out))[0]:
        content = {name: value for name, value in result.as_json().items() if not name.startswith("seconds")}
        assert content.pop("cell")
        found[result.cell] = content
    return found


@pytest.mark.usefixtures("ray_session")
@pytest.mark.parametrize("via", ["probe", "finetune"])
def test_tasks_give_what_one_process_gives(via, files, tiny_bert, tmp_path):
    study = {"via": via, "methods": ("random", "near-graph-cut", "graph-cut-doc2vec"), "seeds": 1}
    study["choosers"] = ("encoder", "tfidf")
    if via == "finetune":
        study |= {"sizes": (0.1,), "kinds": ("near",), "methods": ("random", "near-graph-cut")}
    run(experiment(files, tiny_bert, tmp_path / "one", **study))
    run(experiment(files, tiny_bert, tmp_path / "many", workers=2, **study))
    assert figures(tmp_path / "many") == figures(tmp_path / "one")
    gathered = [json.loads((tmp_path / name / "results.json").read_text()) for name in ("one", "many")]
    assert [one["settings"] for one in gathered[:1]] == [one["settings"] for one in gathered[1:]]
    assert len(list((tmp_path / "many" / "cells").iterdir())) == len(figures(tmp_path / "one"))


@pytest.mark.usefixtures("ray_session")
def test_what_is_there_is_not_measured_again_and_one_process_may_go_on(files, tiny_bert, tmp_path, capfd):
    study = {"methods": ("random",), "kinds": ("exact",)}
    run(experiment(files, tiny_bert, tmp_path, workers=1, **{**study, "seeds": 1}))
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "cells").iterdir()}
    run(experiment(files, tiny_bert, tmp_path, workers=2, **study))
    assert "4 cells, 2 done" in capfd.readouterr().err
    assert all(path.stat().st_mtime_ns == then for path, then in before.items())
    run(experiment(files, tiny_bert, tmp_path, **study))
    assert "4 cells, 4 done" in capfd.readouterr().err


@pytest.mark.usefixtures("ray_session")
def test_a_cell_that_fails_is_one_line_and_the_finished_ones_are_kept(tiny_bert, tmp_path, capsys):
    for name in ("train", "test"):
        rows = [{"text": f"the dog ran {i} times", "label": "even" if i % 2 == 0 else "odd"} for i in range(40)]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    given = [
        "experiment", str(tmp_path / "train.jsonl"), "--test", str(tmp_path / "test.jsonl"), "--task", "classification",
        "--text", "text", "--label", "label", "--embedder", "bert", "--model", tiny_bert,
        "--out", str(tmp_path / "out"), "--method", "random", "--kind", "exact", "--workers", "1", "--seeds", "1",
        "--size", "0.5", "--size", "0.01",
    ]  # fmt: skip
    assert cli.main(given) == 2  # one row is of one class
    error = capsys.readouterr().err
    assert [line for line in error.splitlines() if "error" in line] == [error.splitlines()[-1]]
    assert "label must take at least two values" in error
    (kept,) = read_results(str(tmp_path / "out"))[0]
    assert kept.cell.size == 0.5


@pytest.mark.usefixtures("ray_session")
def test_the_recipe_for_a_cluster_spreads_its_cells(files, tiny_bert, tmp_path, monkeypatch, capfd):
    given = [
        str(files / "train.csv"), "--test", str(files / "test.csv"), "--embedder", "bert", "--model", tiny_bert,
        "--out", str(tmp_path), "--study", "claim", "--method", "random", "--kind", "exact",
        "--size", "0.1", "--seeds", "2",
    ]  # fmt: skip
    monkeypatch.setattr(sys, "argv", ["story_cloze.py", *given])
    monkeypatch.setattr(experiments, "run_cells", None)  # not in this process
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(Path(__file__).parents[2] / "jobs" / "story_cloze.py"), run_name="__main__")
    assert ended.value.code == 0
    assert "2 of 2 cells" in capfd.readouterr().err
    assert len(figures(tmp_path)) == 2


def test_a_task_that_is_tried_again_goes_on_after_its_cells(files, tiny_bert, tmp_path, monkeypatch):
    """A lost worker's task runs anew: the same call, in a directory where some of its cells are written."""
    calls = []
    original = ray_runner.measure_draw

    def interrupted(bench, todo, cells):
        calls.append([cell.size for cell in todo])
        for result in original(bench, todo, cells):
            yield result
            if len(calls) == 1:
                raise ConnectionError("the worker is lost")

    config = experiment(files, tiny_bert, tmp_path, methods=("random",), kinds=("exact",), seeds=1)
    rows = Labelled.of(config.corpus, "experiment")
    tables = [rows.read(data)[0] for data in (config.corpus.data, config.train.test)]
    setup = Setup(config.corpus.task, *tables, config.embed, config.train)
    cells = cells_of(config.study)
    monkeypatch.setattr(ray_runner, "measure_draw", interrupted)
    shared = (setup, RunDir(str(tmp_path)), 1)
    with pytest.raises(ConnectionError):
        ray_runner._measure(*shared, (Bases({"probe": "base"}), cells, cells))
    found = ray_runner._measure(*shared, (Bases({"probe": "base"}), cells, cells))
    assert calls == [[0.1, 0.25], [0.25]]
    assert {result.cell for result in found} == set(cells)


def cell(via, seed, size, kind="exact"):
    return Cell(via, "random", size, seed, Redundancy(kind, 0.5))


def test_a_draw_is_a_task_and_a_fine_tuning_is_one():
    cells = [cell("probe", seed, size, kind) for seed in (1, 0) for kind in ("near", "exact") for size in (0.1, 0.2)]
    tasks = tasks_of(cells)
    assert [(task[0].seed, task[0].redundancy.kind, len(task)) for task in tasks] == [
        (1, "exact", 2), (1, "near", 2), (0, "exact", 2), (0, "near", 2),
    ]  # fmt: skip
    assert [len(task) for task in tasks_of([cell("finetune", 0, size) for size in (0.1, 0.2)])] == [1, 1]


def test_no_workers_are_named(files):
    for build in (lambda: Spread(workers=0), lambda: experiment(files, "m", "o", workers=0)):
        with pytest.raises(InputError, match="workers must be at least 1; got 0"):
            build()
