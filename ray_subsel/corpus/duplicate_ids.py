"""Reject rows whose own id an earlier row of the corpus has: the first keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ray_subsel.core.hashing import text_key
from ray_subsel.corpus.batches import Reject
from ray_subsel.corpus.splits import write_part
from ray_subsel.storage.run_directory import RunDir

REASON = "duplicate id"


@dataclass(frozen=True)
class Cleaned:
    """What :func:`reject_duplicate_ids` did.

    Attributes
    ----------
    parts : list of dict
        The index's entries, those of rewritten parts replaced.
    rejects : dict
        For each split the rows that were taken out, numbered in their split.
    replaced : list of str
        Names of part files that no entry names any more.
    """

    parts: list[dict[str, Any]]
    rejects: dict[int, list[Reject]]
    replaced: list[str]


def reject_duplicate_ids(run: RunDir, parts: list[dict[str, Any]], shards: int) -> Cleaned:
    """Take rows out whose ``source_id`` an earlier row has.

    Hashes of 8 bytes a row are held, and the ids themselves only where two hashes are equal. A part that loses rows
    is written again under another name, so that a killed run leaves what it found.
    """
    suspects = _repeated([_hashes(_ids(run, part)) for part in parts])
    if not len(suspects):
        return Cleaned(parts, {}, [])
    first = _first_rows(run, parts, suspects)
    kept: list[dict[str, Any]] = []
    rejects: dict[int, list[Reject]] = {}
    replaced: list[str] = []
    for part in parts:
        names = _ids(run, part)
        table = run.read_table(part["name"])
        rows = table["id"].to_numpy() + part["offset"]
        late = np.array([first.get(name, row) < row for name, row in zip(names, rows.tolist(), strict=True)])
        if not late.any():
            kept.append(part)
            continue
        gone = table.filter(pa.array(late)).select(["line", "id", "source_id"]).to_pylist()
        rejects.setdefault(part["unit"], []).extend(
            Reject(row["line"], row["id"], REASON, row["source_id"][:80]) for row in gone
        )
        replaced.append(part["name"])
        rest = table.filter(pa.array(~late))
        if rest.num_rows:
            entry = write_part(run, part["name"].replace(".parquet", "-unique.parquet"), rest, shards)
            kept.append({**part, **entry})
    return Cleaned(kept, rejects, replaced)


def _ids(run: RunDir, part: dict[str, Any]) -> list[str]:
    names: list[str] = run.read_table(part["name"], ["source_id"])["source_id"].to_pylist()
    return names


def _hashes(names: list[str]) -> NDArray[np.uint64]:
    keys = b"".join(text_key(name)[:8] for name in names)
    return np.frombuffer(keys, dtype="<u8").astype(np.uint64)


def _repeated(hashes: list[NDArray[np.uint64]]) -> NDArray[np.uint64]:
    """Return the hashes that come more than once, sorted."""
    joined = np.sort(np.concatenate(hashes)) if hashes else np.zeros(0, dtype=np.uint64)
    return np.unique(joined[1:][joined[1:] == joined[:-1]])


def _first_rows(run: RunDir, parts: list[dict[str, Any]], suspects: NDArray[np.uint64]) -> dict[str, int]:
    """Return the lowest row of every id whose hash comes more than once."""
    first: dict[str, int] = {}
    for part in parts:
        table = run.read_table(part["name"], ["id", "source_id"])
        names = table["source_id"].to_pylist()
        rows = table["id"].to_numpy() + part["offset"]
        for position in np.flatnonzero(np.isin(_hashes(names), suspects)).tolist():
            row = int(rows[position])
            first[names[position]] = min(first.get(names[position], row), row)
    return first
