"""Ids that seven commands chose before the layout of the package was changed: what moves code must not move a pick.

They say ``--recipe none``: the ids are of a version that decided nothing, and whose objective was graph cut.
``python tests/golden/test_golden_ids.py`` writes ``ids.json`` again, which is right only where a change of ids is
meant; CHANGELOG.md then says so.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

FILE = Path(__file__).with_name("ids.json")
N, D, CENTRES = 2600, 24, 40

COMMANDS: dict[str, list[str]] = {
    "one partition": ["--partitions", "1", "--k", "120"],
    "four partitions": ["--partitions", "4", "--k", "120"],
    "tree": ["--partitions", "9", "--fan-in", "3", "--k", "90"],
    "exact": ["--mode", "exact", "--partitions", "4", "--k", "120"],
    "near": ["--near", "0.97", "--partitions", "3", "--k", "150"],
    "limits and budget": [
        *("--group", "group", "--cost", "cost", "--quota", "a=40", "--quota", "b=25", "--budget", "300"),
        *("--partitions", "4", "--include", "include.txt", "--exclude", "exclude.txt"),
    ],
    "facility location": ["--objective", "facility_location", "--represented", "700", "--partitions", "4", "--k", "80"],
}


def write_corpus(folder: Path) -> Path:
    """Write vectors around some centres, a third of them near copies, with groups and costs."""
    rng = np.random.default_rng(2026)
    centres = rng.normal(size=(CENTRES, D))
    X = centres[rng.integers(CENTRES, size=N)] + 0.9 * rng.normal(size=(N, D))
    copied = rng.choice(N, size=N // 3, replace=False)
    X[copied] = X[rng.integers(N, size=copied.size)] + 0.05 * rng.normal(size=(copied.size, D))
    X[5] = X[1700]  # an exact copy
    columns = {
        "vector": pa.array(list(X.astype(np.float32)), pa.list_(pa.float32())),
        "group": pa.array(rng.choice(["a", "b", "c"], size=N, p=[0.6, 0.3, 0.1])),
        "cost": pa.array(np.round(rng.uniform(1.0, 5.0, size=N), 2)),
    }
    path = folder / "vectors.parquet"
    pq.write_table(pa.table(columns), path)
    (folder / "include.txt").write_text("17\n1700\n42\n")
    (folder / "exclude.txt").write_text("3\n4\n900\n")
    return path


def chosen(folder: Path, corpus: Path, name: str) -> list[int]:
    """Run a command and return the ids in the order of their ranks."""
    from ray_subsel.cli import main

    out = folder / name.replace(" ", "-")
    options = [str(folder / one) if one.endswith(".txt") else one for one in COMMANDS[name]]
    assert main(["select", str(corpus), "--vectors", "vector", "--recipe", "none", "--out", str(out), *options]) == 0
    ids: list[int] = pq.read_table(out / "selection.parquet", columns=["id"])["id"].to_pylist()
    return ids


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("golden"))


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_chooses_what_it_always_has(name: str, corpus: Path) -> None:
    assert chosen(corpus.parent, corpus, name) == json.loads(FILE.read_text())[name]


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        path = write_corpus(place)
        found = {name: chosen(place, path, name) for name in COMMANDS}
    FILE.write_text(json.dumps(found, separators=(",", ":")).replace('],"', '],\n"') + "\n")
    sys.stdout.write(f"{FILE}: { ({name: len(ids) for name, ids in found.items()}) }\n")
