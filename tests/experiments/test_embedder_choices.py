"""Whose vectors choose: names, what changes with them, and what does not."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertModel

from ray_subsel import cli
from ray_subsel.config import CorpusConfig, EmbedConfig, TrainConfig
from ray_subsel.core.errors import InputError
from ray_subsel.embedders import EMBEDDERS
from ray_subsel.experiments import probe, runner
from ray_subsel.experiments.embedder_choices import NEAR, OWN, chooser_label, coordinate, near_threshold
from ray_subsel.experiments.experiment import ExperimentConfig, run
from ray_subsel.experiments.grid import Cell, read_results, result_from
from ray_subsel.experiments.methods import METHODS, rank
from ray_subsel.experiments.samples import Redundancy, Sample
from ray_subsel.experiments.studies import StudyConfig, cells_of

KEPT = sorted((Path(__file__).parents[2] / "docs" / "results").glob("*/results.json"))


@pytest.fixture(scope="module")
def other_bert(tiny_bert, tmp_path_factory):
    """The tiny encoder with other weights."""
    folder = tmp_path_factory.mktemp("models") / "other-bert"
    shutil.copytree(tiny_bert, folder)
    model = BertModel.from_pretrained(folder)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(1)
        for weight in model.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    model.save_pretrained(folder)
    return str(folder)


def experiment(files, tiny_bert, out, **study):
    study = {"study": "encoders", "seeds": 1, "sizes": (0.25,), "kinds": ("near",), **study}
    return ExperimentConfig(
        corpus=CorpusConfig(data=(str(files / "train.csv"),), task="story-cloze"),
        embed=EmbedConfig(embedder="bert", model=tiny_bert),
        train=TrainConfig(test=(str(files / "test.csv"),), epochs=1),
        study=StudyConfig(**study),
        out=str(out),
    )


def test_a_coordinate_is_the_same_on_every_machine_and_of_one_model_only(tiny_bert, other_bert, tmp_path):
    assert [coordinate(name, tiny_bert) for name in (OWN, "doc2vec", "tfidf", tiny_bert)] == [
        OWN, "doc2vec", "tfidf", OWN,
    ]  # fmt: skip
    name = coordinate(other_bert, tiny_bert)
    assert chooser_label(name) == "other-bert"
    moved = shutil.copytree(other_bert, tmp_path / "other-bert")
    assert coordinate(str(moved), tiny_bert) == name
    (moved / "vocab.txt").write_text("another")
    assert coordinate(str(moved), tiny_bert) != name


def test_a_name_that_is_none_is_one_line(tiny_bert, tmp_path):
    for name in ("no-such-model", str(tmp_path), "precomputed"):
        with pytest.raises(InputError, match="chooser must be one of encoder, doc2vec, tfidf, or name an encoder; got"):
            coordinate(name, tiny_bert)


def test_the_usual_chooser_is_left_out_of_files_so_that_earlier_cells_are_still_theirs():
    cell = Cell("probe", "k-center", 0.1, 0, Redundancy())
    assert "chooser" not in cell.as_json()
    assert dataclasses.replace(cell, chooser="tfidf").as_json()["chooser"] == "tfidf"
    # the coordinates as they were before there were choosers
    assert list(cell.as_json()) == ["via", "method", "size", "seed", "redundancy", "pool", "story", "share_of"]


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.parent.name)
def test_kept_results_are_read_and_written_as_they_are(path):
    for entry in json.loads(path.read_text())["cells"]:
        assert result_from(entry["result"]).as_json() == entry["result"]


def test_what_sees_no_vectors_is_one_cell_whoever_chooses():
    methods = ("full", "random", "random-distinct", "graph-cut-doc2vec", "semdedup-random")
    choosers = (OWN, "doc2vec", "tfidf")
    cells = cells_of(StudyConfig(study="encoders", seeds=1, methods=methods, choosers=choosers, kinds=("near",)))
    found = {name: {cell.chooser for cell in cells if cell.method == name} for name in methods}
    assert all(found[name] == {OWN} for name in methods[:4])
    assert found["semdedup-random"] == set(choosers)
    assert len(cells) == 4 + 3


def test_each_chooser_collapses_at_its_own_threshold():
    assert [near_threshold(name) for name in (OWN, "doc2vec", "other@1")] == [NEAR] * 3
    X = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]], dtype=np.float32)  # cosines 0.8, 0.6, 0
    each = np.arange(3)
    sample = Sample(None, ("a", "b", "c"), each, each, 3)
    for chooser, kept in ((OWN, 3), ("tfidf", 2)):
        method = dataclasses.replace(METHODS["semdedup-random"], embedder=chooser)
        assert rank(method, sample, lambda: X, 3, 0).chosen == kept


def test_a_chooser_changes_what_is_chosen_and_not_what_is_learned_from(
    files, tiny_bert, other_bert, tmp_path, monkeypatch
):
    chosen, learned = {}, set()
    original, features = runner.Draw.ranking, probe.features

    def ranking(self, method, k, largest):
        found = original(self, method, k, largest)
        chosen[method.name, chooser_label(method.embedder)] = found.rows[:k].tolist()
        return found

    def seen(table, task, embedder):
        learned.add(embedder.embed(["a dog"]).tobytes())
        return features(table, task, embedder)

    monkeypatch.setattr(runner.Draw, "ranking", ranking)
    monkeypatch.setattr(probe, "features", seen)
    choosers = (OWN, "doc2vec", "tfidf", other_bert)
    config = experiment(files, tiny_bert, tmp_path, choosers=choosers, methods=("k-center", "random-distinct"))
    text = run(config)
    picks = [tuple(chosen["k-center", name]) for name in (OWN, "doc2vec", "tfidf", "other-bert")]
    assert len(set(picks)) == 4
    assert len(learned) == 1
    assert chosen["random-distinct", OWN]
    assert "logistic regression on" in text
    for name in ("results.json", "summary.json", "tables.txt"):
        assert str(Path(other_bert).parent) not in (tmp_path / name).read_text()
    results = read_results(str(tmp_path))[0]
    assert len(results) == 5
    assert all(result.seconds_embed > 0 for result in results if result.cell.method == "k-center")
    assert list((tmp_path / "figures").glob("choosers-*.svg"))
    # the same again from what is on disk: nothing is missing, by whatever name the encoders go
    monkeypatch.delattr(runner.Bench, "measure")
    moved = shutil.copytree(other_bert, tmp_path / "elsewhere" / "other-bert")
    names = (tiny_bert, "doc2vec", "tfidf", str(moved))
    run(experiment(files, tiny_bert, tmp_path, choosers=names, methods=("k-center", "random-distinct")))


def test_an_experiment_without_choosers_goes_on_with_them(files, tiny_bert, tmp_path, capfd):
    run(experiment(files, tiny_bert, tmp_path, study="claim", methods=("k-center", "random-distinct")))
    run(experiment(files, tiny_bert, tmp_path, choosers=(OWN, "tfidf"), methods=("k-center", "random-distinct")))
    assert "3 cells, 2 done" in capfd.readouterr().err


def test_cells_of_an_older_version_of_what_chooses_are_computed_again(files, tiny_bert, tmp_path, capfd, monkeypatch):
    again = experiment(files, tiny_bert, tmp_path, choosers=(OWN, "tfidf"), methods=("k-center",))
    with monkeypatch.context() as older:
        older.setattr(EMBEDDERS["tfidf"], "version", 1)
        run(again)
    assert "2 cells, 0 done" in capfd.readouterr().err
    run(again)
    assert "2 cells, 1 done" in capfd.readouterr().err
    run(again)
    assert "2 cells, 2 done" in capfd.readouterr().err


def test_the_command_line_names_a_chooser_that_is_none(files, tiny_bert, tmp_path, capsys):
    given = [
        "experiment", "story-cloze", str(files / "train.csv"), "--test", str(files / "test.csv"), "--embedder", "bert",
        "--model", tiny_bert, "--out", str(tmp_path), "--study", "encoders", "--seeds", "1", "--chooser", "guess",
    ]  # fmt: skip
    assert cli.main(given) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "chooser must be one of encoder, doc2vec, tfidf, or name an encoder; got 'guess'" in line
