"""From rows to the ground set: which rows have a text, which texts are equal."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ray_subsel.api.rows import TEXT, Rows
from ray_subsel.config import CorpusConfig
from ray_subsel.core.errors import Verbatim, invalid
from ray_subsel.core.types import Indices
from ray_subsel.corpus.in_memory import rows_of_table


@dataclass(frozen=True, eq=False)
class DistinctTexts:
    """The distinct texts of some rows, in the order in which they first come.

    Attributes
    ----------
    texts : list of m str
    first : int64 array of shape (m,)
        The lowest row of each text.
    item_of : int64 array of shape (n,)
        The text of each row; -1 where a row has none.
    """

    texts: list[str]
    first: Indices
    item_of: Indices

    @property
    def rows(self) -> int:
        """How many rows have a text."""
        return int((self.item_of >= 0).sum())


def text_columns(rows: Rows, text: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return the columns that hold the text: those named, else ``text``, else the only one.

    Raises
    ------
    InputError
        When a column is not there, or none is named where there are several.
    """
    if text is None:
        if TEXT in rows.names:
            return (TEXT,)
        if len(rows.names) == 1:
            return (rows.names[0],)
        known = ", ".join(rows.names)
        raise invalid("text", "name the column that holds the text", Verbatim(f"none; the columns are {known}"))
    names = (text,) if isinstance(text, str) else tuple(text)
    for name in names:
        check_column(rows, "text", name)
    return names


def check_column(rows: Rows, parameter: str, name: str) -> None:
    """Raise InputError where there is no such column."""
    if name not in rows.names:
        raise invalid(parameter, f"be a column, one of {', '.join(rows.names)}", name)


def distinct_texts(rows: Rows, text: str | Sequence[str] | None) -> DistinctTexts:
    """Return the distinct texts of rows, read as a run reads them: stripped, several columns joined with a space.

    Rows without a text cannot be chosen; a warning tells how many they are.

    Raises
    ------
    InputError
        When no row has a text, or a column holds no strings.
    """
    names = text_columns(rows, text)
    table = rows.columns(names)
    for name in names:
        _check_strings(name, table.schema.field(name).type)
    n = table.num_rows
    if not n:
        raise invalid("texts", "hold at least one text", Verbatim("none"))
    usable, rejected = rows_of_table(table, CorpusConfig(text=names), "texts")
    if not usable.num_rows:
        raise invalid("texts", "hold at least one text", Verbatim(f"{n:,} rows without one"))
    if rejected:
        one = rejected[0]
        warnings.warn(
            f"{len(rejected):,} of {n:,} rows cannot be chosen: the first is row {one.row} ({one.reason}).",
            stacklevel=3,
        )
    seen: dict[bytes, int] = {}
    items = np.array([seen.setdefault(key, len(seen)) for key in usable["key"].to_pylist()], dtype=np.int64)
    item_of = np.full(n, -1, dtype=np.int64)
    item_of[usable["id"].to_numpy()] = items
    _, at = np.unique(items, return_index=True)
    texts: list[str] = usable["text"].take(pa.array(at)).to_pylist()
    return DistinctTexts(texts, usable["id"].to_numpy()[at].astype(np.int64), item_of)


def _check_strings(name: str, kind: Any) -> None:
    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    strings = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_null)
    if not any(check(inner) for check in strings):
        raise invalid("text", "name a column of strings", Verbatim(f"{name}, of {kind}"))
