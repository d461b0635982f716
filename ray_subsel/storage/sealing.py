"""Fingerprint what a stage has written, and tell later what is gone or differs: a bit, or the whole file.

Local files are read whole, some gigabytes in a few seconds. On an object store, which guards its objects itself, only
files of the directory itself are; of those in folders, which are many and large, the size is compared.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from pyarrow import fs

from ray_subsel.storage.run_directory import BEGUN, TEMPORARY, RunDir

_CHUNK = 1 << 20
_THREADS = 4

Seals = dict[str, list[int | str | None]]
"""Bytes and hash of each file by its name in the run directory; the hash is None where it was not taken."""


def hash_of_file(filesystem: fs.FileSystem, path: str) -> str:
    """Return a 32-digit hash of a file's bytes (BLAKE2b)."""
    digest = hashlib.blake2b(digest_size=16)
    with filesystem.open_input_file(path) as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def seals_of(run: RunDir, outputs: Sequence[str]) -> Seals:
    """Return the seals of all finished files that some outputs, files or folders, consist of."""
    names = [name for output in outputs for name in _files(run, output)]
    return dict(zip(names, _map(run, names), strict=True))


def changed(run: RunDir, seals: Mapping[str, Sequence[int | str | None]]) -> dict[str, str]:
    """Return the files that are no longer what was sealed, each with what is wrong, sorted by name."""
    wrong: dict[str, str] = {}
    for name, found in zip(seals, _map(run, list(seals)), strict=True):
        size, content = seals[name]
        if found[0] is None:
            wrong[name] = "is gone"
        elif found[0] != size:
            wrong[name] = f"has {found[0]:,} bytes and had {size:,}"
        elif content is not None and found[1] is not None and found[1] != content:
            wrong[name] = "has other content than was written"
    return dict(sorted(wrong.items()))


def _map(run: RunDir, names: Sequence[str]) -> list[list[int | str | None]]:
    if len(names) < _THREADS:
        return [_seal(run, name) for name in names]
    with ThreadPoolExecutor(_THREADS) as pool:  # hashing and reading let go of the interpreter
        return list(pool.map(lambda name: _seal(run, name), names))


def _seal(run: RunDir, name: str) -> list[int | str | None]:
    info = run.filesystem.get_file_info(run.path(name))
    if info.type != fs.FileType.File:
        return [None, None]
    whole = run.local_path() is not None or "/" not in name
    return [int(info.size), hash_of_file(run.filesystem, run.path(name)) if whole else None]


def _files(run: RunDir, output: str) -> list[str]:
    """Return the finished files of an output."""
    kind = run.filesystem.get_file_info(run.path(output)).type
    if kind == fs.FileType.File:
        return [output]
    if kind != fs.FileType.Directory:
        return []
    root = run.path()
    found = run.filesystem.get_file_info(fs.FileSelector(run.path(output), recursive=True))
    return sorted(
        info.path[len(root) :].lstrip("/")
        for info in found
        if info.type == fs.FileType.File and TEMPORARY not in info.base_name and not info.base_name.endswith(BEGUN)
    )
