r"""Train a small head for each group of a run with ``--per``: on its subset, on as many random rows, on all its rows.

    python jobs/benchmark_per_group.py --rows 20000 --groups 200 --out bench/small
    python jobs/heads_per_group.py bench/small/run-users-20000-200-64-0-facility_location-0.1 \
        --test bench/small/users-20000-200-64-0-test.parquet

The run is one on ready vectors with ``--label``; the head is logistic regression on them, as the probe of
``subsel compare``. Writes RUN/heads.parquet, a line for each group, and prints what all of them cost and reach.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import tempfile
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ray_subsel.cli.flags import build
from ray_subsel.config import CorpusConfig
from ray_subsel.core.errors import InputError
from ray_subsel.corpus.ingest import ingest
from ray_subsel.corpus.rows import RowStore
from ray_subsel.experiments.probe import probe
from ray_subsel.experiments.statistics import estimate
from ray_subsel.stages.write_selection import SELECTION
from ray_subsel.storage.embedding_store import vectors_of
from ray_subsel.storage.manifest import Manifest
from ray_subsel.storage.run_directory import RunDir

ARMS = ("subset", "random", "all")
HEADS = "heads.parquet"


@dataclasses.dataclass(frozen=True, eq=False)
class Labelled:
    """Rows with what is learnt, sorted by group: the groups' names, and where each begins and ends."""

    ids: NDArray[np.int64]
    X: NDArray[np.float32]
    labels: NDArray[np.str_]
    bounds: dict[str, tuple[int, int]]


def labelled(rows: RowStore) -> Labelled:
    """Return all usable rows of a corpus."""
    table = pa.concat_tables(list(rows.iter_tables(["id", "vector", "group", "label"])))
    groups = np.array([name or "" for name in table["group"].to_pylist()])
    order = np.lexsort((table["id"].to_numpy(), groups))
    groups = groups[order]
    names, starts = np.unique(groups, return_index=True)
    ends = [*starts[1:].tolist(), groups.size]
    labels = np.array([label or "" for label in table["label"].to_pylist()])
    bounds = {str(name): (int(a), int(b)) for name, a, b in zip(names, starts, ends, strict=True)}
    return Labelled(table["id"].to_numpy()[order], vectors_of(table["vector"])[order], labels[order], bounds)


def heads(run: RunDir, test: tuple[str, ...]) -> pa.Table:
    """Train the heads of all groups that have rows to test on, and return a line for each."""
    settings = Manifest.load(run).about.get("config", {})
    if not (settings.get("select") or {}).get("per"):
        raise InputError(f"{run.path()} must hold a selection in groups. Run subsel select --per COLUMN first.")
    if settings["corpus"]["vectors"] is None or settings["corpus"]["label"] is None:
        raise InputError(f"{run.path()} must be a run on ready vectors with labels. Use --vectors and --label.")
    corpus = dataclasses.replace(build(CorpusConfig, settings["corpus"]), data=test)
    with tempfile.TemporaryDirectory() as folder:
        tested = labelled(ingest(corpus, RunDir(folder)))
    rows = labelled(RowStore.open(run))
    chosen = run.read_table(SELECTION, ["id"])["id"].to_numpy()
    is_chosen = np.isin(rows.ids, chosen)
    lines = []
    for name, (start, end) in rows.bounds.items():
        if name not in tested.bounds or not is_chosen[start:end].any():
            continue
        a, b = tested.bounds[name]
        everything, subset = np.arange(start, end), start + np.flatnonzero(is_chosen[start:end])
        drawn = np.random.default_rng([0, start]).permutation(everything)[: subset.size]
        line: dict[str, Any] = {"group": name, "test_rows": b - a}
        for arm, places in zip(ARMS, (subset, drawn, everything), strict=True):
            found = probe(
                rows.X[places], rows.labels[places], tested.X[a:b], tested.labels[a:b], "classification", constant=True
            )
            line |= {f"rows_{arm}": places.size, f"correct_{arm}": found.correct, f"seconds_{arm}": found.seconds_train}
        lines.append(line)
    return pa.Table.from_pylist(lines)


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
    try:
        run = RunDir(given.run)
        table = heads(run, tuple(given.test))
        if not table.num_rows:
            raise InputError("test must hold rows of groups that the run has chosen from; it holds none.")
        run.write_table(HEADS, table)
    except InputError as error:
        sys.stderr.write(f"heads_per_group: error: {error}\n")
        return 2
    sys.stdout.write(json.dumps(summary(table)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
