"""List input files: which ones a command names, their formats and a fingerprint of their content."""

from __future__ import annotations

import fnmatch
import hashlib
import os
from dataclasses import dataclass
from functools import lru_cache

from pyarrow import fs

from ray_subsel.config import CorpusConfig
from ray_subsel.core.errors import InputError, invalid
from ray_subsel.core.system_errors import unusable, words_of
from ray_subsel.core.uris import without_secrets
from ray_subsel.storage.filesystems import open_filesystem
from ray_subsel.storage.folders import list_folder, matches

ENDINGS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".txt": "text",
    ".text": "text",
}
COMPRESSED = (".gz", ".bz2", ".zst")
_WILD = frozenset("*?[")
_CHUNK = 1 << 20


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
        One of ``csv``, ``tsv``, ``jsonl``, ``parquet``, ``text``.
    size : int
        Bytes.
    mtime : int
        Nanoseconds; with the size it tells whether a hash taken a moment ago still holds.
    """

    uri: str
    named: str
    path: str
    format: str
    size: int
    mtime: int

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
            return None if inner == "parquet" else inner
    return ENDINGS.get(os.path.splitext(name)[1])


def list_files(config: CorpusConfig) -> tuple[list[SourceFile], list[str]]:
    """Return the input files in reading order, and those of a folder that were left out.

    The order is that of the sorted paths, so that the same files give the same row ids however they were named. In a
    folder, names that begin with a dot or an underscore are no data; with ``format="auto"``, files whose ending is
    unknown are left out and returned second, and so are links to folders that are listed already.

    Raises
    ------
    InputError
        No ``data``; a file, folder or glob that matches nothing; a named file whose ending says nothing.
    """
    if not config.data:
        raise invalid("data", "name at least one file, folder or glob", "nothing")
    found: dict[str, SourceFile] = {}
    skipped: list[str] = []
    for uri in config.data:
        infos, is_named, repeated = _infos(uri)
        skipped += repeated
        usable = 0
        for info in infos:
            kind = format_of(info.path) if config.format == "auto" else config.format
            where = _uri_of(uri, info.path)
            if kind is not None:
                found[where] = SourceFile(where, uri, info.path, kind, int(info.size), int(info.mtime_ns or 0))
                usable += 1
            elif is_named:
                raise invalid("format", "be given for a file with this ending", where, _endings())
            else:
                skipped.append(where)
        if not usable:
            raise invalid("data", "hold at least one file of a known format", uri, _endings())
    return [found[where] for where in sorted(found)], sorted(set(skipped))


def _endings() -> str:
    return f"Known: {', '.join(ENDINGS)}, also compressed (.gz). Use --format for others."


def _uri_of(uri: str, path: str) -> str:
    if "://" not in uri:
        return path
    scheme = uri.split("://", 1)[0]
    return f"{scheme}://{path}"


def _infos(uri: str) -> tuple[list[fs.FileInfo], bool, list[str]]:
    """Return the files that one argument names, whether it named exactly one, and links that were not followed."""
    filesystem, path = open_filesystem(uri)
    local = isinstance(filesystem, fs.LocalFileSystem)
    info = _info(filesystem, path, uri)
    if info.type == fs.FileType.File:
        return [info], True, []
    if info.type == fs.FileType.Directory:
        listing = list_folder(path) if local else None
        entries = filesystem.get_file_info(fs.FileSelector(path, recursive=True) if listing is None else listing.files)
        found = [one for one in entries if one.type == fs.FileType.File and not _hidden(one.path[len(path) :])]
        return found, False, [] if listing is None else listing.repeated
    if info.type == fs.FileType.Unknown:
        raise invalid("data", "be a regular file, a folder or a glob", uri, "A pipe or a device may never end.")
    if not _WILD & set(path):
        raise invalid("data", "be an existing file, folder or glob", uri, "Check the path.")
    found = matches(path) if local else _remote_glob(filesystem, path)
    files = [one for one in filesystem.get_file_info(found) if one.type == fs.FileType.File] if found else []
    if not files:
        raise invalid("data", "match at least one file", uri, "Check the glob.")
    return files, False, []


def _info(filesystem: fs.FileSystem, path: str, uri: str) -> fs.FileInfo:
    try:
        return filesystem.get_file_info(path)
    except OSError as error:
        raise unusable(f"data {without_secrets(uri)} could not be found", error, "Check the path") from error


def _hidden(relative: str) -> bool:
    return any(part.startswith((".", "_")) for part in relative.split("/") if part)


def _remote_glob(filesystem: fs.FileSystem, path: str) -> list[str]:
    """Match a glob on a filesystem that has none: list the folder before the first wildcard and filter."""
    parts = path.split("/")
    fixed = next(i for i, part in enumerate(parts) if _WILD & set(part))
    selector = fs.FileSelector("/".join(parts[:fixed]), recursive=True, allow_not_found=True)
    depth = None if "**" in path else len(parts)
    return sorted(
        info.path
        for info in filesystem.get_file_info(selector)
        if fnmatch.fnmatch(info.path, path.replace("**", "*")) and depth in (None, len(info.path.split("/")))
    )


@lru_cache(maxsize=100_000)
def content_hash(file: SourceFile) -> str:
    """Return a 32-digit hash of a file's bytes. It costs one reading; asking again costs nothing in one process."""
    digest = hashlib.blake2b(digest_size=16)
    try:
        with file.filesystem.open_input_file(file.path) as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise InputError(f"{file.uri} must be readable; it could not be read ({words_of(error)}).") from error
    return digest.hexdigest()
