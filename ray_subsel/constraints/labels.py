"""Tell labels of groups apart by kind and value: None, nan, 1, "1" and True are five labels, nan is one.

Python itself says that 1 == True and nan != nan, and a numpy array of mixed values turns all of them into texts.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.errors import Verbatim, invalid
from ray_subsel.core.numeric import array_of
from ray_subsel.core.types import Indices

Key = tuple[str, Any]


def key_of(label: Hashable) -> Key:
    """Return what is equal for equal labels only: numbers are compared by value, whatever is no number by type too."""
    label = _plain(label)
    if isinstance(label, bool) or not isinstance(label, int | float):
        return f"{type(label).__module__}.{type(label).__qualname__}", label
    return ("number", "nan" if math.isnan(label) else label)


def _plain(label: Hashable) -> Hashable:
    """Return a numpy scalar as a value of Python, but for times, which Python has no type for."""
    if isinstance(label, np.generic) and label.dtype.kind not in "mM":
        return label.item()  # type: ignore[no-any-return]
    return label


@dataclass(frozen=True, eq=False)
class Groups:
    """The groups of some rows.

    Attributes
    ----------
    names : tuple
        The labels, in the order of their numbers; sorted, if the caller did not number the groups.
    numbers : int64 array of shape (n,)
    """

    names: tuple[Hashable, ...]
    numbers: Indices

    @staticmethod
    def of(labels: Any, n: int, parameter: str = "groups") -> Groups:
        """Return the groups of n rows that come with labels, sorted: within a kind by value, kinds by their names.

        Raises
        ------
        InputError
            Where there are not n labels, or one cannot be hashed.
        """
        given = _as_labels(labels)
        if given.shape != (n,):
            raise invalid(parameter, f"be {n} labels", Verbatim(f"{given.dtype} of shape {given.shape}"))
        if given.dtype != object:
            names, numbers = np.unique(given, return_inverse=True)
            shown = list(names) if given.dtype.kind in "mM" else names.tolist()
            return Groups(tuple(shown), numbers.astype(np.int64))
        found: dict[Key, Hashable] = {}
        keys = []
        for row, label in enumerate(given.tolist()):
            try:
                keys.append(key_of(label))
                found.setdefault(keys[-1], label)
            except TypeError:
                raise invalid("groups", "be labels that can be hashed", f"{label!r} at row {row}") from None
        number = {key: at for at, key in enumerate(sorted(found, key=_order))}
        return Groups(
            tuple(found[key] for key in number), np.array([number[key] for key in keys], dtype=np.int64)
        )  # fmt: skip


def _as_labels(labels: Any) -> NDArray[Any]:
    """Return labels as an array that keeps their values: a list of 1 and "1" would else be one of texts."""
    if not isinstance(labels, list | tuple):
        return array_of(labels, "groups", "be labels")
    kinds = {type(label) for label in labels}
    if len(kinds) == 1 and issubclass(kinds.pop(), str | int | np.generic):
        return np.asarray(labels)
    return np.fromiter(labels, dtype=object, count=len(labels))


def _order(key: Key) -> tuple[str, bool, Any]:
    """Return by what keys are sorted: numbers and texts by value, nan last, others by how they are shown."""
    kind, value = key
    if kind == "number":
        return kind, value == "nan", 0 if value == "nan" else value
    return kind, False, value if isinstance(value, str | bytes | bool) else repr(value)


def numbers_of(labels: Iterable[Hashable], names: Sequence[Hashable], parameter: str) -> list[int]:
    """Return the numbers of some labels, each named once.

    Raises
    ------
    InputError
        For a label that does not occur, or occurs twice.
    """
    number = {key_of(name): at for at, name in enumerate(names)}
    found: list[int] = []
    for label in labels:
        at = number.get(key_of(label))
        if at is None:
            shown = ", ".join(repr(name) for name in names[:5])
            more = ", ..." if len(names) > 5 else ""
            raise invalid(parameter, f"name labels that occur ({shown}{more})", Verbatim(repr(_plain(label))))
        if at in found:
            raise invalid(parameter, "name a label once", Verbatim(f"{_plain(label)!r} twice"))
        found.append(at)
    return found
