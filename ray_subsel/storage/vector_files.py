"""Keep vectors by key in files of a local folder, safe against kills, concurrent writers and damage; oldest use out.

A file holds three NumPy arrays, one after the other: keys (n, 2) of 64 bits, a CRC-32 of each key and its vector (n,),
and the vectors (n, d); its name ends with a CRC-32 of the former two. It is written under a temporary name and renamed,
and never changed. So readers need no lock; two writers of the same text leave it twice, which costs space and nothing
else. Each vector that is read is checked; a damaged file is deleted, and a line says so. What is lost, or deleted while
it is read, counts as never kept.

The time of a file is that of its last use. When all files together exceed the limit, the oldest go.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
import uuid
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.hashing import KEY_BYTES
from ray_subsel.core.types import Float32s, Indices, Mask
from ray_subsel.storage.run_directory import TEMPORARY

SUFFIX = ".vectors1"
"""With the version of the format."""
FILE_BYTES = 32 << 20
"""About the size at which the vectors of one call are cut into files, so that they can go one by one."""
MANY_FILES = 256
"""Small files of a folder beyond which they are joined."""
SMALL_BYTES = 1 << 20
STALE_SECONDS = 24 * 3600.0
"""After which a temporary file is taken for that of a killed writer."""

Keys = NDArray[np.uint64]
Tell = Callable[[str], None]


@dataclass(frozen=True)
class _File:
    """A file whose keys are known."""

    path: Path
    keys: Keys
    sums: NDArray[np.uint32]
    d: int
    offset: int

    @property
    def row_bytes(self) -> int:
        return 4 * self.d

    def rows(self, which: Indices) -> tuple[Float32s, Mask]:
        """Return some vectors, ascending rows, and which of them are whole."""
        starts = (which * self.row_bytes).tolist()
        with self.path.open("rb") as stream:
            if 4 * which.size > len(self.keys):
                stream.seek(self.offset)
                content = stream.read(self.row_bytes * len(self.keys)).ljust(self.row_bytes * len(self.keys), b"\0")
                raw = np.frombuffer(content, dtype=np.uint8).reshape(-1, self.row_bytes)[which]
            else:
                number = stream.fileno()
                parts = [os.pread(number, self.row_bytes, self.offset + at) for at in starts]
                content = b"".join(part.ljust(self.row_bytes, b"\0") for part in parts)
                raw = np.frombuffer(content, dtype=np.uint8).reshape(-1, self.row_bytes)
        keys = self.keys[which].astype("<u8").view(np.uint8)
        sums = np.array([zlib.crc32(row, zlib.crc32(key)) for key, row in zip(keys, raw, strict=True)], dtype=np.uint32)
        return raw.view("<f4").astype(np.float32), sums == self.sums[which]


class VectorFiles:
    """The vectors of one model.

    Parameters
    ----------
    root : Path
        The folder of all models; the limit counts them together.
    model : str
        The name of the model's folder in it.
    limit : int
        Bytes that all files of the root may take.
    tell : callable
        Told, in a line, of files that are dropped or cannot be written.

    Notes
    -----
    Which vectors there are is read once, when the first is asked for. Memory: 28 bytes a vector that is kept.
    """

    def __init__(self, root: Path, model: str, limit: int, tell: Tell) -> None:
        self._root = root
        self._folder = root / model
        self._limit = limit
        self._tell = tell
        self._files: list[_File] | None = None
        self._first: Keys
        self._place: Indices

    @property
    def empty(self) -> bool:
        """Whether there is no vector."""
        return not self._opened()

    def find(self, keys: Sequence[bytes]) -> tuple[Mask, Float32s]:
        """Return which keys have a vector, and the vectors of those that have, in the order of the keys."""
        files = self._opened()
        found = np.zeros(len(keys), dtype=np.bool_)
        if not files or not keys:
            return found, np.zeros((0, 0), dtype=np.float32)
        asked = _as_numbers(keys)
        number, row = self._places(asked)
        rows = np.zeros((len(keys), files[0].d), dtype=np.float32)
        for which in np.unique(number).tolist():
            file = files[which]
            here = np.flatnonzero(number == which)
            here = here[(file.keys[row[here]] == asked[here]).all(axis=1)]
            here = here[np.argsort(row[here], kind="stable")]
            if not here.size:
                continue
            try:
                vectors, good = file.rows(row[here])
            except OSError:  # deleted, or not readable any more
                continue
            if not good.all():
                self._drop(file.path)
            rows[here[good]] = vectors[good]
            found[here[good]] = True
            with contextlib.suppress(OSError):
                os.utime(file.path)
        return found, rows[found]

    def has(self, keys: Sequence[bytes]) -> Mask:
        """Return which keys have a vector, without reading it."""
        files = self._opened()
        if not files or not keys:
            return np.zeros(len(keys), dtype=np.bool_)
        asked = _as_numbers(keys)
        number, row = self._places(asked)
        found = np.zeros(len(keys), dtype=np.bool_)
        for which in np.unique(number).tolist():
            here = np.flatnonzero(number == which)
            found[here] = (files[which].keys[row[here]] == asked[here]).all(axis=1)
        return found

    def _places(self, asked: Keys) -> tuple[Indices, Indices]:
        """Return the file and the row where each key is, if it is anywhere."""
        at = np.minimum(np.searchsorted(self._first, asked[:, 0]), len(self._first) - 1)
        return self._place[at, 0], self._place[at, 1]

    def add(self, keys: Sequence[bytes], vectors: Float32s) -> None:
        """Keep vectors by key. What the disk does not take is told and left out."""
        if not len(keys):
            return
        step = max(1, FILE_BYTES // bytes_each(vectors.shape[1]))
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for start in range(0, len(keys), step):
                self._write(_as_numbers(keys[start : start + step]), vectors[start : start + step])
            self._join_small()
            trim(self._root, self._limit)
        except OSError as error:
            self._tell(f"cache: embeddings could not be kept in {self._folder} ({error.strerror or error})")

    def _opened(self) -> list[_File]:
        """Return the files that can be read, all of one dimension; the keys of all are then sorted together."""
        if self._files is None:
            files = [file for path in files_of(self._folder) if (file := self._read(path)) is not None]
            self._files = [file for file in files if file.d == files[0].d]
            parts = [
                np.column_stack([np.full(len(f.keys), i), np.arange(len(f.keys))]) for i, f in enumerate(self._files)
            ]
            first = np.concatenate([np.zeros(0, dtype=np.uint64), *(file.keys[:, 0] for file in self._files)])
            order = np.argsort(first, kind="stable")
            self._first = first[order]
            self._place = np.concatenate([np.zeros((0, 2), dtype=np.int64), *parts])[order]
        return self._files

    def _read(self, path: Path) -> _File | None:
        """Return the head of a file; one that is no such file is dropped, one that is gone is passed over."""
        try:
            return _head(path)
        except OSError:
            return None
        except _DamagedError:
            self._drop(path)
            return None

    def _write(self, keys: Keys, vectors: Float32s) -> Path:
        little = np.ascontiguousarray(vectors, dtype="<f4")
        keys = keys.astype("<u8")
        sums = np.array([zlib.crc32(row, zlib.crc32(key)) for key, row in zip(keys, little, strict=True)], dtype="<u4")
        final = self._folder / f"{uuid.uuid4().hex}-{_head_sum(keys, sums)}{SUFFIX}"
        temporary = final.with_name(f"{final.name}{TEMPORARY}{uuid.uuid4().hex[:12]}")
        try:
            with temporary.open("wb") as stream:
                for part in (keys, sums, little):
                    np.save(stream, part, allow_pickle=False)
            temporary.replace(final)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        return final

    def _join_small(self) -> None:
        """Join the small files of a folder where there are many."""
        small = [path for path in files_of(self._folder) if _size(path) < SMALL_BYTES]
        if len(small) <= MANY_FILES:
            return
        joined: dict[bytes, Float32s] = {}
        for path in small:
            file = self._read(path)
            if file is None:
                continue
            with contextlib.suppress(OSError):
                vectors, good = file.rows(np.arange(len(file.keys)))
                joined |= {key.tobytes(): row for key, row in zip(file.keys[good], vectors[good], strict=True)}
        for d in {row.size for row in joined.values()}:
            some = {key: row for key, row in joined.items() if row.size == d}
            self._write(_as_numbers(list(some)), np.array(list(some.values()), dtype=np.float32))
        for path in small:
            with contextlib.suppress(OSError):
                path.unlink()

    def _drop(self, path: Path) -> None:
        with contextlib.suppress(OSError):
            path.unlink()
            self._tell(f"cache: {path} was damaged and is deleted; its texts are embedded again")


class _DamagedError(Exception):
    """A file that is not one of vectors, or not all of it."""


def _head(path: Path) -> _File:
    """Return a file with its keys; OSError where it cannot be read, _DamagedError where it is none."""
    try:
        with path.open("rb") as stream:
            keys, sums = (np.load(stream, allow_pickle=False) for _ in range(2))
            shape, offset = _shape_at(stream)
            size = os.fstat(stream.fileno()).st_size
    except OSError:
        raise
    except Exception as error:  # numpy raises whatever its parser raises
        raise _DamagedError from error
    n = sums.size
    if not n or sums.shape != (n,) or keys.shape != (n, 2) or (keys.dtype, sums.dtype) != ("<u8", "<u4"):
        raise _DamagedError
    if path.name.removesuffix(SUFFIX).rpartition("-")[2] != _head_sum(keys, sums):
        raise _DamagedError
    if shape[0] != n or not shape[1] or size != offset + 4 * n * shape[1]:
        raise _DamagedError
    return _File(path, keys, sums, shape[1], offset)


def _head_sum(keys: Keys, sums: NDArray[np.uint32]) -> str:
    """Return the last part of a file's name, by which damaged keys are noticed."""
    return f"{zlib.crc32(sums.tobytes(), zlib.crc32(keys.tobytes())):08x}"


def _as_numbers(keys: Sequence[bytes]) -> Keys:
    return np.frombuffer(b"".join(keys), dtype="<u8").reshape(-1, 2).astype(np.uint64)


def _shape_at(stream: IO[bytes]) -> tuple[tuple[int, ...], int]:
    """Return the shape of the array that begins here, and where its numbers begin."""
    version = np.lib.format.read_magic(stream)
    read: Any = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, by_column, dtype = read(stream)
    if by_column or dtype != np.dtype("<f4") or len(shape) != 2:
        raise ValueError("no vectors")
    return shape, stream.tell()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def bytes_each(d: int) -> int:
    """Return what a vector of d numbers takes on disk."""
    return 4 * d + KEY_BYTES + 4


def files_of(folder: Path) -> list[Path]:
    """Return the finished files under a folder, sorted."""
    return sorted(path for path in folder.rglob(f"*{SUFFIX}"))


@dataclass(frozen=True)
class Kept:
    """What a folder of vectors holds of one model.

    Attributes
    ----------
    model : str
    vectors, bytes : int
    used : float
        When one of them was last used, in seconds since 1970.
    """

    model: str
    vectors: int
    bytes: int
    used: float


def contents(root: Path) -> list[Kept]:
    """Return what is kept, a model each, the last used first."""
    found = []
    for folder in _folders(root):
        vectors, amount, used = 0, 0, 0.0
        for path in files_of(folder):
            with contextlib.suppress(OSError, _DamagedError):
                stat, head = path.stat(), _head(path)
                vectors, amount, used = vectors + len(head.keys), amount + stat.st_size, max(used, stat.st_mtime)
        if vectors:
            found.append(Kept(folder.name, vectors, amount, used))
    return sorted(found, key=lambda kept: -kept.used)


def _folders(root: Path) -> Iterator[Path]:
    if root.is_dir():
        yield from (folder for folder in sorted(root.iterdir()) if folder.is_dir())


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


def trim(root: Path, limit: int) -> int:
    """Delete the files that were not used for longest until all take at most ``limit`` bytes; return how many go.

    Temporary files of writers that were killed a day ago go in any case.
    """
    for folder in _folders(root):
        for path in folder.glob(f"*{TEMPORARY}*"):
            stat = _stat(path)
            if stat is not None and time.time() - stat.st_mtime > STALE_SECONDS:
                with contextlib.suppress(OSError):
                    path.unlink()
    aged = sorted((stat.st_mtime, str(path), stat.st_size) for path in files_of(root) if (stat := _stat(path)))
    total, gone = sum(size for _, _, size in aged), 0
    for _, name, size in aged:
        if total <= limit:
            break
        with contextlib.suppress(OSError):
            os.unlink(name)
        total -= size
        gone += 1
    return gone


def clear(root: Path) -> None:
    """Delete all that is kept: the folders of models that hold nothing else."""
    for folder in _folders(root):
        ours = [*files_of(folder), *folder.glob(f"*{SUFFIX}{TEMPORARY}*")]
        if ours and {path.name for path in folder.iterdir()} == {path.name for path in ours}:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            for path in ours:
                with contextlib.suppress(OSError):
                    path.unlink()
