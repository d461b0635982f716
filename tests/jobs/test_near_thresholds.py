"""The job that measures thresholds of near copies runs on a small corpus."""

import json
import subprocess
import sys
from pathlib import Path

from ray_subsel.synthetic.intents import make_intents, write_intents

JOB = Path(__file__).parents[2] / "jobs" / "near_thresholds.py"


def test_more_copies_than_other_texts_are_near(tmp_path):
    write_intents(str(tmp_path / "train.csv"), make_intents(80, near=0.0))
    command = [sys.executable, str(JOB), str(tmp_path / "train.csv"), "--embedder", "tfidf", "--near", "0.5", "0.99"]
    command += ["--rows", "60", "--copies", "20", "--out", str(tmp_path / "cells.json")]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    low, high = json.loads((tmp_path / "cells.json").read_text())["cells"]
    assert low["copies"] > low["others"]
    assert low["copies"] >= high["copies"]
    assert low["others"] >= high["others"]
    assert shown.count("| tfidf |") == 2
