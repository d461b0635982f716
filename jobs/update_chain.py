"""A chain of daily additions by ``subsel update``, one of them killed in the middle, beside fresh runs on everything.

    python jobs/update_chain.py train.csv --text text --out bench/chain               # MiniLM, ten days of 1 %
    python jobs/update_chain.py --generate 20000 --out bench/generated                # vectors, nothing to embed

The rows are shuffled; the last tenth comes in ``--days`` equal parts. A cell tells, after each day, the rows embedded,
the seconds and CPU seconds of the command ``subsel update``, and what left and came; on the days of ``--fresh`` also
those of ``subsel select`` on everything in a new directory, and the share of f of the update's subset in that of the
fresh one, both evaluated on all items of the fresh run, or 20,000 of them. Both commands work in one process of their
own, without Ray. On day ``--kill`` the process is killed by SIGKILL when it begins to write its selection, and started
again. Nothing is kept from one run to the next (``--no-cache``).
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ray_subsel import cli
from ray_subsel.config import CacheConfig, RuntimeConfig
from ray_subsel.config.update import UpdateConfig
from ray_subsel.core.unit_rows import unit_rows
from ray_subsel.objectives import FacilityLocation, GraphCut, LogDeterminant, Objective
from ray_subsel.planning.policy import DEFAULT_POLICY
from ray_subsel.selection.api import select
from ray_subsel.stages.near.task import LEADERS
from ray_subsel.stages.update import update
from ray_subsel.storage.embedding_store import FOLDER as EMBEDDINGS
from ray_subsel.storage.embedding_store import EmbeddingStore
from ray_subsel.storage.run_directory import RunDir
from ray_subsel.synthetic.vectors import n_topics, original_vectors

OBJECTIVES: dict[str, Objective[Any]] = {one.name: one for one in (FacilityLocation(), GraphCut(), LogDeterminant())}
EVALUATED = 20_000
"""Items on which facility location is evaluated, of more."""
HERE = {"in_process_bytes": 1 << 50, "in_process_numbers": 1 << 50, "in_process_seconds": 1e9}


def parts_of(given: argparse.Namespace) -> list[str]:
    """Write the rows of the run and of each day, and return the files."""
    if given.generate:
        X, _ = original_vectors(np.arange(given.generate), given.d, seed=0, topics=n_topics(given.generate))
        vectors = pa.FixedSizeListArray.from_arrays(pa.array(X.astype(np.float32).reshape(-1)), given.d)
        table = pa.table({"vector": vectors})
    else:
        import pandas as pd

        frame = pd.read_csv(given.data)[[given.text]]
        table = pa.Table.from_pandas(frame, preserve_index=False)
    n = table.num_rows if given.rows is None else min(given.rows, table.num_rows)
    shuffled = table.take(pa.array(np.random.default_rng(0).permutation(table.num_rows)[:n]))
    cuts = np.linspace(n - n // 10, n, given.days + 1).astype(int).tolist()
    folder = Path(given.out) / "rows"
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for number, (start, stop) in enumerate(zip([0, *cuts[:-1]], cuts, strict=True)):
        files.append(str(folder / f"{number:02d}.parquet"))
        pq.write_table(shuffled.slice(start, stop - start), files[-1])
    return files


def command_of(given: argparse.Namespace, files: list[str], out: str) -> list[str]:
    """Return the arguments of a fresh run."""
    what = ["--vectors", "vector"] if given.generate else ["--text", given.text, "--embedder", given.embedder]
    how = ["--k", str(given.k), "--objective", given.objective, "--no-cache", "--out", out]
    near = ["--near", "0.9"] if given.near else []
    return ["select", *files, *what, *how, *near]


def call(arguments: list[str]) -> tuple[float, float]:
    """Run a command of subsel in a process of its own, without Ray; return its seconds and CPU seconds."""
    began, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, __file__, "--out", "-", "--call", json.dumps(arguments)], check=True)
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
    return round(time.perf_counter() - began, 2), round(cpu, 2)


def items_of(out: str) -> tuple[Any, Any]:
    """Return ids and vectors of what a run has chosen from."""
    run = RunDir(out)
    batch = EmbeddingStore.open_folder(run, LEADERS if run.names(LEADERS, ".parquet") else EMBEDDINGS).read_all()
    return batch.ids, batch.vectors


def value(objective: Objective[Any], X: Any, chosen: Any) -> float:
    """Return f of chosen vectors against items X; a copy that another item leads has its own vector."""
    f: Objective[Any] = objective
    if isinstance(objective, FacilityLocation):
        shown = np.sort(np.random.default_rng(0).permutation(len(X))[:EVALUATED])
        unit = [unit_rows(one).slice(0, len(one)).astype(np.float32) for one in (X[shown], chosen)]
        best = np.full(shown.size, 0.0, dtype=np.float32)
        for start in range(0, len(chosen), 500):
            best = np.maximum(best, (unit[0] @ unit[1][start : start + 500].T).max(axis=1))
        return float(best.astype(np.float64).sum()) * len(X) / shown.size
    if isinstance(objective, GraphCut):
        f = GraphCut(objective.lam, unit_rows(X).slice(0, len(X)).sum(axis=0))
    return select(chosen, len(chosen), objective=f, recipe="none", include=np.arange(len(chosen))).value


def kill(file: str, out: str) -> float:
    """Start an update that is killed when it begins to write its selection; return its seconds."""
    began = time.perf_counter()
    child = subprocess.run([sys.executable, __file__, "--die-with", file, "--out", out], check=False)
    assert child.returncode == -signal.SIGKILL, child.returncode
    return time.perf_counter() - began


def die(file: str, out: str) -> None:
    """Update, and kill this process before the selection is written."""

    def watch(event: str, name: str) -> None:
        if event == "write" and name.endswith("selection.parquet"):
            os.kill(os.getpid(), signal.SIGKILL)

    update(UpdateConfig((file,)), RuntimeConfig(out=out), CacheConfig(no_cache=True), watch=watch)


def chain(given: argparse.Namespace) -> list[dict[str, Any]]:
    """Return a cell for each day."""
    files = parts_of(given)
    out = f"{given.out}/chain-{given.objective}"
    call(command_of(given, files[:1], out))
    objective, cells = OBJECTIVES[given.objective], []
    for day, file in enumerate(files[1:][: given.until], start=1):
        lost = kill(file, out) if day == given.kill else 0.0
        seconds, cpu = call(["update", out, file, "--no-cache"])
        report = json.loads(Path(out, f"updates/{day:04d}/report.json").read_text())
        cell: dict[str, Any] = {"objective": given.objective, "day": day, "k": given.k, "killed": bool(lost)}
        cell |= {name: report["renew"][name] for name in ("items", "left", "came")}
        cell |= {"embedded": report["embed"]["embedded"], "seconds": seconds, "cpu_seconds": cpu}
        cell["seconds_lost"] = round(lost, 2)
        if day in given.fresh:
            cell |= beside_fresh(given, files[: day + 1], out, day, objective)
        cells.append(cell)
        print(json.dumps(cell), flush=True)
    return cells


def beside_fresh(
    given: argparse.Namespace, files: list[str], out: str, day: int, objective: Objective[Any]
) -> dict[str, Any]:
    """Run on everything, and compare."""
    fresh = f"{given.out}/fresh-{given.objective}-{day}"
    seconds, cpu = call(command_of(given, files, fresh))
    told = json.loads(Path(fresh, "report.json").read_text())
    ids, X = items_of(fresh)
    theirs = np.searchsorted(ids, pq.read_table(f"{fresh}/selection.parquet")["id"].to_numpy())
    everything = EmbeddingStore.open_folder(RunDir(fresh), EMBEDDINGS).read_all()
    mine = np.array(pq.read_table(f"{out}/updates/{day:04d}/selection.parquet")["id"].to_pylist())
    place = np.searchsorted(everything.ids, mine)
    f, best = (value(objective, X, vectors) for vectors in (everything.vectors[place], X[theirs]))
    return {
        "fresh_seconds": seconds,
        "fresh_cpu_seconds": cpu,
        "fresh_embedded": told["embedding"]["embedded"],
        "share_of_f": round(f / best, 5),
        "f": f,
        "f_fresh": best,
    }


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", nargs="?")
    parser.add_argument("--text", default="text")
    parser.add_argument("--generate", type=int, default=0, help="so many generated vectors in place of texts")
    parser.add_argument("--embedder", default="minilm")
    parser.add_argument("--rows", type=int, help="take so many rows of DATA, drawn at random; default: all")
    parser.add_argument("--d", type=int, default=64)
    parser.add_argument("--k", type=int, default=500)
    parser.add_argument("--objective", choices=list(OBJECTIVES), default="facility_location")
    parser.add_argument("--near", action="store_true")
    parser.add_argument("--days", type=int, default=10)
    parser.add_argument("--until", type=int, help="stop after this day")
    parser.add_argument("--kill", type=int, default=5, help="the day that is killed in the middle; 0: none")
    parser.add_argument("--fresh", type=int, nargs="*", default=[1, 5, 10], help="days on which to run on everything")
    parser.add_argument("--out", required=True)
    parser.add_argument("--die-with", help=argparse.SUPPRESS)
    parser.add_argument("--call", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.call:
        policy = dataclasses.replace(DEFAULT_POLICY, **HERE)
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            status = cli.main(json.loads(given.call), policy=policy)
        sys.exit(status)
    if given.die_with:
        die(given.die_with, given.out)
        return
    cells = chain(given)
    Path(given.out, f"chain-{given.objective}.json").write_text(json.dumps(cells, indent=2) + "\n")


if __name__ == "__main__":
    main()
