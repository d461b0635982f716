"""Plan the reading of a corpus: check files and columns, cut files into splits, before anything is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow as pa

from ray_subsel.config import CorpusConfig, fingerprint_fields
from ray_subsel.core.errors import InputError, invalid, with_hint
from ray_subsel.core.hashing import fingerprint
from ray_subsel.core.numeric import counted
from ray_subsel.corpus.block_sizes import DEFAULT_SIZES, BlockSizes
from ray_subsel.corpus.files import Dialect, SourceFile, content_hash, list_files
from ray_subsel.corpus.formats import FILE_FORMATS, format_for
from ray_subsel.corpus.formats.json_objects import JsonObjects
from ray_subsel.corpus.reading import Reading, first_dimension, reading_of
from ray_subsel.corpus.rows import FORMAT
from ray_subsel.corpus.splits import Split, splits_of
from ray_subsel.corpus.values import noted_features
from ray_subsel.embedders.tokens import token_counter

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
    left_out : dict of str to str
        Files that were left out, and why.
    splits : list of Split
    shards : int
    dimension : int or None
        The length of the first usable vector; None without vectors.
    features : dict
        What the ``datasets`` library noted of columns.
    """

    config: CorpusConfig
    files: list[SourceFile]
    left_out: dict[str, str]
    splits: list[Split]
    shards: int
    dimension: int | None
    features: dict[str, Any] = field(default_factory=dict)

    @property
    def content(self) -> str:
        """A hash of the input alone, as :func:`input_fingerprint` gives it."""
        return fingerprint(_content(self.files) + _tokenizer(self.config))

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
    return fingerprint(_content(files) + _tokenizer(config))


def no_row(paths: Sequence[str]) -> InputError:
    """Return the one line on input in which there is nothing, of the files that it was looked for in."""
    return InputError(f"data must hold at least one row; got none in {counted(len(paths), 'file')}, as {paths[0]}.")


def plan_ingest(config: CorpusConfig, shards: int | None = None, sizes: BlockSizes = DEFAULT_SIZES) -> IngestPlan:
    """Find the files, check their columns, cut them into splits.

    Parameters
    ----------
    shards : int, optional
        By default one a ``sizes.shard_bytes`` of input, between ``MIN_SHARDS`` and ``MAX_SHARDS``: a function of the
        input, so that machines agree.
    sizes : BlockSizes, optional
    """
    files, left_out = list_files(config)
    if shards is None:
        total = sum(file.size for file in files)
        shards = min(max(MIN_SHARDS, -(-total // sizes.shard_bytes)), MAX_SHARDS)
    elif shards < 1:
        raise invalid("shards", "be at least 1", shards)
    for file in files:
        _reading(file, config, dimension=None)
    dimension = None if config.vectors is None else _first_dimension(files, config.vectors)
    readings = [_reading(file, config, dimension) for file in files]
    splits = splits_of(files, readings, sizes)
    return IngestPlan(config, files, left_out, splits, shards, dimension, _features(files))


def _content(files: list[SourceFile]) -> list[list[Any]]:
    plain = Dialect()
    return [
        [file.format, file.size, content_hash(file), *([asdict(file.dialect)] if file.dialect != plain else ())]
        + ([list(map(list, file.partition))] if file.partition else [])
        for file in files
    ]


def _tokenizer(config: CorpusConfig) -> list[list[Any]]:
    """Return what tells one tokenizer that counts tokens from another: its words and its template."""
    if config.tokenizer is None:
        return []
    return [["tokenizer", token_counter(config.tokenizer).fingerprint()]]


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
    reader = format_for(file)
    if config.vectors is not None and not reader.holds_vectors:
        formats = ", ".join(one.name for one in FILE_FORMATS.values() if one.holds_vectors)
        raise invalid("vectors", "be a column of a format that holds lists", file.uri, f"Those are {formats}.")
    try:
        return reading_of(schema_of(file), config, file.uri, dimension, judged=isinstance(reader, JsonObjects))
    except InputError as error:
        raise with_hint(error, reader.way_out(file)) from None


def schema_of(file: SourceFile) -> pa.Schema | None:
    """Return the columns of a file, those that its folders tell included; None where it has no row to tell them by."""
    schema = format_for(file).schema(file)
    if schema is not None:
        for name, _ in file.partition:
            if name not in schema.names:
                schema = schema.append(pa.field(name, pa.string()))
    return schema


def _first_dimension(files: list[SourceFile], name: str) -> int:
    """Return the length of the first vector that could be used; it reads up to there."""
    return first_dimension((batch.columns for file in files for batch in format_for(file).batches(file)), name)


def _features(files: list[SourceFile]) -> dict[str, Any]:
    """Return what the ``datasets`` library noted of columns, such as the names of classes, where all files agree."""
    found: dict[str, Any] = {}
    for file in files:
        schema = schema_of(file)
        for name, about in ({} if schema is None else noted_features(schema)).items():
            if found.setdefault(name, about) != about:
                found[name] = None
    return {name: about for name, about in found.items() if about is not None}
