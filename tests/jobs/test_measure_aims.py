"""The measurement of targets and quality measures what it says, on vectors that take no time."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[2] / "jobs" / "measure_aims.py"


@pytest.fixture(scope="module")
def job():
    spec = importlib.util.spec_from_file_location("measure_aims", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture(scope="module")
def data(job):
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((14, 8))
    sides = []
    for n in (900, 140):
        labels = rng.integers(14, size=n)
        X = centres[labels] + 0.3 * rng.standard_normal((n, 8))
        sides.append((labels.astype(str), (X / np.linalg.norm(X, axis=1)[:, None]).astype(np.float32)))
    (labels, X), (test_labels, test) = sides
    return job.Data(["some words"] * 900, labels, X, test_labels, test)


def test_targets_hit_what_is_wanted(job, data):
    cells = list(job.target_cells(data, 0, [40]))
    hits = {cell.method: cell.hit for cell in cells}
    assert len(hits) == len(cells) == 9
    assert hits["facility location, target 1"] > hits["random"]
    assert cells == list(job.target_cells(data, 0, [40]))
    assert cells != list(job.target_cells(data, 1, [40]))
    assert "round robin (RDS+)" in job.table(cells, "round robin (RDS+)")


def test_quality_finds_clean_rows_and_spoils_as_many_as_it_says(job, data):
    noise = np.random.default_rng(1).standard_normal(data.vectors.shape)
    garbled = (noise / np.linalg.norm(noise, axis=1)[:, None]).astype(np.float32)
    cells = list(job.quality_cells(data, garbled, 0, [40]))
    assert {cell.study for cell in cells} == {"labels", "garbled"}
    for study in ("labels", "garbled"):
        hits = {cell.method: cell.hit for cell in cells if cell.study == study}
        assert hits["facility location, quality 3"] > hits["facility location, quality 0.1"]
        assert 0.3 < hits["random"] < 0.9


def test_most_words_are_exchanged(job):
    texts = ["a b c d e f g h"] * 50 + ["x y z"] * 50
    garbled = job.garble(texts, np.random.default_rng(0))
    kept = [
        mine == new
        for text, other in zip(texts, garbled, strict=True)
        for mine, new in zip(text.split(), other.split(), strict=True)
    ]
    assert 0.25 < np.mean(kept) < 0.5
