"""Tell, for each embedder and cosine, how many noisy copies lie that near their source, and other texts another text.

    python jobs/near_thresholds.py train.csv --text text --out cells.json

Takes some texts at random, makes a noisy copy of a share of them, embeds all, and counts the copies whose cosine to
their source, and the texts whose cosine to the nearest other text, reach each threshold. A good one joins many copies
and few other texts. Prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ray_subsel import embed
from ray_subsel.synthetic.noise import near_copy


def main() -> None:
    """Write the shares and print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--text", default="text")
    parser.add_argument("--embedder", nargs="+", default=["minilm", "tfidf", "doc2vec"])
    parser.add_argument("--near", type=float, nargs="+", default=[0.9, 0.95])
    parser.add_argument("--rows", type=int, default=3000)
    parser.add_argument("--copies", type=int, default=300)
    parser.add_argument("--strength", type=float, default=0.15)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", required=True)
    given = parser.parse_args()
    draw = np.random.default_rng(given.seed)
    texts = read(given.data, given.text)
    texts = [texts[row] for row in draw.permutation(len(texts))[: given.rows]]
    copied = draw.permutation(len(texts))[: given.copies]
    copies = [near_copy(texts[row], draw, given.strength) for row in copied]
    cells = []
    for name in given.embedder:
        X = vectors(name, texts + copies)
        to_source = np.einsum("id,id->i", X[len(texts) :], X[copied])
        to_other = nearest_other(X[: len(texts)])
        cells += [
            {
                "embedder": name,
                "near": near,
                "copies": float((to_source >= near).mean()),
                "others": float((to_other >= near).mean()),
            }
            for near in given.near
        ]
    about = {key: getattr(given, key) for key in ("rows", "copies", "strength", "seed")}
    Path(given.out).write_text(json.dumps({"settings": about, "cells": cells}, indent=1) + "\n")
    lines = ["| embedder | cosine | noisy copies, to their source | texts, to another text |", "|---|---|---|---|"]
    lines += [f"| {c['embedder']} | {c['near']:g} | {c['copies']:.0%} | {c['others']:.0%} |" for c in cells]
    sys.stdout.write("\n".join(lines) + "\n")


def read(path: str, text: str) -> list[str]:
    """Return the distinct texts of a CSV file."""
    with open(path, newline="", encoding="utf-8") as file:
        return list(dict.fromkeys(row[text] for row in csv.DictReader(file) if row[text].strip()))


def vectors(name: str, texts: list[str]) -> NDArray[np.float64]:
    """Return the unit vectors of texts, by an embedder that is fitted on them where it needs that."""
    X = np.asarray(embed(texts, embedder=name), dtype=np.float64)
    return X / np.maximum(np.linalg.norm(X, axis=1, keepdims=True), 1e-12)


def nearest_other(X: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the cosine of each row to the nearest other row."""
    S = X @ X.T
    np.fill_diagonal(S, -1.0)
    return S.max(axis=1)


if __name__ == "__main__":
    main()
