r"""Train a small head for each group of a run with ``--per``: on its subset, on as many random rows, on all its rows.

    python jobs/benchmark_per_group.py --rows 20000 --groups 200 --out bench/small
    python jobs/heads_per_group.py bench/small/run-users-20000-200-64-0-facility_location-0.1 \
        --test bench/small/users-20000-200-64-0-test.parquet

The run is one on ready vectors with ``--label``; the head is logistic regression on them, as the probe of
``subsel compare``. Writes RUN/heads.parquet, a line for each group, and prints what all of them cost and reach. Rows
are read for some groups at a time, 100,000 rows or the largest group; memory is that of those and of the test rows.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ray_subsel.cli.flags import build
from ray_subsel.config import CorpusConfig
from ray_subsel.core.errors import InputError
from ray_subsel.corpus.ingest import ingest
from ray_subsel.corpus.rows import RowStore
from ray_subsel.decisions.table import SELECTION
from ray_subsel.experiments.probe import probe
from ray_subsel.experiments.statistics import estimate
from ray_subsel.runtime.peak_memory import peak_bytes
from ray_subsel.runtime.progress import bar
from ray_subsel.storage.embedding_store import vectors_of
from ray_subsel.storage.manifest import Manifest
from ray_subsel.storage.run_directory import RunDir

ARMS = ("subset", "random", "all")
HEADS = "heads.parquet"
ROWS_AT_A_TIME = 100_000


@dataclasses.dataclass(frozen=True, eq=False)
class Labelled:
    """Rows with what is learnt, sorted by group and id.

    ``bounds`` has where each group begins and ends among them, and ``first`` the place of the first row among those of
    all groups.
    """

    ids: NDArray[np.int64]
    X: NDArray[np.float32]
    labels: NDArray[np.str_]
    bounds: dict[str, tuple[int, int]]
    first: int


def labelled(rows: RowStore, at_a_time: int) -> Iterator[Labelled]:
    """Yield the usable rows of a corpus, whole groups, so many rows or the largest group at a time."""
    table = pa.concat_tables(list(rows.iter_tables(["id", "group"]))).combine_chunks()
    coded = pc.fill_null(table["group"].combine_chunks(), "").dictionary_encode()
    by_name = np.argsort(np.array(coded.dictionary.to_pylist()))
    rank = np.empty_like(by_name)
    rank[by_name] = np.arange(by_name.size)
    group, ids = rank[coded.indices.to_numpy()], table["id"].to_numpy()
    ids, sizes = ids[np.lexsort((ids, group))], np.bincount(group)
    ends = np.cumsum(sizes)
    number = (ends - sizes) // at_a_time
    for one in np.unique(number).tolist():
        mine = np.flatnonzero(number == one)
        start, stop = int(ends[mine[0]] - sizes[mine[0]]), int(ends[mine[-1]])
        found = rows.take(ids[start:stop], ["vector", "label"])
        names = coded.dictionary.take(pa.array(by_name[mine])).to_pylist()
        edges = [*(ends[mine] - sizes[mine] - start).tolist(), stop - start]
        bounds = {name: (edges[at], edges[at + 1]) for at, name in enumerate(names)}
        labels = np.array(pc.fill_null(found["label"], "").to_pylist())
        yield Labelled(ids[start:stop], vectors_of(found["vector"]), labels, bounds, start)


def heads(run: RunDir, test: tuple[str, ...]) -> pa.Table:
    """Train the heads of all groups that have rows to test on, and return a line for each."""
    settings = Manifest.load(run).about.get("config", {})
    if not (settings.get("select") or {}).get("per"):
        raise InputError(f"{run.path()} must hold a selection in groups. Run subsel select --per COLUMN first.")
    if settings["corpus"]["vectors"] is None or settings["corpus"]["label"] is None:
        raise InputError(f"{run.path()} must be a run on ready vectors with labels. Use --vectors and --label.")
    corpus = dataclasses.replace(build(CorpusConfig, settings["corpus"]), data=test)
    with tempfile.TemporaryDirectory() as folder:
        tests = ingest(corpus, RunDir(folder))
        (tested,) = labelled(tests, tests.n_rows)
    chosen = np.sort(run.read_table(SELECTION, ["id"])["id"].to_numpy())
    lines = []
    with bar("heads", RowStore.open(run).n_rows, "row") as progress:
        for rows in labelled(RowStore.open(run), ROWS_AT_A_TIME):
            lines += _heads_of(rows, tested, chosen)
            progress.advance(rows.ids.size)
    return pa.Table.from_pylist(lines)


def _heads_of(rows: Labelled, tested: Labelled, chosen: NDArray[np.int64]) -> list[dict[str, Any]]:
    """Train the heads of some groups, and return a line for each."""
    is_chosen, lines = np.isin(rows.ids, chosen), []
    for name, (start, end) in rows.bounds.items():
        if name not in tested.bounds or not is_chosen[start:end].any():
            continue
        a, b = tested.bounds[name]
        everything, subset = np.arange(start, end), start + np.flatnonzero(is_chosen[start:end])
        drawn = np.random.default_rng([0, rows.first + start]).permutation(everything)[: subset.size]
        line: dict[str, Any] = {"group": name, "test_rows": b - a}
        for arm, places in zip(ARMS, (subset, drawn, everything), strict=True):
            found = probe(
                rows.X[places], rows.labels[places], tested.X[a:b], tested.labels[a:b], "classification", constant=True
            )
            line |= {f"rows_{arm}": places.size, f"correct_{arm}": found.correct, f"seconds_{arm}": found.seconds_train}
        lines.append(line)
    return lines


def summary(table: pa.Table) -> dict[str, Any]:
    """Return what the heads of all groups cost and reach; a difference is the mean over groups with its interval."""
    tests = table["test_rows"].to_numpy()
    arms = {
        arm: {
            "rows": int(table[f"rows_{arm}"].to_numpy().sum()),
            "seconds": float(table[f"seconds_{arm}"].to_numpy().sum()),
            "accuracy": float(table[f"correct_{arm}"].to_numpy().sum() / tests.sum()),
        }
        for arm in ARMS
    }
    shares = {arm: table[f"correct_{arm}"].to_numpy() / tests for arm in ARMS}
    against = {
        other: dataclasses.asdict(estimate((shares["subset"] - shares[other]).tolist())) for other in ("random", "all")
    }
    return {"groups": table.num_rows, "test_rows": int(tests.sum()), "arms": arms, "subset_minus": against}


def main() -> int:
    """Train, write the lines and print the summary as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", help="directory of a run with --per")
    parser.add_argument("--test", nargs="+", required=True, help="files of rows to test on, like the run's own")
    given = parser.parse_args()
    began, used = time.perf_counter(), time.process_time()
    try:
        run = RunDir(given.run)
        table = heads(run, tuple(given.test))
        if not table.num_rows:
            raise InputError("test must hold rows of groups that the run has chosen from; it holds none.")
        run.write_table(HEADS, table)
    except InputError as error:
        sys.stderr.write(f"heads_per_group: error: {error}\n")
        return 2
    cost = {
        "seconds": round(time.perf_counter() - began, 1),
        "cpu_seconds": round(time.process_time() - used, 1),
        "peak_bytes": peak_bytes(),
    }
    sys.stdout.write(json.dumps(summary(table) | cost) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
