"""Find the vectors in a column: lists of numbers, tensors of pyarrow and Ray, matrices of one row."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from ray_subsel.corpus.values import plain


def is_number(kind: pa.DataType) -> bool:
    """Tell whether a type is one of numbers."""
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind))


def holds_vectors(kind: pa.DataType) -> bool:
    """Tell whether a type can hold vectors."""
    return vector_lists(pa.chunked_array([pa.nulls(0, kind)])) is not None


def vector_lists(column: pa.ChunkedArray | None) -> pa.Array | None:
    """Return a column as an array of lists of numbers, null where a row has no vector; None where it is no such column.

    Tensors are stored as lists of their numbers, or, where their shapes differ, as ``data`` beside ``shape``. Lists of
    one list, as ``model.encode([text])`` gives, are that list.
    """
    if column is None:
        return None
    array = plain(column)
    array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.nulls(0, array.type)
    if pa.types.is_struct(array.type) and {field.name for field in array.type} == {"data", "shape"}:
        data = pc.struct_field(array, "data")
        array = pc.if_else(array.is_valid(), data, pa.scalar(None, data.type))
    array = _listed(array)
    while array is not None and (inner := _listed(pc.list_flatten(array))) is not None:
        array = _only_elements(array, inner)
    return array if array is not None and is_number(array.type.value_type) else None


def _listed(array: pa.Array) -> pa.Array | None:
    """Return lists of any kind as such that lie one after the other, or None for what is no list."""
    kind = array.type
    if not hasattr(kind, "value_type") or pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return None
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return array
    return pa.array(array.to_pylist(), pa.large_list(kind.value_type))  # views of lists: their cast loses rows


def _only_elements(outer: pa.Array, inner: pa.Array) -> pa.Array:
    """Return the one list in each list of lists; null where there is none or several."""
    one = pc.fill_null(pc.equal(pc.list_value_length(outer), 1), False)
    lengths = pc.list_value_length(outer).fill_null(0).to_numpy(zero_copy_only=False)
    starts = lengths.cumsum() - lengths
    at = pc.if_else(one, pa.array(starts, pa.int64()), pa.scalar(None, pa.int64()))
    return inner.take(at)
