"""Compare the recipes with baselines on corpora of one's own, by the probe over some draws.

    python jobs/compare_defaults.py classes train.csv test.csv --text text --label category --k 300 --pool 3000
    python jobs/compare_defaults.py stories val.csv test.csv --k 150 --pool 1500

Each draw takes ``--pool`` rows at random (``--near`` adds as many noisy copies), each method chooses k of them by
MiniLM's vectors, and a probe trained on them is measured on the test file. ``labels hidden``: the recipe is not told
the labels. Prints means with 95 % intervals as a table in Markdown; ``--out`` has every cell, written as each is
finished; the same command goes on with the cells that are missing.
``--via finetune`` trains MiniLM on the chosen rows in the place of the probe.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ray_subsel import select
from ray_subsel.config import CorpusConfig, EmbedConfig, TrainConfig
from ray_subsel.embedders.registry import build_embedder, find_embedder
from ray_subsel.experiments.embedding_cache import Memory
from ray_subsel.experiments.labelled_rows import Labelled
from ray_subsel.experiments.probe import features, probe
from ray_subsel.experiments.samples import Redundancy, make_sample
from ray_subsel.experiments.statistics import estimate, paired
from ray_subsel.storage.run_directory import RunDir
from ray_subsel.training import finetune

NEAR = "near"
"""Stands for the cosine from which a run takes MiniLM's texts for near copies, in the arguments of a method."""
EVERYTHING = "everything"
CLASSES = "labels"
"""Stands for the labels of the rows in the arguments of a method."""

METHODS: dict[str, dict[str, Any]] = {
    "random": {"optimizer": "random", "recipe": "none"},
    "random, classes balanced": {"optimizer": "random", "recipe": "none", "labels": CLASSES, "quotas": "equal"},
    "SemDeDup (0.9) + random": {"optimizer": "random", "recipe": "none", "near": 0.9},
    "k-center": {"optimizer": "k_center", "recipe": "none"},
    "graph cut (recipe none)": {"recipe": "none"},
    "recipe paper": {"recipe": "paper"},
    "facility location": {"objective": "facility_location"},
    "recipe auto, labels hidden": {"near": NEAR},
    "recipe auto": {"near": NEAR, "labels": CLASSES},
    EVERYTHING: {},
}
"""What a run decides by ``--recipe auto`` with MiniLM, ``select()`` is told as ``near``."""


def read(task: str, path: str, arguments: argparse.Namespace) -> pa.Table:
    """Return the usable rows of a file."""
    columns = {} if task == "story-cloze" else {"text": (arguments.text,), "label": arguments.label}
    return Labelled.of(CorpusConfig(data=(path,), task=task, **columns), "compare_defaults").read((path,))[0]


def fine_tuned(train: pa.Table, test: pa.Table, task: str, draw: int, arguments: argparse.Namespace) -> float:
    """Return the accuracy of MiniLM fine-tuned on some rows."""
    config = TrainConfig(epochs=arguments.epochs, lr=arguments.lr, train_seed=draw)
    with tempfile.TemporaryDirectory() as folder:
        found = finetune(train, test, config, task=task, model="minilm", run=RunDir(folder), name="model")
    return found.accuracy


class Cells:
    """Accuracies by method and draw, kept in a file from the first on."""

    def __init__(self, path: str | None, settings: dict[str, Any]) -> None:
        self.path, self.settings = None if path is None else Path(path), settings
        self.found: dict[str, dict[int, float]] = {}
        if self.path is not None and self.path.exists():
            kept = json.loads(self.path.read_text())
            if kept["settings"] != settings:
                raise SystemExit(f"--out {path} holds cells of other settings: {kept['settings']}; name another file")
            self.found = {
                name: {int(draw): one for draw, one in cells.items()} for name, cells in kept["cells"].items()
            }

    def add(self, name: str, draw: int, accuracy: float) -> None:
        """Keep a cell, and write all of them."""
        self.found.setdefault(name, {})[draw] = accuracy
        if self.path is not None:
            draws = {name: {str(draw): cells[draw] for draw in sorted(cells)} for name, cells in self.found.items()}
            RunDir(str(self.path.parent)).write_json(self.path.name, {"settings": self.settings, "cells": draws})


def measure(task: str, names: list[str], arguments: argparse.Namespace) -> dict[str, dict[int, float]]:
    """Return the accuracy of each method in each draw; what is kept already is not measured again."""
    train, test = (read(task, path, arguments) for path in (arguments.train, arguments.test))
    embedder = Memory(build_embedder(EmbedConfig(embedder=arguments.embedder), threads=1))
    cache = None if arguments.cache is None else RunDir(arguments.cache)
    if cache is not None and cache.exists("vectors.npz"):
        embedder.load(cache, "vectors.npz")
    copies = Redundancy("near", 0.5, 0.1) if arguments.near else Redundancy("none", 0.0)
    X_test, y_test = features(test, task, embedder), np.array(test["label"].to_pylist())
    kept = Cells(arguments.out, settings_of(arguments))
    stand_for = {NEAR: arguments.near_cosine or find_embedder("minilm").near}
    for draw in range(arguments.draws):
        missing = [name for name in names if draw not in kept.found.get(name, {})]
        if not missing:
            continue
        sample = make_sample(train, task, copies, pool=arguments.pool, story="context+right", seed=draw)
        X, y = embedder.embed(sample.texts), np.array(sample.table["label"].to_pylist())
        F = features(sample.table, task, embedder)
        if cache is not None:
            embedder.save(cache, "vectors.npz")
        stand_for[CLASSES] = y
        for name in missing:
            options = {
                key: stand_for.get(value, value) if isinstance(value, str) else value
                for key, value in METHODS[name].items()
            }
            rows = np.arange(len(y)) if name == EVERYTHING else select(X, arguments.k, seed=draw, **options).indices
            if arguments.via == "finetune":
                accuracy = fine_tuned(sample.table.take(pa.array(rows)), test, task, draw, arguments)
            else:
                accuracy = probe(F[rows], y[rows], X_test, y_test, task).accuracy
            kept.add(name, draw, accuracy)
            sys.stderr.write(f"draw {draw}, {name}: {accuracy:.4f}\n")
    return {name: kept.found[name] for name in names}


def settings_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what decides a cell, beside the data."""
    settings = {key: getattr(arguments, key) for key in ("kind", "k", "pool", "near", "embedder", "via")}
    if arguments.via == "finetune":
        settings |= {"epochs": arguments.epochs, "lr": arguments.lr}
    if arguments.near_cosine is not None:
        settings["near_cosine"] = arguments.near_cosine
    return settings


def table_of(found: dict[str, dict[int, float]]) -> str:
    """Return means with intervals, and by how much the recipe (else the last method) is ahead, in Markdown."""
    best = next((name for name in ("recipe auto", "recipe auto, labels hidden") if name in found), list(found)[-1])
    lines = [f"| method | accuracy | {best} is ahead by |", "|---|---|---|"]
    for name, cells in found.items():
        mean, ahead = estimate(list(cells.values())), paired(found[best], cells)
        assert ahead is not None
        gap = "" if name == best else f"{100 * ahead.mean:+.1f} ± {100 * (ahead.half or 0.0):.1f}"
        lines.append(f"| {name} | {100 * mean.mean:.1f} ± {100 * (mean.half or 0.0):.1f} | {gap} |")
    return "\n".join(lines) + "\n"


def main(given: list[str] | None = None) -> int:
    """Run the draws, print the table and write the cells."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("kind", choices=("classes", "stories"))
    parser.add_argument("train")
    parser.add_argument("test")
    parser.add_argument("--text", default="text")
    parser.add_argument("--label", default="label")
    parser.add_argument("--k", type=int, default=300)
    parser.add_argument("--pool", type=int, default=3_000)
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--near", action="store_true", help="add as many noisy copies, of a tenth of the rows")
    parser.add_argument("--near-cosine", type=float, help="of the recipe; default: what a run takes with MiniLM")
    parser.add_argument("--embedder", default="minilm")
    parser.add_argument("--via", choices=("probe", "finetune"), default="probe")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--lr", type=float, default=5e-4)
    parser.add_argument("--method", action="append", choices=METHODS, help="repeat; default: all")
    parser.add_argument("--cache", metavar="DIR", help="keep embeddings there")
    parser.add_argument("--out", metavar="FILE", help="write all cells as JSON")
    arguments = parser.parse_args(given)
    task = "story-cloze" if arguments.kind == "stories" else "classification"
    names = [
        name
        for name in arguments.method or METHODS
        if not (task == "story-cloze" and "labels" in METHODS[name])  # which ending is right is no class
    ]
    sys.stdout.write(table_of(measure(task, names, arguments)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
