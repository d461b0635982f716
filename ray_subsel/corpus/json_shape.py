"""Tell the type of a column from all its JSON values, whatever the order in which they are seen.

What is counted of a column adds up: the counts of batches, files and workers are merged, and the type is decided once,
of the whole corpus. So it does not depend on which rows were chosen, and a few odd values do not decide it: where some
values are nested and some are not, the more frequent kind has the column, and what does not fit is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from ray_subsel.corpus.values import is_missing, to_json

MOST_FIELDS = 1000
"""Objects of more keys are used as maps; they are kept as JSON texts."""
DEEPEST = 20
_KIND = {bool: "bool", int: "int", float: "float", str: "text", list: "list", dict: "object"}


@dataclass
class Shape:
    """What was seen in one place of JSON values.

    Attributes
    ----------
    kinds : dict of str to int
        How many values were ``bool``, ``int``, ``big`` (beyond 64 bits), ``float``, ``text``, ``list``, ``object``.
    item : Shape or None
        Of the elements of lists.
    fields : dict of str to Shape
        Of the values of objects.
    """

    kinds: dict[str, int] = field(default_factory=dict)
    item: Shape | None = None
    fields: dict[str, Shape] = field(default_factory=dict)

    def see(self, values: Sequence[Any], depth: int = 0) -> None:
        """Count values; None is none."""
        for kind in set(map(type, values)):
            if kind is type(None):
                continue
            mine: list[Any] = [value for value in values if type(value) is kind]
            name = _KIND[kind]
            if kind is int:
                big = sum(not -(2**63) <= value < 2**63 for value in mine)
                self._count("big", big)
                self._count(name, len(mine) - big)
                continue
            self._count(name, len(mine))
            if kind is list and depth < DEEPEST:
                self.item = self.item or Shape()
                self.item.see([one for value in mine for one in value], depth + 1)
            elif kind is dict and depth < DEEPEST:
                for key in dict.fromkeys(key for value in mine for key in value):
                    if depth and len(self.fields) > MOST_FIELDS:
                        break
                    inner = self.fields.setdefault(key, Shape())
                    inner.see([value[key] for value in mine if key in value], depth + 1)

    def _count(self, kind: str, number: int) -> None:
        if number:
            self.kinds[kind] = self.kinds.get(kind, 0) + number

    def merge(self, other: Shape) -> None:
        """Add what another has seen."""
        for kind, number in other.kinds.items():
            self._count(kind, number)
        if other.item is not None:
            self.item = self.item or Shape()
            self.item.merge(other.item)
        for name, inner in other.fields.items():
            self.fields.setdefault(name, Shape()).merge(inner)

    def type(self, depth: int = 0) -> pa.DataType:
        """Return the type that holds most of the values."""
        kinds = self.kinds
        if not kinds:
            return pa.null()
        nested = kinds.get("list", 0) + kinds.get("object", 0)
        if 2 * nested > sum(kinds.values()):
            return self._nested(depth)
        scalars = {kind for kind in kinds if kind not in ("list", "object")}
        if nested or (len(scalars) > 1 and scalars != {"int", "float"}):
            return pa.string()
        if "float" in scalars:
            return pa.float64()
        return {"bool": pa.bool_(), "int": pa.int64()}.get(next(iter(scalars)), pa.string())

    def _nested(self, depth: int) -> pa.DataType:
        if self.kinds.get("list", 0) >= self.kinds.get("object", 0):
            inner = self.item.type(depth + 1) if self.item is not None and depth < DEEPEST else pa.string()
            return pa.list_(inner)
        if not self.fields or len(self.fields) > MOST_FIELDS or depth >= DEEPEST:
            return pa.string()  # Parquet has no object without fields
        return pa.struct([(name, inner.type(depth + 1)) for name, inner in self.fields.items()])

    def as_json(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        content: dict[str, Any] = {"kinds": dict(sorted(self.kinds.items()))}
        if self.item is not None:
            content["item"] = self.item.as_json()
        if self.fields:
            content["fields"] = {name: inner.as_json() for name, inner in self.fields.items()}
        return content

    @staticmethod
    def of_json(content: dict[str, Any]) -> Shape:
        """Return what :meth:`as_json` gave."""
        fields = {name: Shape.of_json(inner) for name, inner in content.get("fields", {}).items()}
        item = content.get("item")
        return Shape(dict(content["kinds"]), None if item is None else Shape.of_json(item), fields)


class Misfit(Exception):  # noqa: N818 - no error: it is counted
    """A value that a type cannot hold."""


def fit(value: Any, kind: pa.DataType) -> Any:
    """Return a value as a type holds it.

    Raises
    ------
    Misfit
        For a value of another kind. Texts hold anything; floats hold integers.
    """
    if value is None or pa.types.is_null(kind):
        if value is not None:
            raise Misfit
        return None
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return value if isinstance(value, str) else None if is_missing(value) else to_json(value)
    if pa.types.is_struct(kind):
        if not isinstance(value, dict):
            raise Misfit
        known = {field.name for field in kind}
        if any(key not in known and one is not None for key, one in value.items()):
            raise Misfit
        return {field.name: fit(value.get(field.name), field.type) for field in kind}
    if _is_list(kind):
        if not isinstance(value, list):
            raise Misfit
        return [fit(one, kind.value_type) for one in value]
    if pa.types.is_boolean(kind) != isinstance(value, bool) or isinstance(value, (list, dict, str)):
        raise Misfit
    if pa.types.is_floating(kind):
        return float(value)
    if pa.types.is_integer(kind) and not (isinstance(value, int) and -(2**63) <= value < 2**63):
        raise Misfit
    return value


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def fit_all(values: Sequence[Any], kind: pa.DataType) -> tuple[pa.Array, int]:
    """Return values as an array of a type, and how many of them did not fit and are null."""
    held: list[Any] = []
    misfits = 0
    for value in values:
        try:
            held.append(fit(value, kind))
        except (Misfit, OverflowError):
            held.append(None)
            misfits += 1
    return pa.array(held, kind), misfits
