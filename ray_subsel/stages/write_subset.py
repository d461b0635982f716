"""Write the original rows of a subset: as Parquet, and in the forms that ``--to`` names.

``subset.parquet`` has the types of the whole corpus. ``subset.jsonl`` gives JSON objects back byte by byte as they were
written. ``subset/`` is a folder that ``datasets.load_from_disk`` opens, with the names of classes. With ``--stages``,
``stages/1.parquet`` and so on (and ``.jsonl``) have the rows of each stage, with the ranks of the whole.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ray_subsel.core.hashing import fingerprint
from ray_subsel.core.types import Indices
from ray_subsel.corpus.columns import RECORD
from ray_subsel.corpus.rows import RowStore
from ray_subsel.corpus.values import to_json
from ray_subsel.storage.run_directory import RunDir

SUBSET = "subset.parquet"
LINES = "subset.jsonl"
FOLDER = "subset"
STAGES = "stages"
FORMS = {"parquet": SUBSET, "jsonl": LINES, "hf": FOLDER}
"""What ``--to`` may name, and what is written for it."""
_DATA = f"{FOLDER}/data-00000-of-00001.arrow"
_STATE = f"{FOLDER}/state.json"
BLOCK = 8192


def write_subset(
    run: RunDir,
    rows: RowStore,
    ids: Indices,
    forms: Sequence[str],
    *,
    ranks: Indices | None = None,
    stage: Indices | None = None,
) -> dict[str, int]:
    """Write the rows; return how many values of each column did not fit its type and are null in Parquet.

    Parameters
    ----------
    ranks : int64 array of shape (k,), optional
        Of the rows, where they are not 0..k-1.
    stage : int64 array of shape (k,), optional
        The stage of each row, where there are any.
    """
    misfits: dict[str, int] = {}
    table = rows.subset_table(ids, misfits)
    if ranks is not None:
        table = table.set_column(table.column_names.index("rank"), "rank", pa.array(ranks))
    run.write_table(SUBSET, table)
    for number in _numbers(stage):
        run.write_table(f"{STAGES}/{number}.parquet", table.filter(pa.array(stage == number)))
    write_forms(run, rows, ids, forms, stage, table)
    return misfits


def write_forms(
    run: RunDir,
    rows: RowStore,
    ids: Indices,
    forms: Sequence[str],
    stage: Indices | None = None,
    table: pa.Table | None = None,
) -> None:
    """Write the forms that are not there yet."""
    if "jsonl" in forms:
        parts = {LINES: ids} | {f"{STAGES}/{number}.jsonl": ids[stage == number] for number in _numbers(stage)}
        for name, mine in parts.items():
            if not run.exists(name):
                _write_lines(run, rows, mine, name)
    if "hf" in forms and not run.exists(_STATE):
        of = fingerprint([rows.index["fingerprint"], ids.tolist()])
        _write_dataset(run, run.read_table(SUBSET) if table is None else table, of)


def _numbers(stage: Indices | None) -> range:
    """Return the numbers of the stages up to the last that has rows."""
    return range(1, 1 + int(np.max(stage, initial=0))) if stage is not None else range(0)


def _write_lines(run: RunDir, rows: RowStore, ids: Indices, name: str) -> None:
    with run.atomic(name) as temporary, run.filesystem.open_output_stream(temporary) as stream:
        for start in range(0, len(ids), BLOCK):
            block = ids[start : start + BLOCK]
            table = rows.take(block)
            written = table[RECORD].to_pylist() if RECORD in table.column_names else [None] * len(block)
            others = _objects(rows, block, written)
            lines = (other if one is None else _on_one_line(one) for one, other in zip(written, others, strict=True))
            stream.write("".join(f"{line}\n" for line in lines).encode())


def _objects(rows: RowStore, ids: Indices, written: list[str | None]) -> list[str]:
    """Return rows that were no JSON as JSON objects, without the columns that we add."""
    if all(one is not None for one in written):
        return [""] * len(written)
    return [to_json(record) for record in rows.original_table(ids).to_pylist()]


def _on_one_line(written: str) -> str:
    """Return an object as it was written; one that spanned lines of an array, on one line."""
    return written if "\n" not in written else to_json(json.loads(written))


def _write_dataset(run: RunDir, table: pa.Table, of: str) -> None:
    """Write a folder as ``datasets.save_to_disk`` does; the state comes last, and says that the rest is there."""
    with (
        run.atomic(_DATA) as temporary,
        run.filesystem.open_output_stream(temporary) as stream,
        pa.ipc.new_stream(stream, table.schema) as writer,
    ):
        writer.write_table(table, max_chunksize=BLOCK)
    run.write_json(f"{FOLDER}/dataset_info.json", {"description": ""})  # features are noted in the schema
    state: dict[str, Any] = {
        "_data_files": [{"filename": _DATA.rpartition("/")[2]}],
        "_fingerprint": fingerprint([of, table.num_rows]),
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": None,
    }
    run.write_json(_STATE, state)
