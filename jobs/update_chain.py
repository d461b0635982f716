"""A chain of daily additions by ``subsel update``, one of them killed in the middle, beside fresh runs on everything.

    python jobs/update_chain.py train.csv --text text --out bench/chain               # MiniLM, ten days of 1 %
    python jobs/update_chain.py --generate 20000 --out bench/generated                # vectors, nothing to embed

The rows are shuffled; the last tenth comes in ``--days`` equal parts. A cell tells, after each day, the rows embedded,
the seconds of the update, and what left and came; on the days of ``--fresh`` also the seconds of a run on everything in
a new directory (its stages corpus, embed, near and select alone) and the share of f of the update's subset in that of
the fresh one, both evaluated on all items of the fresh run. On day ``--kill`` the process is killed by SIGKILL when it
begins to write its selection, and started again. Nothing is kept from one run to the next (``--no-cache``).
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ray_subsel.config import CacheConfig, RuntimeConfig
from ray_subsel.config.update import UpdateConfig
from ray_subsel.core.unit_rows import unit_rows
from ray_subsel.objectives import FacilityLocation, GraphCut, LogDeterminant, Objective
from ray_subsel.selection.api import select
from ray_subsel.stages.near.task import LEADERS
from ray_subsel.stages.update import update
from ray_subsel.storage.embedding_store import FOLDER as EMBEDDINGS
from ray_subsel.storage.embedding_store import EmbeddingStore
from ray_subsel.storage.run_directory import RunDir
from ray_subsel.synthetic.vectors import n_topics, original_vectors

OBJECTIVES: dict[str, Objective[Any]] = {one.name: one for one in (FacilityLocation(), GraphCut(), LogDeterminant())}
TIMED = ("corpus", "embed", "near", "select")


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
    n = table.num_rows
    shuffled = table.take(pa.array(np.random.default_rng(0).permutation(n)))
    cuts = np.linspace(n - n // 10, n, given.days + 1).astype(int).tolist()
    folder = Path(given.out) / "rows"
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for number, (start, stop) in enumerate(zip([0, *cuts[:-1]], cuts, strict=True)):
        files.append(str(folder / f"{number:02d}.parquet"))
        pq.write_table(shuffled.slice(start, stop - start), files[-1])
    return files


def command_of(given: argparse.Namespace, files: list[str], out: str) -> list[str]:
    """Return the command of a fresh run."""
    what = ["--vectors", "vector"] if given.generate else ["--text", given.text]
    how = ["--k", str(given.k), "--objective", given.objective, "--no-cache", "--out", out]
    near = ["--near", "0.9"] if given.near else []
    return [sys.executable, "-m", "ray_subsel.cli", "select", *files, *what, *how, *near]


def items_of(out: str) -> tuple[Any, Any]:
    """Return ids and vectors of what a run has chosen from."""
    run = RunDir(out)
    batch = EmbeddingStore.open_folder(run, LEADERS if run.names(LEADERS, ".parquet") else EMBEDDINGS).read_all()
    return batch.ids, batch.vectors


def value(objective: Objective[Any], X: Any, chosen: Any) -> float:
    """Return f of chosen vectors against all items X; a copy that another item leads has its own vector."""
    f: Objective[Any] = objective
    if isinstance(objective, FacilityLocation):
        f = FacilityLocation(represented=X)
    elif isinstance(objective, GraphCut):
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
    subprocess.run(command_of(given, files[:1], out), check=True, stdout=subprocess.DEVNULL)
    objective, cells = OBJECTIVES[given.objective], []
    for day, file in enumerate(files[1:], start=1):
        lost = kill(file, out) if day == given.kill else 0.0
        began = time.perf_counter()
        report = update(UpdateConfig((file,)), RuntimeConfig(out=out), CacheConfig(no_cache=True))
        seconds = time.perf_counter() - began
        cell: dict[str, Any] = {"objective": given.objective, "day": day, "k": given.k, "killed": bool(lost)}
        cell |= {name: report["renew"][name] for name in ("items", "left", "came")}
        cell |= {"embedded": report["embed"]["embedded"], "seconds": round(seconds, 2), "seconds_lost": round(lost, 2)}
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
    subprocess.run(command_of(given, files, fresh), check=True, stdout=subprocess.DEVNULL)
    told = json.loads(Path(fresh, "report.json").read_text())
    ids, X = items_of(fresh)
    theirs = np.searchsorted(ids, pq.read_table(f"{fresh}/selection.parquet")["id"].to_numpy())
    everything = EmbeddingStore.open_folder(RunDir(fresh), EMBEDDINGS).read_all()
    mine = np.array(pq.read_table(f"{out}/updates/{day:04d}/selection.parquet")["id"].to_pylist())
    place = np.searchsorted(everything.ids, mine)
    f, best = (value(objective, X, vectors) for vectors in (everything.vectors[place], X[theirs]))
    timed = {name: told["seconds"][name] for name in TIMED if name in told["seconds"]}
    return {
        "fresh_seconds": round(sum(timed.values()), 2),
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
    parser.add_argument("--d", type=int, default=64)
    parser.add_argument("--k", type=int, default=500)
    parser.add_argument("--objective", choices=list(OBJECTIVES), default="facility_location")
    parser.add_argument("--near", action="store_true")
    parser.add_argument("--days", type=int, default=10)
    parser.add_argument("--kill", type=int, default=5, help="the day that is killed in the middle; 0: none")
    parser.add_argument("--fresh", type=int, nargs="*", default=[1, 5, 10], help="days on which to run on everything")
    parser.add_argument("--out", required=True)
    parser.add_argument("--die-with", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.die_with:
        die(given.die_with, given.out)
        return
    cells = chain(given)
    Path(given.out, f"chain-{given.objective}.json").write_text(json.dumps(cells, indent=2) + "\n")


if __name__ == "__main__":
    main()
