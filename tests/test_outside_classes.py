"""An objective and an embedder from outside the package, by the command line, over partitions, here and on Ray."""

import json
import sys
import textwrap

import pyarrow.parquet as pq
import pytest

from ray_subsel.cli import main
from ray_subsel.objectives import find_objective
from ray_subsel.planning.policy import ON_RAY

MODULE = '''
"""What a user writes: an objective, and an embedder."""

from dataclasses import dataclass

import numpy as np

from ray_subsel.embedders import Embedder, unit_rows
from ray_subsel.objectives import Objective

LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class Reach(Objective):
    """f(S) = sum_u max(0, max_{j in S} x_ju): how far the chosen items reach along each axis."""

    name = "reach"
    submodular = True
    monotone = True

    def init(self, X):
        return X, np.zeros(X.shape[1])

    def gains(self, state, candidates=None):
        X, reached = state
        rows = np.asarray(X if candidates is None else X[candidates], dtype=np.float64)
        return np.maximum(rows - reached, 0.0).sum(axis=1)

    def add(self, state, item):
        X, reached = state
        return X, np.maximum(reached, X[item])

    def value(self, state):
        return float(state[1].sum())

    def evaluate(self, X, subset):
        return float(np.maximum(X[subset], 0.0).max(axis=0, initial=0.0).sum())


class Letters(Embedder):
    """Counts letters."""

    name = "letters"
    dimension = len(LETTERS)

    def embed(self, texts):
        counts = np.array([[text.count(one) for one in LETTERS] for text in texts], dtype=np.float64)
        return unit_rows(counts.reshape(len(texts), self.dimension) + 0.01, "text")
'''


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Write the module to a folder on this process's path, of which workers do not know."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "my_module.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(folder))
    yield folder
    sys.modules.pop("my_module", None)


@pytest.fixture
def texts(tmp_path):
    words = ["abacus", "bridge", "cloud", "dune", "echo", "fjord", "glyph", "hymn", "ivory", "jazz", "kiwi", "lynx"]
    lines = [f"{one} {other} {number}" for number, one in enumerate(words) for other in words if one != other]
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(lines) + "\n")
    return path


def command(texts, out, *more, objective="my_module:Reach", embedder="my_module:Letters"):
    named = ["--objective", objective, "--embedder", embedder]
    return ["select", str(texts), "--format", "text", "--k", "9", "--partitions", "3", *named, "--out", str(out), *more]


def chosen(out):
    return pq.read_table(out / "selection.parquet")["id"].to_pylist()


def test_classes_of_a_module_over_partitions(module, texts, tmp_path):
    out = tmp_path / "out"
    assert main(command(texts, out)) == 0
    report = json.loads((out / "report.json").read_text())
    assert (report["selection"]["objective"], report["selection"]["partitions"]) == ("reach", 3)
    assert (report["embedding"]["embedder"], report["embedding"]["dimension"]) == ("my_module:Letters", 26)
    assert report["selection"]["share_of_centralized"] > 0.95
    assert "reach" in (out / "report.html").read_text()
    ids = chosen(out)
    assert len(set(ids)) == 9
    assert main(command(texts, out)) == 0  # as before
    assert chosen(out) == ids


def test_a_change_of_their_code_is_noticed(module, texts, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(command(texts, out)) == 0
    (module / "my_module.py").write_text(MODULE.replace("0.01", "0.02"))
    capsys.readouterr()
    assert main(command(texts, out)) == 2
    assert "--overwrite" in capsys.readouterr().err


def test_an_installed_package_registers_them_by_name(module, texts, tmp_path):
    metadata = module / "my_package-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        textwrap.dedent(
            """
            [ray_subsel.objectives]
            reach = my_module:Reach

            [ray_subsel.embedders]
            letters = my_module:Letters
            """
        )
    )
    assert find_objective("reach").__module__ == "my_module"
    named, by_path = tmp_path / "named", tmp_path / "by-path"
    assert main(command(texts, named, objective="reach", embedder="letters")) == 0
    assert main(command(texts, by_path)) == 0
    assert chosen(named) == chosen(by_path)


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        ("reach", "objective must be one of graph_cut, facility_location, saturated_coverage, feature_based, "),
        ("no_such_module:Reach", "objective must name a module that can be imported; got 'no_such_module:Reach'"),
        ("my_module:Nothing", "objective must name a class of its module; got 'my_module:Nothing'"),
        ("my_module:Letters", "objective must be a class that derives from ray_subsel.objectives.base.Objective; got"),
        ("my_module:LETTERS", "objective must be a class that derives from ray_subsel.objectives.base.Objective; got"),
        ("half:Half", "objective must define add, evaluate, gains, init, value; got half:Half, which does not"),
        ("half:Nameless", "objective must have a name; got half:Nameless without one"),
        ("broken:X", "(ZeroDivisionError: division by zero)"),
        (":X", "objective must have the form MODULE:CLASS; got ':X'"),
    ],
)
def test_what_cannot_be_used_costs_one_line(module, texts, tmp_path, capsys, objective, message):
    (module / "half.py").write_text(
        "from my_module import Reach\nfrom ray_subsel.objectives import Objective\n"
        'class Half(Objective):\n    name = "half"\n'
        "class Nameless(Reach):\n    name = None\n"
    )
    (module / "broken.py").write_text("1 / 0\n")
    assert main(command(texts, tmp_path / "out", objective=objective)) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_ready_vectors_are_no_embedder(texts, tmp_path, capsys):
    assert main(command(texts, tmp_path / "out", objective="graph_cut", embedder="precomputed")) == 2
    assert "Use --vectors COLUMN" in capsys.readouterr().err


def test_a_run_s_file_does_not_decide_what_is_imported(module, texts, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(command(texts, out)) == 0
    sys.modules.pop("my_module")
    assert main(["finetune", str(out), "--test", str(texts)]) == 2
    assert "--train-model must be given where my_module:Letters has embedded" in capsys.readouterr().err
    assert main(["finetune", str(out), "--test", str(texts), "--train-model", "minilm"]) == 2  # no task to train
    assert "my_module" not in sys.modules


@pytest.mark.usefixtures("ray_session")
def test_workers_get_them_too(module, texts, tmp_path):
    here, on_ray = tmp_path / "here", tmp_path / "on-ray"
    assert main(command(texts, here)) == 0
    assert main(command(texts, on_ray, "--workers", "1"), policy=ON_RAY) == 0
    assert chosen(on_ray) == chosen(here)
    assert (on_ray / "candidates").exists()
