"""Read vectors that lie in a file of numpy, a row each: ``numpy.save(path, X)``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from ray_subsel.core.errors import InputError
from ray_subsel.corpus.batches import Batch
from ray_subsel.corpus.block_sizes import DEFAULT_SIZES, BlockSizes
from ray_subsel.corpus.columns import ArrowColumns
from ray_subsel.corpus.files import SourceFile
from ray_subsel.corpus.formats.base import FileFormat, Piece
from ray_subsel.corpus.opening import unreadable

VECTOR_COLUMN = "vector"


class NumpyArray(FileFormat):
    """An array of shape (n, d), or (n, 1, d), of numbers; a piece is its first row and the row after its last."""

    name: ClassVar[str] = "npy"
    holds_vectors: ClassVar[bool] = True

    def schema(self, file: SourceFile) -> pa.Schema | None:
        """Return the one column."""
        _, d, dtype, _ = _header(file)
        return pa.schema([(VECTOR_COLUMN, pa.list_(pa.from_numpy_dtype(dtype), d))])

    def count(self, file: SourceFile) -> int | None:
        """Return n."""
        return _header(file)[0]

    def pieces(self, file: SourceFile, split_bytes: int) -> list[Piece]:
        """Return ranges of rows."""
        n, d, dtype, _ = _header(file)
        step = max(1, split_bytes // (d * dtype.itemsize))
        return [(start, min(start + step, n)) for start in range(0, n, step)] or [()]

    def batches(self, file: SourceFile, piece: Piece = (), sizes: BlockSizes = DEFAULT_SIZES) -> Iterator[Batch]:
        """Yield the rows of a range."""
        n, d, dtype, offset = _header(file)
        first, stop = piece or (0, n)
        width = d * dtype.itemsize
        with file.filesystem.open_input_file(file.path) as stream:
            for start in range(first, stop, sizes.batch_rows):
                rows = min(sizes.batch_rows, stop - start)
                stream.seek(offset + start * width)
                block = np.frombuffer(stream.read(rows * width), dtype=dtype)
                flat = pa.array(block.astype(dtype.newbyteorder("=")))
                vectors = pa.FixedSizeListArray.from_arrays(flat, d)
                columns = ArrowColumns(pa.table({VECTOR_COLUMN: vectors}), fixed=dict(file.partition))
                yield Batch.numbered(columns, start - first, first)


def _header(file: SourceFile) -> tuple[int, int, np.dtype[Any], int]:
    """Return n, d, the type of the numbers, and the byte at which they begin."""
    try:
        with file.filesystem.open_input_file(file.path) as stream:
            version = np.lib.format.read_magic(stream)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, fortran, dtype = read(stream)
            offset = int(stream.tell())
    except Exception as error:  # the header is a text of Python: each way to damage it has an error of its own
        raise unreadable(file, error) from error
    if len(shape) == 3 and shape[1] == 1:
        shape = (shape[0], shape[2])
    if len(shape) != 2 or not shape[1] or dtype.kind not in "fiu" or dtype.itemsize > 8:
        raise InputError(f"{file.uri} must be an array of numbers of shape (n, d); got {dtype} of shape {shape}.")
    if fortran and shape[0] > 1:
        raise InputError(f"{file.uri} must be in C order; it is in Fortran's. Save numpy.ascontiguousarray(X).")
    missing = offset + shape[0] * shape[1] * dtype.itemsize - file.size
    if missing > 0:
        raise InputError(
            f"{file.uri} must hold {shape[0]} x {shape[1]} numbers; it is cut off, {missing} bytes are missing."
        )
    return int(shape[0]), int(shape[1]), dtype, offset
