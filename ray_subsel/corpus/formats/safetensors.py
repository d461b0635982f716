"""Read the tensors of a safetensors file as columns: ``safetensors.numpy.save_file({"vector": X}, path)``.

A file begins with the length of its header, 8 bytes, and the header, which tells each tensor's type, shape and bytes.
So rows are read where they lie, on any filesystem. Numbers of 16 bits that are the upper half of a float32 (BF16) are
read as float32: no other type of numpy or Arrow holds them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ray_subsel.core.errors import InputError
from ray_subsel.core.types import Float32s
from ray_subsel.corpus.batches import Batch
from ray_subsel.corpus.block_sizes import DEFAULT_SIZES, BlockSizes
from ray_subsel.corpus.columns import ArrowColumns
from ray_subsel.corpus.files import SourceFile
from ray_subsel.corpus.formats.base import FileFormat, Piece
from ray_subsel.corpus.opening import unreadable

_ABOUT = "__metadata__"
_HEADER_BYTES = 100_000_000
"""The longest header that the format allows."""
_BF16 = "BF16"
_TYPES = {
    **{f"F{bits}": f"<f{bits // 8}" for bits in (16, 32, 64)},
    **{f"{kind}{bits}": f"<{kind.lower()}{bits // 8}" for kind in "IU" for bits in (8, 16, 32, 64)},
    _BF16: "<u2",
}


@dataclass(frozen=True)
class _Tensor:
    """A tensor of shape (n,) or (n, d), and where it begins."""

    name: str
    kind: str
    n: int
    d: int | None
    offset: int

    @property
    def stored(self) -> np.dtype[Any]:
        return np.dtype(_TYPES[self.kind])

    @property
    def row_bytes(self) -> int:
        return (1 if self.d is None else self.d) * self.stored.itemsize

    @property
    def column_type(self) -> pa.DataType:
        numbers = pa.float32() if self.kind == _BF16 else pa.from_numpy_dtype(self.stored.newbyteorder("="))
        return numbers if self.d is None else pa.list_(numbers, self.d)

    def read(self, stream: pa.NativeFile, start: int, rows: int) -> pa.Array:
        """Return some of the rows."""
        stream.seek(self.offset + start * self.row_bytes)
        numbers = np.frombuffer(stream.read(rows * self.row_bytes), dtype=self.stored)
        flat = _widened(numbers) if self.kind == _BF16 else numbers.astype(self.stored.newbyteorder("="))
        column = pa.array(flat)
        return column if self.d is None else pa.FixedSizeListArray.from_arrays(column, self.d)


def _widened(upper: NDArray[Any]) -> Float32s:
    """Return the float32 numbers of which these are the upper halves."""
    return np.asarray((upper.astype(np.uint32) << np.uint32(16)).view(np.float32))


class Safetensors(FileFormat):
    """Tensors of shape (n, d), (n, 1, d) or (n,), a column each; a piece is its first row and that after its last."""

    name: ClassVar[str] = "safetensors"
    holds_vectors: ClassVar[bool] = True

    def schema(self, file: SourceFile) -> pa.Schema | None:
        """Return a column for each tensor."""
        return pa.schema([(tensor.name, tensor.column_type) for tensor in _tensors(file)])

    def count(self, file: SourceFile) -> int | None:
        """Return n."""
        return _tensors(file)[0].n

    def pieces(self, file: SourceFile, split_bytes: int) -> list[Piece]:
        """Return ranges of rows."""
        tensors = _tensors(file)
        n, step = tensors[0].n, max(1, split_bytes // sum(tensor.row_bytes for tensor in tensors))
        return [(start, min(start + step, n)) for start in range(0, n, step)] or [()]

    def batches(self, file: SourceFile, piece: Piece = (), sizes: BlockSizes = DEFAULT_SIZES) -> Iterator[Batch]:
        """Yield the rows of a range."""
        tensors = _tensors(file)
        first, stop = piece or (0, tensors[0].n)
        with file.filesystem.open_input_file(file.path) as stream:
            for start in range(first, stop, sizes.batch_rows):
                rows = min(sizes.batch_rows, stop - start)
                table = pa.table({tensor.name: tensor.read(stream, start, rows) for tensor in tensors})
                yield Batch.numbered(ArrowColumns(table, fixed=dict(file.partition)), start - first, first)


def _tensors(file: SourceFile) -> list[_Tensor]:
    """Return the tensors of a file, all of as many rows.

    Raises
    ------
    InputError
        Where it cannot be read, or a tensor is no column.
    """
    header, begin = _header(file)
    tensors = [_tensor(file, name, about, begin) for name, about in header.items() if name != _ABOUT]
    if not tensors or len({tensor.n for tensor in tensors}) > 1:
        shapes = ", ".join(f"{tensor.name}: {tensor.n:,} rows" for tensor in tensors[:8]) or "no tensor"
        raise InputError(f"{file.uri} must hold tensors of the same number of rows, a column each; got {shapes}.")
    return tensors


def _header(file: SourceFile) -> tuple[dict[str, Any], int]:
    """Return what the header says of each tensor, and the byte at which the first begins."""
    try:
        with file.filesystem.open_input_file(file.path) as stream:
            length = int.from_bytes(stream.read(8), "little")
            if not 0 < length <= min(_HEADER_BYTES, file.size - 8):
                raise OSError("it has no header of safetensors, or is cut off in it")
            header = json.loads(stream.read(length))
    except (OSError, ValueError, RecursionError, pa.ArrowException) as error:
        raise unreadable(file, error) from error
    if not isinstance(header, dict):
        raise unreadable(file, OSError("its header is no JSON object"))
    return header, 8 + length


def _tensor(file: SourceFile, name: str, about: Any, begin: int) -> _Tensor:
    try:
        kind, shape = about["dtype"], [_count(number) for number in about["shape"]]
        start, stop = (_count(number) for number in about["data_offsets"])
    except (KeyError, TypeError, ValueError) as error:
        raise unreadable(file, OSError(f"what its header says of {name!r} is no tensor")) from error
    wide = shape[:1] + shape[2:] if len(shape) == 3 and shape[1] == 1 else shape
    if kind not in _TYPES or not 1 <= len(wide) <= 2 or 0 in wide[1:]:
        got = f"{name}: {kind} of shape ({', '.join(map(str, shape))})"
        raise InputError(
            f"{file.uri} must hold tensors of numbers of shape (n, d) or (n,), a row of the corpus each; got {got}."
        )
    if math.prod(shape) * np.dtype(_TYPES[kind]).itemsize != stop - start:
        raise unreadable(file, OSError(f"its header gives {name!r} {stop - start} bytes, which are not its shape's"))
    if begin + stop > file.size:
        missing = begin + stop - file.size
        raise InputError(f"{file.uri} must hold all of its tensors; it is cut off, {missing} bytes are missing.")
    return _Tensor(name, kind, wide[0], wide[1] if len(wide) == 2 else None, begin + start)


def _count(number: Any) -> int:
    if type(number) is not int or number < 0:
        raise ValueError(number)
    return number
