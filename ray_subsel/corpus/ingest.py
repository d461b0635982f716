"""Ingest a corpus: input files become validated rows in the run directory, by tasks that each read one split.

What is read equals what is kept plus what is rejected; every rejected row is in ``rejected.parquet`` with its file,
line and reason. ``rows/index.json`` is written last: where it is, the stage is done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ray_subsel.config import CorpusConfig
from ray_subsel.core.errors import InputError, as_value, of_value
from ray_subsel.corpus.augment import write_copies
from ray_subsel.corpus.batches import Reject
from ray_subsel.corpus.block_sizes import DEFAULT_SIZES, BlockSizes
from ray_subsel.corpus.duplicate_ids import REASON as DUPLICATE
from ray_subsel.corpus.duplicate_ids import Cleaned, reject_duplicate_ids
from ray_subsel.corpus.files import content_hash
from ray_subsel.corpus.ingest_plan import IngestPlan, input_fingerprint, no_row, plan_ingest
from ray_subsel.corpus.json_shape import Shape
from ray_subsel.corpus.rows import FORMAT, INDEX, REJECTED, RowStore, open_part, original_schema
from ray_subsel.corpus.splits import FOLDER, REJECT_SCHEMA, Split, marker_name, read_split, rejects_table
from ray_subsel.corpus.tables import common_types, types_as_json
from ray_subsel.runtime.metrics import ROWS_READ, record
from ray_subsel.runtime.peak_memory import PeakMemory
from ray_subsel.runtime.tasks import TaskSpec, run_tasks
from ray_subsel.storage.run_directory import RunDir

__all__ = ["ingest", "input_fingerprint", "plan_ingest"]

PLAN = f"{FOLDER}/plan.json"

Progress = Callable[[int, int], None]
"""Called as ``progress(splits done, splits)``."""


def always(input_bytes: int) -> bool:
    """Read files of any size in this process."""
    del input_bytes
    return True


def ingest(
    config: CorpusConfig,
    run: RunDir,
    *,
    shards: int | None = None,
    sizes: BlockSizes = DEFAULT_SIZES,
    in_process: Callable[[int], bool] = always,
    progress: Progress | None = None,
    peak: PeakMemory | None = None,
) -> RowStore:
    """Read a corpus into a run directory, or open it where that is done already.

    Units that a killed run finished are not read again.

    Parameters
    ----------
    config : CorpusConfig
    run : RunDir
    shards : int, optional
        By default it follows from the size of the input.
    sizes : BlockSizes, optional
    in_process : callable
        Told the bytes of all input files, it says whether they are read in this process, or by Ray tasks, for which Ray
        must then be initialized: by the same function. By default in this process.
    progress : callable, optional
    peak : PeakMemory, optional
        Told how much memory the reading tasks took.

    Raises
    ------
    InputError
        Missing or unreadable input, unknown columns, no rows, no usable row, more rejected rows than
        ``config.max_rejected``, or a directory that holds the rows of another corpus.
    """
    plan = plan_ingest(config, shards, sizes)
    if run.exists(INDEX):
        store = RowStore.open(run)
        if store.index["fingerprint"] != plan.fingerprint:
            raise InputError(
                f"{run.path(FOLDER)} must hold the rows of this corpus; it holds those of another, or of other "
                "settings. Use another --out, or --overwrite."
            )
        _check_rejected(config, store)
        return store
    here = in_process(sum(file.size for file in plan.files))
    results = _results(plan, run, here, progress, PeakMemory() if peak is None else peak)
    store = _assemble(plan, run, results)
    _check_rejected(config, store)
    if config.augment:
        share, number = config.augment_share, config.augment_copies
        copies = write_copies(store, share, number, config.seed, part_rows=sizes.part_rows)
        index = {**store.index, "parts": [*store.index["parts"], *copies]}
        index["n_augmented"] = sum(part["rows"] for part in copies)
        store = RowStore(run, index)
    run.write_json(INDEX, store.index)
    _tidy(run, store)
    return store


def _results(
    plan: IngestPlan, run: RunDir, here: bool, progress: Progress | None, peak: PeakMemory
) -> list[dict[str, Any]]:
    """Return every split's counts, reading those that are not there yet."""
    if run.exists(PLAN) and run.read_json(PLAN) != plan.fingerprint:
        run.delete(FOLDER)  # left by a killed run over another input; never mixed with this one
    run.write_json(PLAN, plan.fingerprint)
    results = {split.number: run.read_json(marker_name(split.number)) for split in _finished(plan, run)}
    pending = [split for split in plan.splits if split.number not in results]
    tasks = [_task(split) for split in pending]
    for split, result, used in run_tasks(_read, (run, plan.shards), tasks, run, in_process=here):
        if "error" in result:
            raise of_value(result["error"])
        results[split.number] = result
        record(ROWS_READ, result["rows"], run)
        peak.add(used)
        if progress is not None:
            progress(len(results), len(plan.splits))
    lost = [split.file.uri for split in plan.splits if split.number not in results]
    if lost:
        raise RuntimeError(f"{len(lost)} of {len(plan.splits)} splits were not read, the first in {lost[0]}")
    return [results[split.number] for split in plan.splits]


def _finished(plan: IngestPlan, run: RunDir) -> Iterator[Split]:
    done = set(run.names(FOLDER, suffix=".json"))
    return (split for split in plan.splits if marker_name(split.number) in done)


def _read(run: RunDir, shards: int, split: Split) -> dict[str, Any]:
    """Read a split; what is the user's to mend comes back as a value, anything else names the file."""
    try:
        return read_split(split, run, shards)
    except InputError as error:
        return {"error": as_value(error)}
    except Exception as error:
        raise RuntimeError(f"reading {split.file.uri} failed: {error}") from error


def _task(split: Split) -> tuple[Split, TaskSpec]:
    failed = f"{split.file.uri} could not be read"
    return split, TaskSpec(
        marker_name(split.number), f"read part {split.number}", failed, "Give the workers more memory"
    )


def _assemble(plan: IngestPlan, run: RunDir, results: list[dict[str, Any]]) -> RowStore:
    """Put the splits together: offsets, duplicate ids, ``rejected.parquet``, the index (in memory)."""
    offsets: list[int] = []
    n_read = 0
    for result in results:
        offsets.append(n_read)
        n_read += result["rows"]
    parts = [
        {**part, "unit": split, "offset": offsets[split]}
        for split, result in enumerate(results)
        for part in result["parts"]
    ]
    cleaned = Cleaned(parts, {}, [])
    if plan.config.id is not None:
        cleaned = reject_duplicate_ids(run, parts, plan.shards)
    reasons: dict[str, int] = {}
    examples: dict[str, list[Any]] = {}
    for split, result in enumerate(results):
        for reason, count in result["reasons"].items():
            reasons[reason] = reasons.get(reason, 0) + count
            examples.setdefault(reason, [result["file"], *result["examples"][reason]])
        for reject in cleaned.rejects.get(split, []):
            reasons[DUPLICATE] = reasons.get(DUPLICATE, 0) + 1
            examples.setdefault(DUPLICATE, [result["file"], reject.line, reject.detail])
    written = _write_rejected(run, results, offsets, cleaned.rejects)
    index = {
        "format": FORMAT,
        "fingerprint": plan.fingerprint,
        "files": _file_counts(plan, results, cleaned),
        "left_out": plan.left_out,
        "n_read": n_read,
        "n_augmented": 0,
        "rejected_by_reason": dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0]))),
        "reject_examples": examples,
        "shards": plan.shards,
        "dimension": plan.dimension,
        "vectors": plan.config.vectors,
        "has_source_id": plan.config.id is not None,
        "id": plan.config.id,
        "columns": _columns(run, cleaned.parts),
        **_types(plan, run, results, cleaned.parts),
        "parts": cleaned.parts,
    }
    store = RowStore(run, index)
    if not n_read - store.n_rows == store.n_rejected == written:
        raise InputError(
            f"{run.path(FOLDER)} must account for {n_read} rows; got {store.n_rows} and {written} rejected. "
            "Delete the folder and run the same command again."
        )
    return store


def _columns(run: RunDir, parts: list[dict[str, Any]]) -> list[str]:
    names: dict[str, None] = {}
    for part in parts:
        with open_part(run, part) as parquet:
            names.update(dict.fromkeys(parquet.schema_arrow.names))
    return list(names)


def _types(plan: IngestPlan, run: RunDir, results: list[dict[str, Any]], parts: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what the index says of the original columns: of JSON objects, of others, what ``datasets`` noted."""
    shape = Shape()
    for result in results:
        shape.merge(Shape.of_json(result["shape"]))
    objects = {name: inner.type() for name, inner in shape.fields.items()}
    found = [(pa.schema(list(objects.items())), sum(shape.kinds.values()))]
    found += [(original_schema(run, part), part["rows"]) for part in parts]
    types = common_types(found)
    return {"types": types_as_json(types), "features": plan.features}


def _file_counts(plan: IngestPlan, results: list[dict[str, Any]], cleaned: Cleaned) -> list[dict[str, Any]]:
    counts = {file.uri: [0, 0] for file in plan.files}
    firsts: dict[str, list[Any]] = {}
    for split, result in zip(plan.splits, results, strict=True):
        late = [[DUPLICATE, one.line, one.detail] for one in cleaned.rejects.get(split.number, [])]
        early = [[reason, *example] for reason, example in result["examples"].items()]
        for example in (*early, *late):
            firsts.setdefault(split.file.uri, example)
        counts[split.file.uri][0] += result["rows"]
        counts[split.file.uri][1] += result["rejected"] + len(cleaned.rejects.get(split.number, []))
    return [
        {
            "path": file.uri,
            "format": file.format,
            "bytes": file.size,
            "hash": content_hash(file),
            "rows": counts[file.uri][0],
            "rejected": counts[file.uri][1],
            "first_reject": firsts.get(file.uri),
        }
        for file in plan.files
    ]


def _write_rejected(
    run: RunDir, results: list[dict[str, Any]], offsets: list[int], late: dict[int, list[Reject]]
) -> int:
    """Write ``rejected.parquet`` in order of row, one split's piece after the other; return how many rows it has."""
    written = 0
    with (
        run.atomic(REJECTED) as temporary,
        pq.ParquetWriter(temporary, REJECT_SCHEMA, filesystem=run.filesystem) as writer,
    ):
        for split, result in enumerate(results):
            pieces: Iterator[pa.Table] = (run.read_table(name) for name in result["reject_files"])
            if split in late:
                tables = [*pieces, rejects_table(result["file"], late[split])]
                pieces = iter([pa.concat_tables(tables).sort_by("row")])
            for piece in pieces:
                rows = pa.array(piece["row"].to_numpy() + offsets[split])
                writer.write_table(piece.set_column(2, "row", rows))
                written += piece.num_rows
    return written


def _check_rejected(config: CorpusConfig, store: RowStore) -> None:
    """Stop when there are no rows, no usable rows, or more rejected rows than allowed."""
    read, rejected = store.n_read, store.n_rejected
    if not read:
        raise no_row([file["path"] for file in store.files])
    if rejected < read and config.max_rejected < 1:
        _check_files(store)
    if rejected < read and rejected <= config.max_rejected * read:
        return
    reasons = store.rejected_by_reason
    reason = next(iter(reasons))
    file, line, detail = store.index["reject_examples"][reason]
    most = f"most often: {reason} ({reasons[reason]:,} times, first at {file}:{line}{f': {detail}' if detail else ''})"
    where = store.run.path(REJECTED)
    if rejected == read:
        raise InputError(
            " ".join(f"data must hold a usable row; got none in {read:,} rows, {most}. See {where}.".split())
        )
    raise InputError(
        " ".join(
            f"max_rejected must be at least the share of rows that cannot be used; got {config.max_rejected:g}, but "
            f"{rejected:,} of {read:,} rows ({100 * rejected / read:.1f} %) cannot, {most}. See {where}; mend the rows "
            "or raise --max-rejected.".split()
        )
    )


def _check_files(store: RowStore) -> None:
    """Stop at a file of which no row can be used: it is another file than it is taken for, however small its share."""
    for file in store.files:
        if file["rows"] and file["rejected"] == file["rows"] and file["format"] != "documents":
            reason, line, detail = file["first_reject"]
            raise InputError(
                f"{file['path']} must hold a usable row as a {file['format']} file; got none in {file['rows']:,} rows "
                f"(line {line}: {reason}{f': {detail}' if detail else ''}). Mend it, leave it out, say what it is with "
                "--format, or use --max-rejected 1."
            )


def _tidy(run: RunDir, store: RowStore) -> None:
    """Delete what only a killed run would have needed."""
    keep = {INDEX, *(part["name"] for part in store.index["parts"])}
    for name in run.names(FOLDER):
        if name not in keep:
            run.delete(name)
