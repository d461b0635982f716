"""Flip a share of the labels, drop doubtful ones, and measure what it finds and what it does to a probe's accuracy.

    python jobs/label_noise.py train.csv test.csv --text text --label category --out cells.json

Each draw takes some rows of the training file and gives a share of them the label of another class. ``found`` is the
share of the wrong labels that are dropped, ``right`` the share of the dropped whose label was wrong (by chance it is
the share of wrong labels). The probe is logistic regression on frozen vectors, trained on the noisy rows, on what is
left of them, on as many random rows, on the same rows without their wrong labels (what nobody knows), and on subsets
of each that ``select`` chooses.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ray_subsel import select
from ray_subsel.config import EmbedConfig
from ray_subsel.experiments.probe import probe
from ray_subsel.runtime.progress import log_line


def main() -> None:
    """Write a cell for each draw and share that is dropped."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train")
    parser.add_argument("test")
    parser.add_argument("--text", default="text")
    parser.add_argument("--label", default="label")
    parser.add_argument("--model", help="an encoder in the place of MiniLM")
    parser.add_argument("--vectors", nargs=2, metavar="NPY", help="vectors of both files, in the place of an encoder")
    parser.add_argument("--rows", type=int, default=3000)
    parser.add_argument("--flipped", type=float, default=0.1)
    parser.add_argument("--drop", type=float, nargs="+", default=[0.1])
    parser.add_argument("--k", type=int, default=600)
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--out", required=True)
    given = parser.parse_args()
    texts, labels = read(given.train, given.text, given.label)
    test_texts, test_labels = read(given.test, given.text, given.label)
    if given.vectors:
        X, X_test = (np.load(path) for path in given.vectors)
    else:
        config = EmbedConfig(embedder="bert", model=given.model) if given.model else EmbedConfig()
        embedder = config.embedder_class.open(config, None, device="cpu", threads=1)
        X, X_test = embedder.embed(texts), embedder.embed(test_texts)
    cells: list[dict[str, float | None]] = []
    for seed in range(given.draws):
        cells += draw(given, seed, X, labels, X_test, test_labels)
        Path(given.out).write_text(json.dumps(cells, indent=1) + "\n")
        log_line(json.dumps(cells[-1]))


def read(path: str, text: str, label: str) -> tuple[list[str], NDArray[np.str_]]:
    """Return texts and labels of a CSV file."""
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [row[text] for row in rows], np.array([row[label] for row in rows])


def draw(
    given: argparse.Namespace,
    seed: int,
    X: NDArray[np.float32],
    labels: NDArray[np.str_],
    X_test: NDArray[np.float32],
    test_labels: NDArray[np.str_],
) -> list[dict[str, float | None]]:
    """Return a cell for each share that is dropped."""
    rng = np.random.default_rng(seed)
    rows = rng.choice(len(X), given.rows, replace=False)
    X, truth = X[rows], labels[rows]
    classes = np.unique(labels)
    wrong = rng.choice(given.rows, round(given.flipped * given.rows), replace=False)
    noisy = truth.copy()
    noisy[wrong] = [rng.choice(classes[classes != own]) for own in truth[wrong]]

    def accuracy(own: NDArray[np.int64], names: NDArray[np.str_]) -> float:
        return probe(X[own], names[own], X_test, test_labels, "classification").accuracy

    every = np.arange(given.rows)
    clean = np.setdiff1d(every, wrong)
    shared: dict[str, float | None] = {
        "seed": seed,
        "rows": given.rows,
        "flipped": given.flipped,
        "noisy": accuracy(every, noisy),
        "right_labels_only": accuracy(clean, noisy),
        "k": given.k,
        "chosen_of_noisy": accuracy(select(X, given.k, labels=noisy, near=0.9).indices, noisy),
    }
    cells = []
    for share in given.drop:
        found = select(X, given.k, labels=noisy, near=0.9, drop_label_noise=share)
        assert found.left_out is not None
        dropped = found.left_out.rows
        hit = np.intersect1d(dropped, wrong).size
        fewer = rng.choice(given.rows, given.rows - dropped.size, replace=False)
        cells.append(
            {
                **shared,
                "drop": share,
                "dropped": int(dropped.size),
                "found": hit / wrong.size if wrong.size else None,
                "right": hit / dropped.size,
                "left": accuracy(np.setdiff1d(every, dropped), noisy),
                "random_left": accuracy(fewer, noisy),
                "chosen_of_left": accuracy(found.indices, noisy),
            }
        )
    return cells


if __name__ == "__main__":
    main()
