"""Number the labels of groups as they arrive, and tell how many items each may have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ray_subsel.constraints.labels import key_of
from ray_subsel.constraints.spec import COUNT, ENDLESS
from ray_subsel.core.errors import Verbatim, invalid
from ray_subsel.core.numeric import array_of, whole_number
from ray_subsel.core.types import Indices

Label = str | int | float | bool | None


class GroupLimits:
    """At most so many items of each group: a partition matroid, whose groups become known on the way.

    Parameters
    ----------
    quotas : int or mapping
        Of every group, or by label; groups that a mapping does not name are not limited.
    """

    def __init__(self, quotas: Any) -> None:
        self.labels: list[Label] = []
        self.given: dict[Label, int]
        self._number: dict[tuple[str, Any], int] = {}
        if isinstance(quotas, Mapping):
            self.every = ENDLESS
            self.given = {
                _plain(label): whole_number(number, f"quota of {label!r}", COUNT, least=0)
                for label, number in quotas.items()
            }
        elif isinstance(quotas, str):
            way = "A share of the groups' sizes would need sizes that a stream does not know yet."
            raise invalid("quotas", "be a whole number or a mapping from label to number", quotas, way)
        else:
            self.every = whole_number(quotas, "quotas", COUNT, least=0)
            self.given = {}
        self.named = {key_of(label): number for label, number in self.given.items()}

    def numbers(self, groups: Any, n: int) -> Indices:
        """Return the numbers of the groups of n newcomers."""
        given = groups if isinstance(groups, list | tuple) else array_of(groups, "groups", "be labels").tolist()
        if not isinstance(given, list | tuple) or len(given) != n:
            size = len(given) if isinstance(given, list | tuple) else 1
            raise invalid("groups", f"be {n} labels", Verbatim(f"{size} of them"))
        labels = [_plain(label) for label in given]  # all of them, before the first is numbered
        return np.array([self._number_of(label) for label in labels], dtype=np.int64)

    def most(self, group: int) -> int:
        """Return how many items a group may have."""
        return self.named.get(key_of(self.labels[group]), self.every)

    def settings(self) -> dict[str, Any]:
        """Return the limits and the labels seen, ready for JSON."""
        return {"every": self.every, "named": list(self.given.items()), "labels": self.labels}

    @staticmethod
    def restored(settings: Mapping[str, Any]) -> GroupLimits:
        """Return the limits whose :meth:`settings` these are."""
        named = dict(settings["named"])
        limits = GroupLimits(named or settings["every"])
        limits.every = settings["every"]
        for label in settings["labels"]:
            limits._number_of(label)
        return limits

    def _number_of(self, label: Label) -> int:
        key = key_of(label)
        if key not in self._number:
            self._number[key] = len(self.labels)
            self.labels.append(label)
        return self._number[key]


def _plain(label: Any) -> Label:
    """Return a label as JSON can hold it."""
    plain = label.item() if isinstance(label, np.generic) else label
    if not isinstance(plain, str | int | float | bool | type(None)):
        raise invalid("groups", "be texts, numbers, True, False or None", Verbatim(type(label).__name__))
    return plain
