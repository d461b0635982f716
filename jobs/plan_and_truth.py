"""Compare what a run is told to take with what it takes, stage by stage, on corpora of our own making.

    python jobs/plan_and_truth.py --out bench/plan                       # all cases, some 25 minutes on two cores
    python jobs/plan_and_truth.py --out bench/plan --case tfidf-10k      # one of them

Each case is a run in a process of its own, without kept embeddings; ``OUT/cells.json`` has the seconds and bytes of
each stage as planned and as taken, and is gone on with. The time taken is that of the run from its first check on,
without Python's start. Where other work takes the CPUs after the plan was told, seconds say little: beside them stand
the CPU seconds that the process took, Python's start with them, and those that the plan would have told on an idle
machine. Those of Ray's processes are not known.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from ray_subsel.planning.stage_seconds import RAY
from ray_subsel.synthetic import Recipe, make_corpus


@dataclass(frozen=True)
class Case:
    """A run.

    Attributes
    ----------
    rows, d : int
        Of the corpus; d = 0: texts.
    flags : str
        Of ``subsel run``; ``{other}`` is a file of 500 other rows, ``{labelled}`` one of labelled texts.
    update : str
        Rows and flags of a ``subsel update`` that follows; if there are any, it is what is measured.
    """

    rows: int
    d: int
    flags: str
    update: str = ""


TFIDF, VECTORS = "--text text --embedder tfidf", "--vectors vector"
DIVERSE = "--recipe none --objective log_determinant --mode exact --partitions 4"
TRAIN = "--task classification --text text --label topic --test {labelled} --k 100 --arm subset --arm random --epochs 2"
CASES = {
    "tfidf-1k": Case(1_000, 0, f"{TFIDF} --k 100"),
    "tfidf-10k": Case(10_000, 0, f"{TFIDF} --k 1000"),
    "tfidf-50k": Case(50_000, 0, f"{TFIDF} --k 2000"),
    "tfidf-200k": Case(200_000, 0, f"{TFIDF} --k 2000"),
    "tfidf-200k-graph-cut": Case(200_000, 0, f"{TFIDF} --k 10000 --recipe none"),
    "tfidf-20k-filters": Case(
        20_000, 0, f"{TFIDF} --k 1000 --label topic --against {{other}} --drop-outliers 0.02 --drop-label-noise 0.02"
    ),
    "tfidf-20k-per": Case(20_000, 0, f"{TFIDF} --fraction 0.1 --per topic"),
    "tfidf-2k-per": Case(2_000, 0, f"{TFIDF} --fraction 0.1 --per topic"),
    "minilm-500": Case(500, 0, "--text text --k 50"),
    "minilm-2k": Case(2_000, 0, "--text text --k 200"),
    "minilm-500-train": Case(500, 0, TRAIN),
    "minilm-500-train-ray": Case(500, 0, f"{TRAIN} --train-workers 1"),
    "tfidf-20k-update": Case(20_000, 0, f"{TFIDF} --k 1000", update="{other}"),
    "vectors-1k": Case(1_000, 16, f"{VECTORS} --k 100"),
    "vectors-10k-64": Case(10_000, 64, f"{VECTORS} --k 1000"),
    "vectors-20k-384": Case(20_000, 384, f"{VECTORS} --k 1000"),
    "vectors-200k-64": Case(200_000, 64, f"{VECTORS} --k 2000"),
    "vectors-200k-384-ray": Case(200_000, 384, f"{VECTORS} --k 2000"),
    "vectors-200k-384-ray-graph-cut": Case(200_000, 384, f"{VECTORS} --k 10000 --recipe none"),
    "vectors-200k-64-exact": Case(200_000, 64, f"{VECTORS} --k 5000 --recipe none --mode exact --partitions 4"),
    "vectors-20k-64-log-determinant": Case(20_000, 64, f"{VECTORS} --k 500 {DIVERSE}"),
    "vectors-20k-64-log-determinant-2000": Case(20_000, 64, f"{VECTORS} --k 2000 {DIVERSE}"),
    "vectors-100k-384-log-determinant": Case(100_000, 384, f"{VECTORS} --k 2000 {DIVERSE}"),
    "vectors-200k-384-log-determinant-ray": Case(200_000, 384, f"{VECTORS} --k 2000 {DIVERSE}"),
}  # fmt: skip


def corpus(out: Path, rows: int, d: int, seed: int = 0) -> Path:
    """Write a corpus of which a half are copies, unless it is there."""
    place = out / "corpora" / f"{rows}-{d}-{seed}"
    make_corpus(Recipe(rows, redundancy=0.5, vectors=d, seed=seed), str(place), parallel=False)
    return place


def labelled(out: Path, rows: int) -> Path:
    """Write the test rows of a case that trains: other originals of the same topics."""
    path = out / "corpora" / f"test-{rows}.parquet"
    if not path.exists():
        table = pq.read_table(corpus(out, rows, 0, seed=1), columns=["text", "topic"])
        pq.write_table(table, path)
    return path


def measure(name: str, case: Case, out: Path) -> dict[str, Any]:
    """Run a case and return its cell."""
    data, place = corpus(out, case.rows, case.d), out / "runs" / name
    shutil.rmtree(place, ignore_errors=True)
    other = corpus(out, 500, case.d, seed=1)
    files = {"other": other, "labelled": labelled(out, 500)}
    program = [sys.executable, "-m", "ray_subsel.cli"]
    command = ["run", str(data), *case.flags.format(**files).split(), "--no-cache", "--quiet", "--out", str(place)]
    result = place
    if case.update:
        subprocess.run([*program, *command], stdout=subprocess.DEVNULL, check=True)
        command, result = (
            ["update", str(place), *case.update.format(**files).split(), "--quiet"],
            place / "updates" / "0001",
        )
    cell = {"case": name, "command": " ".join(["subsel", *command]).replace(str(out), "OUT")}
    cell |= {"cpus": os.cpu_count(), "load": os.getloadavg()[0]}
    began, used = time.perf_counter(), cpu_seconds()
    done = subprocess.run([*program, *command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        return cell | {"failed": done.stderr.strip().splitlines()[-1:]}
    wall, cpu = time.perf_counter() - began, cpu_seconds() - used
    report = json.loads((result / "report.json").read_text())
    shutil.rmtree(place)
    plan = report["plan"]
    planned = {"seconds": plan["seconds"], "bytes": plan["stages"], "slow": plan["slow"]}
    took = {
        "seconds": report["seconds"],
        "bytes": report.get("peaks") or {},
        "cpu_seconds": None if RAY in plan["seconds"] else cpu,
    }
    return cell | {"wall": wall, "planned": planned, "took": took}


def cpu_seconds() -> float:
    """Return the CPU seconds of the processes that this one has started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def row(cell: dict[str, Any]) -> str:
    """Return the line of the table of a cell: all together, then the stages of a tenth of the time and more."""
    if "failed" in cell:
        return f"| {cell['case']} | {cell['failed']} | | | | | |"
    planned, took = cell["planned"]["seconds"], cell["took"]["seconds"]
    stages = {name for name in took if max(took[name], planned.get(name, 0.0)) > 0.1 * sum(took.values())}
    shown = ", ".join(f"{name} {planned.get(name, 0.0):.0f} ({took[name]:.0f})" for name in took if name in stages)
    total, run, memory = sum(planned.values()), sum(took.values()), cell["planned"]["bytes"]
    peak = max((cell["took"]["bytes"].get(name, 0) for name in memory), default=0)
    peaks = f"{max(memory.values()) >> 20:,}", f"{peak >> 20:,}" if peak else "?"
    ratio = f"{total:.0f} ({run:.0f}) | {total / run:.2f}"
    cpu, slow = cell["took"].get("cpu_seconds"), cell["planned"].get("slow")
    idle = f"{total / slow:.1f} ({cpu:.1f})" if cpu and slow else ""
    return f"| {cell['case']} | {ratio} | {idle} | {shown} | {peaks[0]} ({peaks[1]}) | {cell['load']:.0f} |"


def table(cells: list[dict[str, Any]]) -> str:
    """Return a table of Markdown."""
    head = [
        "| case | seconds planned (taken) | ratio | on an idle machine (CPU s taken) | its longest stages "
        "| MiB planned (taken) | load |",
        "|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*head, *(row(cell) for cell in cells)])


def main() -> int:
    """Run the cases that have no cell yet, and print the table of all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--out", required=True, type=Path, help="folder of corpora, runs and cells.json")
    parser.add_argument("--case", action="append", choices=CASES, help="repeatable; default: all that have no cell")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    path = given.out / "cells.json"
    cells = {cell["case"]: cell for cell in json.loads(path.read_text())} if path.exists() else {}
    for name in given.case or [name for name in CASES if "wall" not in cells.get(name, {})]:
        cells[name] = measure(name, CASES[name], given.out)
        print(row(cells[name]), file=sys.stderr, flush=True)
        path.write_text(json.dumps([cells[case] for case in CASES if case in cells], indent=1) + "\n")
    print(table([cells[name] for name in CASES if name in cells]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
