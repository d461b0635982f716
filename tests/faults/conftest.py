"""One small corpus with near copies, its embeddings, and the ids that runs to which nothing happens end with."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_subsel.cli import main

CHILD = Path(__file__).with_name("child.py")
SELECT = ("--k", "60", "--partitions", "4")


class Runs:
    """Commands over the corpus, here or in a process to which a fault happens.

    ``embedded`` is a run directory in which the corpus is embedded and nothing else is done.
    """

    def __init__(self, folder):
        draw = np.random.default_rng(0)
        X = np.repeat(draw.normal(size=(300, 8)) + 0.3, 2, axis=0) + 0.03 * draw.normal(size=(600, 8))
        self.corpus, self.embedded = folder / "corpus", folder / "embedded"
        self.corpus.mkdir()
        for number, rows in enumerate(np.split(X.astype(np.float32), 3)):
            column = pa.FixedSizeListArray.from_arrays(pa.array(rows.reshape(-1)), 8)
            pq.write_table(pa.table({"v": column}), self.corpus / f"{number}.parquet")
        assert main(["embed", str(self.corpus), "--vectors", "v", "--out", str(self.embedded)]) == 0
        self._folder: Path = folder
        self._ids: dict[tuple[str, ...], list[int]] = {}
        self.ids()

    def command(self, out, *more):
        return ["select", str(self.corpus), "--vectors", "v", "--recipe", "none", *SELECT, *more, "--out", str(out)]

    def begin(self, out):
        """Make a run directory in which the corpus is embedded."""
        shutil.copytree(self.embedded, out, ignore=shutil.ignore_patterns("report.*"))

    def ids(self, *more):
        """Return what a run to which nothing happens chooses."""
        if more not in self._ids:
            out = self._folder / f"finished-{len(self._ids)}"
            self.begin(out)
            assert main(self.command(out, *more)) == 0
            self._ids[more] = chosen(out)
        return self._ids[more]

    def almost(self, out, *more):
        """Make a run directory in which only the last round is not done."""
        self.ids(*more)
        finished = self._folder / f"finished-{list(self._ids).index(more)}"
        shutil.copytree(finished, out, ignore=shutil.ignore_patterns("report.*", "s*.parquet"))
        manifest = json.loads((out / "manifest.json").read_text())
        manifest["stages"]["select"] |= {"done": False}
        (out / "manifest.json").write_text(json.dumps(manifest))


@contextmanager
def child(way, moment, nth, command, **environment):
    """Yield a process that runs a command to which something happens (see child.py)."""
    call = [sys.executable, str(CHILD), way, moment, str(nth), *command]
    with tempfile.TemporaryDirectory(prefix="moment-") as folder:
        environment = {**os.environ, "MOMENTS": folder, **environment}
        with subprocess.Popen(
            call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        ) as process:
            try:
                yield process
            finally:
                process.kill()


def run_child(way, moment, nth, command, **environment):
    """Run a command in a process to which something happens; return how that ended."""
    with child(way, moment, nth, command, **environment) as process:
        out, err = process.communicate()
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def gone(processes, seconds=200.0):
    """Wait until processes have ended, such as those of Ray that were starting; return those that do not."""
    deadline = time.monotonic() + seconds
    while (processes := [pid for pid in processes if os.path.exists(f"/proc/{pid}")]) and time.monotonic() < deadline:
        time.sleep(0.1)
    return processes


def chosen(out):
    return pq.read_table(out / "selection.parquet")["id"].to_pylist()


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    return Runs(tmp_path_factory.mktemp("faults"))
