"""Measure what a question costs beside embedding: CPU seconds of whole processes on one thread, imports included.

python jobs/benchmark_small.py [--rows 4000] [--k 400] [--embedder minilm] [--embedder tfidf] [--vectors 50000]

Of the same generated texts: ``embed`` and ``select`` in Python, the least there is to do; ``select_texts``; ``subsel
select``; and ``subsel select`` again, with the embeddings of the run before. With ``--vectors N``: of N vectors of 384
numbers ``select`` and ``subsel select``, for a twentieth of them. One line of JSON a process.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ray_subsel.synthetic.intents import main as write_intents
from ray_subsel.synthetic.vectors import n_topics, original_vectors

D = 384
SCRIPTS = {
    "embed and select": "import csv, sys; from ray_subsel import embed, select; "
    "texts = list(dict.fromkeys(row['text'] for row in csv.DictReader(open(sys.argv[1])))); "
    "select(embed(texts, sys.argv[2], cache=False), int(sys.argv[3]))",
    "select_texts": "import csv, sys; from ray_subsel import select_texts; "
    "texts = [row['text'] for row in csv.DictReader(open(sys.argv[1]))]; "
    "select_texts(texts, int(sys.argv[3]), embedder=sys.argv[2], cache=False)",
}
VECTORS = "import sys, numpy; from ray_subsel import select; select(numpy.load(sys.argv[1]), int(sys.argv[2]))"
SUBSEL = ("-m", "ray_subsel.cli", "select")


def cpu_seconds(arguments: Sequence[str]) -> float:
    """Return the CPU seconds of a Python process and of those that it waits for.

    Raises
    ------
    RuntimeError
        Where it fails.
    """
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    silent = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    process = os.posix_spawn(sys.executable, [sys.executable, *arguments], environment, file_actions=silent)
    _, status, used = os.wait4(process, 0)
    if status:
        raise RuntimeError(f"{' '.join(arguments)} ended with status {os.waitstatus_to_exitcode(status)}")
    return used.ru_utime + used.ru_stime


def tell(rows: int, embedder: str, way: str, seconds: float, least: float) -> None:
    """Print a line of JSON."""
    about = {"rows": rows, "embedder": embedder, "way": way}
    print(json.dumps(about | {"cpu_seconds": round(seconds, 2), "of_python": round(seconds / least, 2)}), flush=True)


def of_texts(folder: Path, rows: int, k: int, embedder: str) -> None:
    """Measure one embedder."""
    data = folder / "texts.csv"
    write_intents(["--rows", str(rows), "--out", str(data)])
    found = {}
    for way, script in SCRIPTS.items():
        found[way] = cpu_seconds(["-c", script, str(data), embedder, str(k)])
    command = [*SUBSEL, str(data), "--text", "text", "--embedder", embedder, "--k", str(k), "--workers", "1", "--quiet"]
    for way in ("subsel select", "subsel select again"):
        out = str(folder / f"{embedder} {way}")
        found[way] = cpu_seconds([*command, "--cache", str(folder / "kept"), "--out", out])
    for way, seconds in found.items():
        tell(rows, embedder, way, seconds, found["embed and select"])


def of_vectors(folder: Path, rows: int) -> None:
    """Measure vectors that are there."""
    data = folder / "vectors.npy"
    np.save(data, original_vectors(np.arange(rows), D, 0, n_topics(rows))[0])
    least = cpu_seconds(["-c", VECTORS, str(data), str(rows // 20)])
    command = [*SUBSEL, str(data), "--k", str(rows // 20), "--quiet", "--out", str(folder / "vectors")]
    tell(rows, "vectors", "select", least, least)
    tell(rows, "vectors", "subsel select", cpu_seconds(command), least)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--k", type=int, default=400)
    parser.add_argument("--embedder", action="append", default=[], help="minilm, tfidf; may be given again")
    parser.add_argument("--vectors", type=int, default=0, metavar="N")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        for embedder in given.embedder:
            of_texts(Path(folder), given.rows, given.k, embedder)
        if given.vectors:
            of_vectors(Path(folder), given.vectors)


if __name__ == "__main__":
    main()
