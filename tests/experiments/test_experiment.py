"""Whole experiments on generated rows with a tiny encoder: cells are kept, resumed, and never mixed."""

import json
import re
import sys

import numpy as np
import pytest

from ray_subsel import cli
from ray_subsel.config import CorpusConfig, EmbedConfig, TrainConfig
from ray_subsel.core.errors import InputError
from ray_subsel.experiments import runner
from ray_subsel.experiments.experiment import ExperimentConfig, run, write_summary
from ray_subsel.experiments.grid import read_results
from ray_subsel.experiments.studies import STUDIES, StudyConfig, cells_of


def experiment(files, tiny_bert, out, *, train=None, task="story-cloze", **study):
    study = {"study": "claim", "seeds": 1, "sizes": (0.1, 0.25), "kinds": ("exact",), **study}
    corpus = {} if task == "story-cloze" else {"text": ("text",), "label": "label"}
    ending = "csv" if task == "story-cloze" else "jsonl"
    return ExperimentConfig(
        corpus=CorpusConfig(data=(str(files / f"train.{ending}"),), task=task, **corpus),
        embed=EmbedConfig(embedder="bert", model=tiny_bert),
        train=train or TrainConfig(test=(str(files / f"test.{ending}"),), epochs=1),
        study=StudyConfig(**study),
        out=str(out),
    )


def chat(word, number):
    return [{"role": "user", "content": f"a {word} {number}"}, {"role": "assistant", "content": f"the {word}."}]


def questions(n):
    """Of three choices the one that repeats the question's word is right; told by its letter."""
    words, rng = ["cat", "dog", "bird", "fish", "train", "bus", "boat", "car"], np.random.default_rng(0)
    found = []
    for number in range(n):
        three, right = rng.choice(words, 3, replace=False), int(rng.integers(3))
        row = {"q": f"she saw the {three[right]} on day {number}", "right": "ABC"[right]}
        found.append(row | {name: f"the {word}" for name, word in zip("abc", three, strict=True)})
    return found


def figures(out):
    """Accuracies and counts by cell; seconds differ from run to run."""
    return {result.cell: (result.accuracy, result.k, result.copies) for result in read_results(str(out))[0]}


def test_an_experiment_interrupted_after_some_cells_goes_on_with_the_rest(files, tiny_bert, tmp_path, monkeypatch):
    methods = ("random", "random-distinct", "graph-cut", "near-facility-location", "full")
    config = experiment(files, tiny_bert, tmp_path / "a", methods=methods, seeds=2)
    measured = []
    original = runner.Bench.measure

    def measure(self, cell, draw, largest):
        if len(measured) == 3:
            raise KeyboardInterrupt
        measured.append(cell)
        return original(self, cell, draw, largest)

    monkeypatch.setattr(runner.Bench, "measure", measure)
    with pytest.raises(KeyboardInterrupt):
        run(config)
    assert set(figures(tmp_path / "a")) == set(measured)
    first = list(measured)
    measured[:] = [None] * 4  # past the interruption
    text = run(config)
    assert not set(first) & set(measured)
    assert len(figures(tmp_path / "a")) == 2 * 9
    monkeypatch.undo()
    run(experiment(files, tiny_bert, tmp_path / "b", methods=methods, seeds=2))
    assert figures(tmp_path / "a") == figures(tmp_path / "b")
    assert "graph cut, exact copies collapsed" in text
    assert (tmp_path / "a" / "experiment.html").read_text().startswith("<!doctype html>")
    assert json.loads((tmp_path / "a" / "summary.json").read_text())["cells"] == 18
    assert list((tmp_path / "a" / "figures").glob("accuracy-*.svg"))


def test_the_gathered_file_alone_is_enough_to_go_on(files, tiny_bert, tmp_path, monkeypatch):
    config = experiment(files, tiny_bert, tmp_path / "a", methods=("random",))
    run(config)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "results.json").write_bytes((tmp_path / "a" / "results.json").read_bytes())
    monkeypatch.delattr(runner.Bench, "measure")
    run(experiment(files, tiny_bert, tmp_path / "b", methods=("random",)))
    assert figures(tmp_path / "b") == figures(tmp_path / "a")
    assert write_summary(str(tmp_path / "b")) == (tmp_path / "b" / "tables.txt").read_text()


def test_cells_of_a_killed_run_are_gathered_by_the_next_one(files, tiny_bert, tmp_path):
    config = experiment(files, tiny_bert, tmp_path, methods=("random",))
    run(config)
    (tmp_path / "results.json").unlink()
    run(config)
    assert len(json.loads((tmp_path / "results.json").read_text())["cells"]) == 2


def test_report_renders_an_experiment_from_its_gathered_file_alone(files, tiny_bert, tmp_path, capsys):
    run(experiment(files, tiny_bert, tmp_path / "a", methods=("random", "full")))
    (tmp_path / "b" / "figures").mkdir(parents=True)
    (tmp_path / "b" / "figures" / "accuracy-09-of-an-earlier-writing.svg").write_text("<svg/>")
    (tmp_path / "b" / "results.json").write_bytes((tmp_path / "a" / "results.json").read_bytes())
    assert cli.main(["report", str(tmp_path / "b")]) == 0
    assert capsys.readouterr().out.strip() == (tmp_path / "a" / "tables.txt").read_text().strip()
    assert (tmp_path / "b" / "experiment.html").read_text() == (tmp_path / "a" / "experiment.html").read_text()
    drawn = [sorted(path.name for path in (tmp_path / out / "figures").iterdir()) for out in ("a", "b")]
    assert drawn[0] == drawn[1]


def test_a_missing_renderer_of_png_is_told_once_and_svg_stays(files, tiny_bert, tmp_path, monkeypatch, capfd):
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    run(experiment(files, tiny_bert, tmp_path, methods=("random",)))
    assert capfd.readouterr().err.count("PNG figures need resvg-py") == 1
    assert {path.suffix for path in (tmp_path / "figures").iterdir()} == {".svg"}


def test_no_sentence_of_the_data_is_in_what_may_be_published(files, tiny_bert, tmp_path):
    run(experiment(files, tiny_bert, tmp_path, methods=("random",), kinds=("near",)))
    row = (files / "train.csv").read_text().splitlines()[1].split(",")[1]
    for name in ("results.json", "summary.json", "tables.txt", "experiment.html"):
        assert row.strip('"') not in (tmp_path / name).read_text()


def test_cells_of_other_settings_are_never_mixed(files, tiny_bert, tmp_path):
    study = {"methods": ("random",), "sizes": (0.25,)}
    run(experiment(files, tiny_bert, tmp_path, **study))
    other = TrainConfig(test=(str(files / "train.csv"),))
    with pytest.raises(InputError, match="must hold one experiment; it holds probe cells made with other data"):
        run(experiment(files, tiny_bert, tmp_path, train=other, **study))


def test_fine_tuning_stands_beside_the_probe(files, tiny_bert, tmp_path, capsys):
    study = {"study": "tables", "methods": ("graph-cut-keep", "graph-cut-doc2vec", "full"), "sizes": (0.25,)}
    run(experiment(files, tiny_bert, tmp_path, via="probe", **study))
    text = run(experiment(files, tiny_bert, tmp_path, via="finetune", **study))
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["agreement"]["cells"] == 3
    assert {"probe", "finetune"} <= summary["settings"].keys()
    assert "## Tables 1 to 4 of the paper, by fine-tuning\n" in text
    told = capsys.readouterr().err
    assert "experiment: 3 cells, 0 done" in told
    assert re.search(r"experiment: vectors of \d+ rows, by ", told)
    assert "experiment: 1 of 3 cells: graph cut, copies kept (paper), 25 %, seed 0: 0." in told
    assert not (tmp_path / "training").exists() or not list((tmp_path / "training").iterdir())
    doc2vec = [r for r in read_results(str(tmp_path))[0] if r.cell.method == "graph-cut-doc2vec"]
    assert all(result.seconds_embed > 0 for result in doc2vec)


def test_a_labelled_corpus(tmp_path, tiny_bert):
    rng = np.random.default_rng(0)
    words = {"animals": ["cat", "dog", "bird", "fish"], "trips": ["train", "bus", "boat", "car"]}
    for name, n in (("train", 40), ("test", 20)):
        rows = [
            {"text": f"the {words[label][rng.integers(4)]} was {rng.integers(100)} in the park", "label": label}
            for label in list(words) * (n // 2)
        ]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    study = {"kinds": ("near",), "sizes": (0.25,), "methods": ("near-graph-cut", "full")}
    text = run(experiment(tmp_path, tiny_bert, tmp_path / "out", task="classification", **study))
    assert "near copies, 50 % of the rows" in text
    assert "chosen by" not in text  # which is a story's
    by_method = {result.cell.method: result for result in read_results(str(tmp_path / "out"))[0]}
    assert by_method["full"].k == 80
    assert by_method["near-graph-cut"].k == 20


def test_the_command_line(files, tiny_bert, tmp_path, capsys):
    given = [
        "experiment", "story-cloze", str(files / "train.csv"), "--test", str(files / "test.csv"),
        "--embedder", "bert", "--model", tiny_bert, "--out", str(tmp_path / "out"), "--study", "redundancy",
        "--seeds", "1", "--density", "0", "--density", "0.5", "--kind", "exact",
        "--method", "graph-cut-keep@0.1", "--method", "graph-cut-keep@auto",
    ]  # fmt: skip
    assert cli.main(given) == 0
    assert "λ = 0.1" in capsys.readouterr().out
    assert cli.main([*given, "--method", "guess"]) == 2
    assert "method must be one of full" in capsys.readouterr().err
    assert cli.main(["experiment", "x.csv", "--out", "o", "--text", "t"]) == 2
    assert "label must name the column that a probe learns" in capsys.readouterr().err


def experiment_on(folder, tiny_bert, rows, out, *flags):
    """Run an experiment from the command line on generated rows: the first two thirds to train, the rest to test."""
    for name, part in (("train", rows[: len(rows) * 2 // 3]), ("test", rows[len(rows) * 2 // 3 :])):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part))
    given = ["experiment", str(folder / "train.jsonl"), "--test", str(folder / "test.jsonl"), "--model", tiny_bert]
    given += ["--embedder", "bert", "--out", str(folder / out), "--study", "claim", "--kind", "both", "--size", "0.25"]
    return cli.main([*given, "--seeds", "1", "--method", "auto", "--method", "full", *flags])


def test_questions_with_any_number_of_choices(tmp_path, tiny_bert, capsys):
    flags = ["--task", "multiple-choice", "--context", "q", "--answer", "right"]
    flags += [word for name in "abc" for word in ("--choice", name)]
    assert experiment_on(tmp_path, tiny_bert, questions(60), "out", *flags) == 0
    assert (
        "experiment: column right tells the right choice by its letter (--answers letters)" in capsys.readouterr().err
    )
    by_method = {result.cell.method: result for result in read_results(str(tmp_path / "out"))[0]}
    assert (by_method["full"].k, by_method["auto"].k, by_method["full"].n_test) == (80, 20, 20)
    assert by_method["full"].accuracy > 1 / 3  # which is chance
    [name] = [one["name"] for one in json.loads((tmp_path / "out" / "summary.json").read_text())["conditions"]]
    assert name.endswith("chosen by context+right")


def test_chats_that_have_a_label(tmp_path, tiny_bert, capsys):
    rows = [
        {"messages": chat("tea" if i % 2 else "boat", i), "topic": ("food" if i % 2 else "trips") if i != 7 else None}
        for i in range(60)
    ]
    assert experiment_on(tmp_path, tiny_bert, rows, "out", "--label", "topic", "--embed", "prompt") == 0
    said = capsys.readouterr().err
    assert "experiment: chats in messages; their prompt is embedded" in said
    assert "1 of 40 chats left out, without a label" in said
    by_method = {result.cell.method: result for result in read_results(str(tmp_path / "out"))[0]}
    assert (by_method["full"].n_originals, by_method["full"].accuracy) == (39, 1.0)


@pytest.mark.parametrize("study", STUDIES)
def test_studies_go_draw_by_draw_and_ask_each_cell_once(study):
    cells = cells_of(StudyConfig(study=study, seeds=3, first_seed=2))
    assert [cell.seed for cell in cells] == sorted(cell.seed for cell in cells)
    assert {cell.seed for cell in cells} == {2, 3, 4}
    assert len(set(cells)) == len(cells)
    assert {cell.condition for cell in cells if cell.seed == 2} == {cell.condition for cell in cells if cell.seed == 4}


def test_the_papers_grid_is_whole():
    cells = cells_of(StudyConfig(study="tables", seeds=1))
    wanted = {
        (m, s) for m in ("graph-cut-keep", "graph-cut-doc2vec", "random") for s in (0.05, 0.1, 0.25, 0.4, 0.6, 0.8)
    }
    assert wanted <= {(cell.method, cell.size) for cell in cells}
    assert [cell.size for cell in cells if cell.method == "full"] == [1.0]
    assert all(cell.redundancy.kind == "exact" and cell.redundancy.density == 0.5 for cell in cells)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"study": "all"}, "study must be one of tables, claim, redundancy, text, encoders"),
        ({"via": "guess"}, "via must be one of probe, finetune"),
        ({"seeds": 0}, "seeds must be at least 1"),
        ({"first_seed": -1}, "first_seed must be at least 0"),
        ({"kinds": ("some",)}, "kind must be one of none, exact"),
        ({"methods": ("guess",)}, "method must be one of full"),
    ],
)
def test_settings_that_make_no_sense_are_named(settings, message):
    with pytest.raises(InputError, match=message):
        StudyConfig(**settings)


def test_a_size_outside_is_named():
    with pytest.raises(InputError, match=r"size must lie in \(0, 1\]; got 5"):
        cells_of(StudyConfig(sizes=(5.0,)))
