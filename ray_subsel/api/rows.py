"""What rows in memory offer, of whatever kind they are: :mod:`ray_subsel.api.kinds` has the kinds."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from ray_subsel.core.types import Indices

TEXT = "text"
"""What the one column of plain texts is called, and the column that is taken where none is named."""


class Rows(abc.ABC):
    """Rows in memory.

    Attributes
    ----------
    names : list of str
        Their columns.
    """

    names: list[str]

    @abc.abstractmethod
    def columns(self, names: Sequence[str]) -> pa.Table:
        """Return some columns as Arrow, a row each."""

    @abc.abstractmethod
    def take(self, rows: Indices) -> Any:
        """Return some rows, in this order, as the kind that they came as."""
