"""Plan the reading of a corpus: check files and columns, cut files into splits, before anything is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ray_subsel.config import CorpusConfig, fingerprint_fields
from ray_subsel.core.errors import InputError, invalid
from ray_subsel.core.hashing import fingerprint
from ray_subsel.core.suggest import did_you_mean
from ray_subsel.corpus.block_sizes import DEFAULT_SIZES, BlockSizes
from ray_subsel.corpus.files import SourceFile, content_hash, list_files
from ray_subsel.corpus.readers import TEXT_COLUMN, column_names, open_parquet, read_batches
from ray_subsel.corpus.rows import FORMAT
from ray_subsel.corpus.splits import Split, splits_of
from ray_subsel.corpus.story_columns import SCHEMES, StoryColumns
from ray_subsel.corpus.validate import Reading

MIN_SHARDS = 8
MAX_SHARDS = 256


@dataclass(frozen=True)
class IngestPlan:
    """All that decides what ingest writes.

    Attributes
    ----------
    config : CorpusConfig
    files : list of SourceFile
        In reading order.
    skipped : list of str
        Files of folders that were left out.
    splits : list of Split
    shards : int
    dimension : int or None
        The length of the first usable vector; None without vectors.
    """

    config: CorpusConfig
    files: list[SourceFile]
    skipped: list[str]
    splits: list[Split]
    shards: int
    dimension: int | None

    @property
    def fingerprint(self) -> str:
        """A hash of the content, of the settings that decide the rows, and of the layout."""
        return fingerprint(
            {
                "format": FORMAT,
                "files": _content(self.files),
                "settings": _row_settings(self.config),
                "shards": self.shards,
                "dimension": self.dimension,
            }
        )


def input_fingerprint(config: CorpusConfig) -> str:
    """Return a hash of the input files' content, after checking all that can be checked without reading the rows.

    It reads every file once, about a second a gigabyte. Names and folders of the files do not count, their order does.

    Raises
    ------
    InputError
        A missing or unreadable file, an unknown format or column, vectors in a format that has none.
    """
    files, _ = list_files(config)
    for file in files:
        _reading(file, config, dimension=None)
    return fingerprint(_content(files))


def plan_ingest(config: CorpusConfig, shards: int | None = None, sizes: BlockSizes = DEFAULT_SIZES) -> IngestPlan:
    """Find the files, check their columns, cut them into splits.

    Parameters
    ----------
    shards : int, optional
        By default one a ``sizes.shard_bytes`` of input, between ``MIN_SHARDS`` and ``MAX_SHARDS``: a function of the
        input, so that machines agree.
    sizes : BlockSizes, optional
    """
    files, skipped = list_files(config)
    if shards is None:
        total = sum(file.size for file in files)
        shards = min(max(MIN_SHARDS, -(-total // sizes.shard_bytes)), MAX_SHARDS)
    elif shards < 1:
        raise invalid("shards", "be at least 1", shards)
    for file in files:
        _reading(file, config, dimension=None)
    dimension = None if config.vectors is None else _first_dimension(files, config.vectors)
    readings = [_reading(file, config, dimension) for file in files]
    return IngestPlan(config, files, skipped, splits_of(files, readings, sizes), shards, dimension)


def _content(files: list[SourceFile]) -> list[list[Any]]:
    return [[file.format, file.size, content_hash(file)] for file in files]


def _row_settings(config: CorpusConfig) -> dict[str, Any]:
    """Return the settings that decide the rows; not the bound on rejects, nor what happens to copies later."""
    settings = fingerprint_fields(config)
    settings.pop("max_rejected")
    settings.pop("copies")
    if not config.augment:
        for name in ("augment_share", "augment_copies", "seed"):
            settings.pop(name)
    return settings


def _reading(file: SourceFile, config: CorpusConfig, dimension: int | None) -> Reading:
    """Return how a file is read, once its columns are known to be there."""
    names = column_names(file)
    story = None
    text = config.text
    if config.task == "story-cloze":
        if config.text or config.label is not None:
            given = "text" if config.text else "label"
            value = ", ".join(config.text) if config.text else config.label
            raise invalid(
                given, "be left out when task is story-cloze, whose columns are known", value, "Or use --task text."
            )
        story = SCHEMES[0] if names is None else _story_columns(file, names)
    elif not text and config.vectors is None:
        text = (TEXT_COLUMN,)
    if names is not None:
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InputError(f"{file.uri} must name each column once; got {', '.join(twice)} more than once.")
        asked: dict[str, tuple[str | None, ...]] = {
            "text": text,
            "vectors": (config.vectors,),
            "label": (config.label,),
            "group": (config.group,),
            "cost": (config.cost,),
            "quality": (config.quality,),
            "id": (config.id,),
        }
        for option, columns in asked.items():
            for name in columns:
                if name is not None and name not in names:
                    raise invalid(
                        option,
                        f"be a column of {file.uri}",
                        name,
                        f"{did_you_mean(name, names)} Its columns: {', '.join(names)}.",
                    )
    if config.vectors is not None:
        _check_vector_column(file, config.vectors)
    return Reading(config, text, story, dimension)


def _story_columns(file: SourceFile, names: list[str]) -> StoryColumns:
    present = set(names)
    for scheme in SCHEMES:
        if present.issuperset(scheme.needed):
            return scheme
    closest = max(SCHEMES, key=lambda scheme: len(present.intersection(scheme.needed)))
    missing = [name for name in closest.needed if name not in present]
    hint = f"Its columns: {', '.join(names)}."
    if missing == [closest.right]:
        hint = "It is a test without answers: use --task text with --text for each sentence."
    raise invalid(f"columns of {file.uri}", f"include {', '.join(missing)} when task is story-cloze", "none", hint)


def _check_vector_column(file: SourceFile, name: str) -> None:
    if file.format not in ("parquet", "jsonl"):
        raise invalid("vectors", "be a column of a Parquet or JSON Lines file", file.uri, "CSV and text hold no lists.")
    if file.format == "parquet":
        with open_parquet(file) as parquet:
            kind = parquet.schema_arrow.field(name).type
        lists = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
        if not (lists and (pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type))):
            raise invalid("vectors", "be a column of lists of numbers", f"{name}: {kind}", f"See {file.uri}.")


def _first_dimension(files: list[SourceFile], name: str) -> int:
    """Return the length of the first vector that could be used; it reads up to there."""
    for file in files:
        groups: tuple[int, ...] = ()
        if file.format == "parquet":
            with open_parquet(file) as parquet:
                groups = tuple(range(parquet.num_row_groups))
        for batch in read_batches(file, groups, vectors=name):
            if name not in batch.table.column_names:
                continue
            for value in batch.table.column(name):
                vector = np.array(value.as_py() or [], dtype=np.float64)
                if len(vector) and np.isfinite(vector).all() and vector.any():
                    return len(vector)
    raise invalid("vectors", "hold at least one finite vector that is not zero", name, "All rows were looked at.")
