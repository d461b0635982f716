r"""How time, memory and quality grow with the ground set, over modes, workers and nodes.

    python jobs/scaling.py --n 10000 30000 100000 --workers 1 2 --out results/scaling
    python jobs/scaling.py --n 100000 --modes greedi exact --workers 1 --nodes 1 2 --out results/nodes

A cell is one selection from a synthetic corpus of vectors (half of it copies, unless told otherwise) in a process of
its own: ``engine`` is the one-machine ``select`` on vectors in memory, ``greedi`` and ``exact`` are runs of the
pipeline on a Ray with so many CPUs a node and so many nodes (``ray.cluster_utils.Cluster`` on this machine). Finished
cells are kept: the same command goes on where it was stopped. DIR gets results.json, table.txt, time.svg, memory.svg.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from ray_subsel import __version__, select
from ray_subsel.config import CorpusConfig, EmbedConfig, RuntimeConfig, SelectConfig
from ray_subsel.core.byte_sizes import show_bytes
from ray_subsel.core.errors import InputError
from ray_subsel.core.hashing import fingerprint
from ray_subsel.experiments.figures import Line, line_chart
from ray_subsel.pipeline import RunConfig, run
from ray_subsel.runtime.peak_memory import peak_bytes, start_peak
from ray_subsel.storage.embedding_store import vectors_of
from ray_subsel.storage.run_directory import RunDir
from ray_subsel.synthetic import Recipe, make_corpus

MODES = ("engine", "greedi", "exact")
LEAST_POINTS = 3
"""Sizes that an exponent is fitted to, at least."""


def main() -> int:
    """Compute the cells that are missing, then write table and plots of all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument(
        "--n", type=int, nargs="+", default=[10_000, 30_000, 100_000], help="rows (default: %(default)s)"
    )
    parser.add_argument("--d", type=int, default=64, help="dimension (default: %(default)s)")
    parser.add_argument("--k-share", type=float, default=0.01, help="k as a share of n (default: %(default)s)")
    parser.add_argument("--redundancy", type=float, default=0.5, help="share of copies (default: %(default)s)")
    parser.add_argument("--near-share", type=float, default=0.5, help="of the copies (default: %(default)s)")
    parser.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES), help="default: all")
    parser.add_argument("--partitions", type=int, default=8, help="of greedi and exact (default: %(default)s)")
    parser.add_argument("--workers", type=int, nargs="+", default=[2], help="CPUs a node (default: %(default)s)")
    parser.add_argument("--nodes", type=int, nargs="+", default=[1], help="Ray nodes (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the corpora (default: %(default)s)")
    parser.add_argument("--out", required=True, metavar="DIR", help="directory of results")
    parser.add_argument("--cell", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.cell:
        return child(json.loads(given.cell), Path(given.out))
    try:
        cells = cells_of(given)
        results = compute(cells, Path(given.out))
    except InputError as error:
        parser.error(str(error))
    text = table(results)
    out = RunDir(given.out)
    out.write_json("results.json", {"version": __version__, "cells": results, "exponents": exponents(results)})
    out.write_bytes("table.txt", text.encode())
    for name, title, unit, of in (
        ("time", "Time to select", "log10 of seconds", "seconds"),
        ("memory", "Memory of the largest process", "log10 of bytes", "peak_bytes"),
    ):
        out.write_bytes(f"{name}.svg", chart(results, title, unit, of).encode())
    print(text)
    return 0


def cells_of(given: argparse.Namespace) -> list[dict[str, Any]]:
    """Return the cells asked for, small before large. The engine knows neither workers nor nodes."""
    if min(*given.n, *given.workers, *given.nodes, given.d, given.partitions) < 1:
        raise InputError("n, d, partitions, workers and nodes must be at least 1.")
    if not 0 < given.k_share <= 1:
        raise InputError(f"k_share must lie in (0, 1]; got {given.k_share:g}.")
    found = []
    for n, mode, workers, nodes in itertools.product(sorted(given.n), given.modes, given.workers, given.nodes):
        cell = {
            "n": n, "d": given.d, "k": max(1, math.floor(given.k_share * n)), "redundancy": given.redundancy,
            "near_share": given.near_share, "seed": given.seed, "mode": mode,
        }  # fmt: skip
        if mode != "engine":
            cell |= {"partitions": given.partitions, "workers": workers, "nodes": nodes}
        if cell not in found:
            found.append(cell)
    return found


def compute(cells: Sequence[dict[str, Any]], out: Path) -> list[dict[str, Any]]:
    """Run each missing cell in a process of its own; return all, with what only their neighbours tell."""
    run_dir, results = RunDir(str(out)), []
    for cell in cells:
        name = f"cells/{fingerprint(cell)}.json"
        if not run_dir.exists(name):
            corpus_of(cell, out)
            secret = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": uuid.uuid4().hex}
            command = [sys.executable, __file__, "--out", str(out), "--cell", json.dumps(cell)]
            done = subprocess.run(command, env={**os.environ, **secret}, capture_output=True, text=True, check=False)
            if done.returncode:
                lines = [line for line in done.stderr.splitlines() if line.strip()] or ["no word of why"]
                raise InputError(f"cell {json.dumps(cell)} failed: {lines[-1]}. The same command goes on from here.")
            run_dir.write_json(name, {**cell, **json.loads(done.stdout.splitlines()[-1])})
        results.append(run_dir.read_json(name))
        print(one_line(results[-1]), file=sys.stderr)
    return compared(results)


def compared(results: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add f's share of the engine's, and whether the ids of a mode are the same for all workers and nodes."""
    engine = {cell["n"]: cell["value"] for cell in results if cell["mode"] == "engine"}
    ids: dict[tuple[int, str], set[str]] = {}
    for cell in results:
        ids.setdefault((cell["n"], cell["mode"]), set()).add(cell["ids"])
    return [
        {
            **cell,
            "share_of_centralized": cell["value"] / engine[cell["n"]] if cell["n"] in engine else None,
            "same_ids": len(ids[cell["n"], cell["mode"]]) == 1,
        }
        for cell in results
    ]


def corpus_of(cell: dict[str, Any], out: Path) -> str:
    """Write the corpus of a cell, unless it is there, and return its folder."""
    folder = out / "corpora" / f"{cell['n']}-{cell['d']}-{cell['redundancy']:g}-{cell['near_share']:g}-{cell['seed']}"
    recipe = Recipe(
        rows=cell["n"], redundancy=cell["redundancy"], near_share=cell["near_share"], seed=cell["seed"],
        vectors=cell["d"], shard_rows=max(cell["n"], 1),
    )  # fmt: skip
    make_corpus(recipe, str(folder), parallel=False)
    return str(folder)


def child(cell: dict[str, Any], out: Path) -> int:
    """Compute one cell in this process and print its figures as the last line."""
    folder = corpus_of(cell, out)
    figures = by_engine(cell, folder) if cell["mode"] == "engine" else by_ray(cell, folder, out)
    print(json.dumps(figures))
    return 0


def by_engine(cell: dict[str, Any], folder: str) -> dict[str, Any]:
    """Select on vectors in memory."""
    start_peak()
    corpus = pq.read_table(folder, columns=["vector", "origin"])
    X, origin = vectors_of(corpus["vector"]), corpus["origin"].to_numpy()
    del corpus
    began = time.perf_counter()
    chosen = select(X, cell["k"], recipe="none")
    seconds = time.perf_counter() - began
    total = np.zeros(cell["d"])
    for start in range(0, cell["n"], 65_536):
        total += X[start : start + 65_536].sum(axis=0, dtype=np.float64)
    return {
        "seconds": seconds, "all_seconds": seconds, "peak_bytes": peak_bytes(), "value": chosen.value,
        "lift_over_random": lift(chosen.value, total, cell["n"], cell["k"]),
        "recall": recall(origin[chosen.indices], cell), "ids": fingerprint(chosen.indices.tolist()),
    }  # fmt: skip


def lift(value: float, total: np.ndarray[Any, Any], n: int, k: int, lam: float = 10.0) -> float | None:
    """Return f / E f(random) - 1, or None where that expectation is not above 0."""
    from ray_subsel.objectives.graph_cut import random_value

    expected = random_value(total, n, k, lam)
    return value / expected - 1 if expected > 0 else None


def by_ray(cell: dict[str, Any], folder: str, out: Path) -> dict[str, Any]:
    """Run the pipeline on a Ray of the cell's size."""
    import ray
    from ray.cluster_utils import Cluster

    cluster = None
    os.environ["OMP_NUM_THREADS"] = "1"  # of the workers, which inherit it
    if cell["nodes"] > 1:
        quiet = {"num_cpus": cell["workers"], "include_dashboard": False}
        cluster = Cluster(initialize_head=True, head_node_args=quiet)
        for _ in range(cell["nodes"] - 1):
            cluster.add_node(num_cpus=cell["workers"])
        ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    else:
        ray.init(
            address="local", num_cpus=cell["workers"], include_dashboard=False, log_to_driver=False,
            logging_level="ERROR",
        )  # fmt: skip
    directory = out / "runs" / fingerprint(cell)
    config = RunConfig(
        CorpusConfig(data=(folder,), vectors="vector", copies="keep"),
        EmbedConfig(),
        RuntimeConfig(out=str(directory), overwrite=True),
        SelectConfig(k=cell["k"], mode=cell["mode"], partitions=cell["partitions"], recipe="none"),
    )
    try:
        report = run(config)
    finally:
        ray.shutdown()
        if cluster is not None:
            cluster.shutdown()
    ids = pq.read_table(directory / "selection.parquet", columns=["id"])["id"].to_pylist()
    origin = pq.read_table(directory / "subset.parquet", columns=["origin"])["origin"].to_numpy()
    figures = {
        "seconds": report["seconds"]["select"], "all_seconds": sum(report["seconds"].values()),
        "peak_bytes": report["peak_bytes"], "predicted_peak_bytes": report["predicted_peak_bytes"],
        "value": report["value"], "lift_over_random": report["lift_over_random"], "rounds": report["rounds"],
        "recall": recall(origin, cell), "ids": fingerprint(ids),
    }  # fmt: skip
    shutil.rmtree(directory)
    return figures


def recall(origins: np.ndarray[Any, Any], cell: dict[str, Any]) -> float:
    """Return the share of distinct origins that k picks could have had."""
    originals = cell["n"] - int(cell["redundancy"] * cell["n"])
    return float(len(np.unique(origins)) / min(cell["k"], originals))


def exponents(results: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return b of seconds ~ n^b, and of bytes, for each line of the plot, by least squares of the logarithms."""
    found = []
    for name, cells in lines_of(results).items():
        for figure in ("seconds", "peak_bytes"):
            fit = power([cell["n"] for cell in cells], [cell[figure] for cell in cells])
            if fit is not None:
                found.append({"of": name, "figure": figure, "exponent": fit[0], "standard_error": fit[1]})
    return found


def power(n: Sequence[float], y: Sequence[float]) -> tuple[float, float] | None:
    """Return the slope of log y on log n and its standard error; None for fewer than three sizes."""
    if len(set(n)) < LEAST_POINTS:
        return None
    x, z = np.log(np.asarray(n, dtype=float)), np.log(np.asarray(y, dtype=float))
    dx = x - x.mean()
    slope = float(dx @ z / (dx @ dx))
    rest = z - z.mean() - slope * dx
    return slope, float(np.sqrt(rest @ rest / (len(x) - 2) / (dx @ dx)))


def lines_of(results: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return the cells by mode, workers and nodes."""
    found: dict[str, list[dict[str, Any]]] = {}
    for cell in results:
        found.setdefault(name_of(cell), []).append(cell)
    return found


def name_of(cell: dict[str, Any]) -> str:
    """Return what a cell is called in table and plot."""
    if cell["mode"] == "engine":
        return "engine"
    return f"{cell['mode']}, {cell['nodes']} x {cell['workers']} CPUs"


def chart(results: Sequence[dict[str, Any]], title: str, unit: str, figure: str) -> str:
    """Return a plot over n, both axes logarithmic."""
    lines = [
        Line(name, tuple((float(cell["n"]), math.log10(cell[figure]), None) for cell in cells))
        for name, cells in lines_of(results).items()
    ]
    return line_chart(title, "items", unit, lines, log_x=True)


def one_line(cell: dict[str, Any]) -> str:
    """Return a cell as it is told while others are computed."""
    return f"{name_of(cell)}: n = {cell['n']:,}, {cell['seconds']:.2f} s, {show_bytes(cell['peak_bytes'])}"


def table(results: Sequence[dict[str, Any]]) -> str:
    """Return all cells and exponents as text."""
    heads = ("n", "k", "how", "select s", "all s", "memory", "f", "over random", "share", "recall", "same ids")
    rows = [
        (
            f"{cell['n']:,}", f"{cell['k']:,}", name_of(cell), f"{cell['seconds']:.2f}", f"{cell['all_seconds']:.2f}",
            show_bytes(cell["peak_bytes"]), f"{cell['value']:.6g}",
            "" if cell["lift_over_random"] is None else f"{cell['lift_over_random']:+.1%}",
            "" if cell["share_of_centralized"] is None else f"{cell['share_of_centralized']:.5f}",
            f"{cell['recall']:.3f}", "yes" if cell["same_ids"] else "NO",
        )
        for cell in results
    ]  # fmt: skip
    widths = [max(len(row[i]) for row in (heads, *rows)) for i in range(len(heads))]
    lines = ["  ".join(word.rjust(width) for word, width in zip(row, widths, strict=True)) for row in (heads, *rows)]
    for fit in exponents(results):
        lines.append(f"{fit['of']}: {fit['figure']} ~ n^{fit['exponent']:.2f} (± {fit['standard_error']:.2f})")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
