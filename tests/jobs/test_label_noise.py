"""The job that measures what dropping doubtful labels does runs on a small corpus."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from tests.corpus.inputs import write_csv

JOB = Path(__file__).parents[2] / "jobs" / "label_noise.py"


def test_cells_of_a_small_corpus(tmp_path):
    draw = np.random.default_rng(0)
    classes = np.arange(240) % 3
    X = (draw.normal(size=(3, 16))[classes] + 0.6 * draw.normal(size=(240, 16))).astype(np.float32)
    command = [str(JOB)]
    for name, part in (("train", slice(0, 160)), ("test", slice(160, 240))):
        rows = [[f"text {at}", f"class {one}"] for at, one in enumerate(classes[part])]
        command.append(write_csv(tmp_path / f"{name}.csv", ["text", "label"], rows))
        np.save(tmp_path / f"{name}.npy", X[part])
    command += ["--vectors", str(tmp_path / "train.npy"), str(tmp_path / "test.npy")]
    command += ["--rows", "150", "--k", "30", "--draws", "1"]
    subprocess.run([sys.executable, *command, "--out", str(tmp_path / "cells.json")], check=True, capture_output=True)
    [cell] = json.loads((tmp_path / "cells.json").read_text())
    assert (cell["rows"], cell["dropped"]) == (150, 15)
    assert cell["found"] == cell["right"] > 0.5  # by chance a tenth
    assert 0 <= cell["left"] <= 1
