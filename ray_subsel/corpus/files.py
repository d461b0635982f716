"""Say which files are input, in what form each is, and what its content is."""

from __future__ import annotations

import json
import os
import posixpath
import shutil
import sys
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TextIO
from urllib.parse import unquote

from pyarrow import fs

from ray_subsel.config import CorpusConfig
from ray_subsel.core.errors import InputError, Verbatim, invalid
from ray_subsel.core.system_errors import words_of
from ray_subsel.corpus.listing import TWICE, Entry, list_entries
from ray_subsel.storage.filesystems import open_filesystem
from ray_subsel.storage.sealing import hash_of_file

ENDINGS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".npy": "npy",
    ".safetensors": "safetensors",
    ".txt": "text",
    ".text": "text",
}
COMPRESSED = (".gz", ".bz2", ".zst")
BINARY = ("parquet", "arrow", "npy", "safetensors")
"""Formats that compress what is in them, and are not compressed as files."""
STANDARD_INPUT = "-"
UNKNOWN = "an unknown ending"
ABOUT_DATASETS = "what the datasets library notes beside its data"
_ABOUT = frozenset({"state.json", "dataset_info.json", "dataset_infos.json", "dataset_dict.json"})


@dataclass(frozen=True)
class Dialect:
    """How the characters of a text format are read.

    Attributes
    ----------
    delimiter : str
        Between the fields of CSV and TSV; empty: as the format has it.
    quoting : str
        ``csv``, ``none`` or ``auto``.
    encoding : str
    """

    delimiter: str = ""
    quoting: str = "auto"
    encoding: str = "utf-8"


@dataclass(frozen=True)
class SourceFile:
    """One input file.

    Attributes
    ----------
    uri : str
        As messages and ``rejected.parquet`` name it: a path, or a URI with its scheme.
    named : str
        The path, URI or glob of the command that led here; it tells the filesystem.
    path : str
        Its path inside that filesystem.
    format : str
        One of ``ray_subsel.config.FORMATS`` but ``auto``.
    size : int
        Bytes.
    mtime : int
        Nanoseconds; with the size it tells whether a hash taken a moment ago still holds.
    dialect : Dialect
    partition : tuple of (str, str)
        Columns that the folders on the way to it tell, as Hive names them: ``lang=en/year=2020``.
    """

    uri: str
    named: str
    path: str
    format: str
    size: int
    mtime: int
    dialect: Dialect = Dialect()
    partition: tuple[tuple[str, str], ...] = ()

    @property
    def filesystem(self) -> fs.FileSystem:
        """The filesystem that holds it."""
        return open_filesystem(self.named)[0]


def format_of(path: str) -> str | None:
    """Return the format that a file's ending stands for, a compressed file's inner ending included, or None."""
    name = path.lower()
    for ending in COMPRESSED:
        if name.endswith(ending):
            inner = ENDINGS.get(os.path.splitext(name.removesuffix(ending))[1])
            return None if inner in BINARY else inner
    return ENDINGS.get(os.path.splitext(name)[1])


def list_files(config: CorpusConfig) -> tuple[list[SourceFile], dict[str, str]]:
    """Return the input files in reading order, and what was left out: path to reason.

    The order is that of the sorted paths, so that the same files give the same row ids however they were named. Which
    files count: :mod:`ray_subsel.corpus.listing`; of a folder or glob, with ``format="auto"``, known endings.

    Raises
    ------
    InputError
        No ``data``; a file, folder or glob that matches nothing; a named file whose ending says nothing.
    """
    if not config.data:
        raise invalid("data", "name at least one file, folder or glob", "nothing")
    dialect = Dialect(config.separator, config.quoting, config.encoding)
    found: dict[str, SourceFile] = {}
    left_out: dict[str, str] = {}
    real: dict[str, str] = {}
    for uri in config.data:
        if uri == STANDARD_INPUT:
            file = _standard_input(config, dialect)
            found[file.uri] = file
            continue
        listed = list_entries(uri)
        left_out |= {_uri_of(uri, path): why for path, why in listed.left_out.items()}
        saved = _saved_datasets(uri, listed.entries)
        usable = 0
        for entry in listed.entries:
            where = _uri_of(uri, entry.path)
            kind, why = _form(config, entry, saved, alone=listed.alone)
            if kind is None and listed.alone:
                raise invalid("format", "be given for a file with this ending", where, _endings())
            if kind is None:
                left_out[where] = why
                continue
            usable += 1
            real[where] = entry.real
            partition = () if listed.alone else _hive(entry.below)
            found[where] = SourceFile(where, uri, entry.path, kind, entry.size, entry.mtime, dialect, partition)
        if not usable:
            raise invalid("data", "hold at least one file of a known format", uri, _endings())
    first: dict[str, str] = {}  # of several names of a file, the first in order counts
    for where in sorted(found):
        first.setdefault(real.get(where, where), where)
    counted = sorted(first.values())
    left_out |= dict.fromkeys(found.keys() - set(counted), TWICE)
    for where in counted:
        left_out.pop(where, None)  # named beside a folder or glob that leaves it out
    return [found[where] for where in counted], dict(sorted(left_out.items()))


def told_left_out(left_out: dict[str, str]) -> list[str]:
    """Return a line for each reason for which files were left out: how many, and the first of them."""
    reasons: dict[str, list[str]] = {}
    for path, why in left_out.items():
        reasons.setdefault(why, []).append(path)
    return [f"{len(paths):,} left out ({why}), as {paths[0]}" for why, paths in reasons.items()]


def _form(config: CorpusConfig, entry: Entry, saved: dict[str, set[str]], *, alone: bool) -> tuple[str | None, str]:
    """Return the format of an entry, or None and why it does not count."""
    folder, _, name = entry.path.rpartition("/")
    if folder in saved and not alone:
        return ("arrow", "") if name in saved[folder] else (None, ABOUT_DATASETS)
    if name in _ABOUT and not alone:
        return None, ABOUT_DATASETS
    if config.format != "auto":
        return config.format, ""
    return format_of(entry.path), UNKNOWN


def _saved_datasets(uri: str, entries: list[Entry]) -> dict[str, set[str]]:
    """Return the folders that ``datasets.save_to_disk`` wrote, each with the names of its data files."""
    folders: dict[str, set[str]] = {}
    for entry in entries:
        folder, _, name = entry.path.rpartition("/")
        if name != "state.json":
            continue
        try:
            with open_filesystem(uri)[0].open_input_stream(entry.path) as stream:
                state: Any = json.loads(stream.read())
            files = {str(one["filename"]) for one in state["_data_files"]}
        except (OSError, ValueError, KeyError, TypeError):
            continue  # a file of that name and another purpose
        folders[folder] = files
        gone = sorted(files - {one.path.rpartition("/")[2] for one in entries if one.path.rpartition("/")[0] == folder})
        if gone:
            raise invalid("data", "have all files that state.json names", folder, f"{', '.join(gone[:3])} is missing.")
    return folders


def _hive(below: str) -> tuple[tuple[str, str], ...]:
    """Return the columns that folders name: ``lang=en`` is a column lang, in which Hive writes null by a word."""
    pairs = (part.partition("=") for part in posixpath.dirname(below).split("/"))
    found = {name: unquote(value) for name, sign, value in pairs if sign and name}
    return tuple((name, "" if value == "__HIVE_DEFAULT_PARTITION__" else value) for name, value in found.items())


@lru_cache(maxsize=1)
def _spooled(stream: TextIO | None) -> str:
    """Copy standard input into a file, once: input is read more than once."""
    if stream is None or stream.isatty():
        raise invalid(
            "data", "be piped in where - stands for it", Verbatim("a terminal"), "Such as: cat FILE | subsel ..."
        )
    folder = tempfile.TemporaryDirectory(prefix="subsel-")
    _KEPT.append(folder)
    path = os.path.join(folder.name, "standard-input")
    with open(path, "wb") as target:
        shutil.copyfileobj(stream.buffer, target)
    return path


_KEPT: list[tempfile.TemporaryDirectory[str]] = []


def _standard_input(config: CorpusConfig, dialect: Dialect) -> SourceFile:
    path = _spooled(sys.stdin)
    kind = config.format
    if kind == "auto":
        with open(path, "rb") as stream:
            head = stream.read(1 << 16)
        kinds = {b"PAR1": "parquet", b"ARRO": "arrow", b"\x93NUM": "npy"}
        kind = kinds.get(head[:4], "jsonl" if head.lstrip()[:1] in (b"{", b"[") else "")
        kind = "safetensors" if not kind and head[8:9] == b"{" else kind
        if not kind:
            raise invalid(
                "format", "be given for standard input that is neither JSON nor Parquet", "auto", "Use --format."
            )
    return SourceFile(STANDARD_INPUT, path, path, kind, os.path.getsize(path), 0, dialect)


def _endings() -> str:
    return f"Known: {', '.join(ENDINGS)}, also compressed (.gz, .bz2, .zst). Use --format for others."


def _uri_of(uri: str, path: str) -> str:
    if "://" not in uri:
        return path
    scheme = uri.split("://", 1)[0]
    return f"{scheme}://{path}"


@lru_cache(maxsize=100_000)
def content_hash(file: SourceFile) -> str:
    """Return a 32-digit hash of a file's bytes. It costs one reading; asking again costs nothing in one process."""
    try:
        return hash_of_file(file.filesystem, file.path)
    except OSError as error:
        raise InputError(f"{file.uri} must be readable; it could not be read ({words_of(error)}).") from error
