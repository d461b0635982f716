"""Measure what a target and a quality are good for, on a labelled corpus: accuracy of a probe on the chosen rows.

    python jobs/measure_aims.py targets train.csv test.csv --text text --label category --out targets.json
    python jobs/measure_aims.py quality train.csv test.csv --text text --label category --out quality.json

``targets``: some of the classes are wanted, and known by some rows of each, the queries. The methods choose k of other
rows of all classes. Told: the share of the chosen that is of a wanted class (hits), and the accuracy on the test rows
of wanted classes of a probe that is trained on the chosen rows.

``quality``: some rows are spoiled, and a noisy score tells which: a clean row has 1, a spoiled one 0, plus normal
noise. ``labels``: a spoiled row has the label of another row. ``garbled``: most of its words are exchanged for others
of the corpus. Told: the share of the chosen that is clean (hits), and the accuracy on all test rows.

Each draw has its own rows, classes, queries and noise; each method of a draw sees the same. Cells go to ``--out`` as
JSON, means over draws with 95 % intervals of Student's t to the terminal.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc

from ray_subsel import select
from ray_subsel.config import EmbedConfig
from ray_subsel.core.types import Float32s
from ray_subsel.experiments.probe import probe
from ray_subsel.experiments.statistics import estimate, paired

POOL, WANTED, QUERIES = 3_000, 10, 20
SPOILED, NOISE, EXCHANGED = 0.4, 0.5, 0.7


@dataclass(frozen=True)
class Cell:
    """One method in one draw: ``hit`` is the share of wanted, or of clean, rows among the chosen."""

    study: str
    k: int
    draw: int
    method: str
    hit: float
    accuracy: float


@dataclass(frozen=True, eq=False)
class Data:
    """Texts, labels and vectors of the two files."""

    texts: list[str]
    labels: np.ndarray[Any, np.dtype[np.str_]]
    vectors: Float32s
    test_labels: np.ndarray[Any, np.dtype[np.str_]]
    test_vectors: Float32s


def embedded(texts: list[str], embedder: str, kept: str) -> Float32s:
    """Return the vectors of texts, kept in a file."""
    if os.path.exists(kept):
        return np.asarray(np.load(kept))
    config = EmbedConfig(embedder=embedder)
    vectors = config.embedder_class.open(config, None, device="cpu", threads=1).embed(texts)
    np.save(kept, vectors)
    return vectors


def read(given: argparse.Namespace) -> Data:
    """Read and embed both files."""
    tables = [pc.read_csv(path, parse_options=pc.ParseOptions(newlines_in_values=True)) for path in given.files]
    texts = [table[given.text].to_pylist() for table in tables]
    labels = [np.array(table[given.label].cast(pa.string()).to_pylist()) for table in tables]
    os.makedirs(given.cache, exist_ok=True)
    names = [os.path.join(given.cache, f"{given.embedder}-{name}.npy") for name in ("train", "test")]
    vectors = [embedded(some, given.embedder, name) for some, name in zip(texts, names, strict=True)]
    return Data(texts[0], labels[0], vectors[0], labels[1], vectors[1])


def target_cells(data: Data, draw: int, sizes: list[int]) -> Iterator[Cell]:
    """Yield the cells of one draw of the study of targets."""
    rng = np.random.default_rng([draw, 7])
    wanted = rng.permutation(np.unique(data.labels))[:WANTED]
    order = rng.permutation(data.labels.size)
    queries = np.concatenate([order[data.labels[order] == one][:QUERIES] for one in wanted])
    queries = rng.permutation(queries)
    pool = rng.permutation(np.setdiff1d(order, queries))[:POOL]
    X, y, Q = data.vectors[pool], data.labels[pool], data.vectors[queries]
    tested = np.isin(data.test_labels, wanted)
    for k in sizes:
        methods = {
            "random": rng.permutation(pool.size)[:k],
            "facility location, no target": select(X, k).indices,
            "top k by mean similarity": select(X, k, optimizer="most_similar", target=Q).indices,
            "round robin (RDS+)": select(X, k, optimizer="round_robin", target=Q).indices,
        }
        for a in (0.5, 1.0):
            chosen = select(X, k, objective="graph_cut", target=Q, target_weight=a)
            methods[f"graph cut, target {a:g}"] = chosen.indices
        for a in (0.5, 0.9, 1.0):
            methods[f"facility location, target {a:g}"] = select(X, k, target=Q, target_weight=a).indices
        for name, rows in methods.items():
            accuracy = probe(X[rows], y[rows], data.test_vectors[tested], data.test_labels[tested], "classification")
            yield Cell("targets", k, draw, name, float(np.isin(y[rows], wanted).mean()), accuracy.accuracy)


def quality_cells(data: Data, garbled: Float32s, draw: int, sizes: list[int]) -> Iterator[Cell]:
    """Yield the cells of one draw of both studies of quality."""
    for study in ("labels", "garbled"):
        rng = np.random.default_rng([draw, 8])
        pool = rng.permutation(data.labels.size)[:POOL]
        spoiled = rng.random(pool.size) < SPOILED
        score = np.where(spoiled, 0.0, 1.0) + NOISE * rng.standard_normal(pool.size)
        X, y = data.vectors[pool].copy(), data.labels[pool].copy()
        if study == "garbled":
            X[spoiled] = garbled[pool[spoiled]]
        else:
            y[spoiled] = data.labels[rng.permutation(data.labels.size)[: int(spoiled.sum())]]
        for k in sizes:
            methods = {
                "random": rng.permutation(pool.size)[:k],
                "quality alone (top k by score)": np.argsort(-score, kind="stable")[:k],
                "facility location alone": select(X, k).indices,
            }
            for w in (0.1, 0.3, 1.0, 3.0):
                chosen = select(X, k, quality=score, quality_weight=w)
                methods[f"facility location, quality {w:g}"] = chosen.indices
            for name, rows in methods.items():
                found = probe(X[rows], y[rows], data.test_vectors, data.test_labels, "classification")
                yield Cell(study, k, draw, name, float((~spoiled[rows]).mean()), found.accuracy)


def garble(texts: list[str], rng: np.random.Generator) -> list[str]:
    """Return texts of which most words are exchanged for words of other texts."""
    words = np.array([word for text in texts for word in text.split()])
    found = []
    for text in texts:
        own = text.split()
        other = words[rng.integers(words.size, size=len(own))]
        kept = rng.random(len(own)) >= EXCHANGED
        found.append(" ".join(mine if keep else new for mine, new, keep in zip(own, other, kept, strict=True)))
    return found


def table(cells: list[Cell], against: str) -> str:
    """Return means and intervals, and the difference of each method to one."""
    lines = []
    for study, k in sorted({(cell.study, cell.k) for cell in cells}):
        these = [cell for cell in cells if (cell.study, cell.k) == (study, k)]
        lines.append(f"{study}, k = {k:,}: hits, accuracy, accuracy less that of {against} (95 % intervals)")
        accuracy = {
            name: {cell.draw: cell.accuracy for cell in these if cell.method == name}
            for name in dict.fromkeys(cell.method for cell in these)
        }
        for name, own in accuracy.items():
            hit = estimate([cell.hit for cell in these if cell.method == name])
            mean, ahead = estimate(list(own.values())), paired(own, accuracy[against])
            assert ahead is not None
            lines.append(
                f"  {name:34} {hit.mean:.3f}  {mean.mean:.3f} +- {mean.half or 0:.3f}  "
                f"{ahead.mean:+.3f} +- {ahead.half or 0:.3f}"
            )
    return "\n".join(lines)


def main() -> None:
    """Measure, write the cells and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", choices=("targets", "quality"))
    parser.add_argument("files", nargs=2, metavar="FILE", help="CSV to choose from, and to test on")
    parser.add_argument("--text", required=True, metavar="COLUMN")
    parser.add_argument("--label", required=True, metavar="COLUMN")
    parser.add_argument("--embedder", default="minilm")
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--k", type=int, nargs="+", default=[100, 300])
    parser.add_argument("--cache", default=".measure_aims", metavar="DIR", help="where vectors are kept")
    parser.add_argument("--out", required=True, metavar="FILE")
    given = parser.parse_args()
    data = read(given)
    cells: list[Cell] = []
    if given.study == "quality":
        texts = garble(data.texts, np.random.default_rng(9))
        garbled = embedded(texts, given.embedder, os.path.join(given.cache, f"{given.embedder}-garbled.npy"))
    for draw in range(given.draws):
        if given.study == "targets":
            cells += target_cells(data, draw, given.k)
        else:
            cells += quality_cells(data, garbled, draw, given.k)
    with open(given.out, "w", encoding="utf-8") as file:
        json.dump([asdict(cell) for cell in cells], file, indent=0)
        file.write("\n")
    print(table(cells, "round robin (RDS+)" if given.study == "targets" else "quality alone (top k by score)"))


if __name__ == "__main__":
    main()
