"""Merge what several producers send into one stream, in an order that does not depend on who is faster."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ray_subsel.core.errors import invalid
from ray_subsel.streaming.selector import StreamSelection, StreamSelector


@dataclass(eq=False)
class MergedStream:
    """One selector for several producers, each of which sends batches 0, 1, 2, ...

    The stream is batch 0 of producer 0, 1, ..., then batch 1 of each, and so on; a producer that has closed is passed
    over. So the answer is that of one process that reads the batches in this order. A batch that was sent before, as
    after a lost reply, counts once.

    Attributes
    ----------
    selector : StreamSelector
    producers : int
    """

    selector: StreamSelector
    producers: int
    _waiting: list[dict[int, dict[str, Any]]] = field(init=False)
    _ends: list[int | None] = field(init=False)
    _turn: int = 0
    _next: int = 0

    def __post_init__(self) -> None:
        if self.producers < 1:
            raise invalid("producers", "be at least 1", self.producers)
        self._waiting = [{} for _ in range(self.producers)]
        self._ends = [None] * self.producers

    def offer(
        self, producer: int, number: int, X: Any, ids: Any, *, utility: Any = None, groups: Any = None
    ) -> int:  # fmt: skip
        """Take batch ``number`` of a producer, and return how many of its batches wait for others.

        Raises
        ------
        InputError
            For a producer that there is none of, or that has closed.
        """
        self._check(producer)
        end = self._ends[producer]
        if end is not None and number >= end:
            raise invalid("number", f"be below {end}, where producer {producer} has closed", number)
        if not self._is_past(producer, number):
            self._waiting[producer][number] = {"X": X, "ids": ids, "utility": utility, "groups": groups}
            self._go_on()
        return len(self._waiting[producer])

    def close(self, producer: int, batches: int) -> None:
        """Take note that a producer sends no more than so many batches."""
        self._check(producer)
        self._ends[producer] = batches
        self._go_on()

    def selection(self) -> StreamSelection:
        """Return the kept items of all that could be taken in order."""
        return self.selector.selection()

    def state(self) -> bytes:
        """Return the selector's state: :meth:`ray_subsel.StreamSelector.from_bytes`."""
        return self.selector.to_bytes()

    def _check(self, producer: int) -> None:
        if not 0 <= producer < self.producers:
            raise invalid("producer", f"lie in [0, {self.producers})", producer)

    def _is_past(self, producer: int, number: int) -> bool:
        return number < self._turn or (number == self._turn and producer < self._next)

    def _go_on(self) -> None:
        """Decide about all batches whose turn it is."""
        while any(end is None or self._turn < end for end in self._ends):
            end = self._ends[self._next]
            if end is None or self._turn < end:
                batch = self._waiting[self._next].pop(self._turn, None)
                if batch is None:
                    return
                self.selector.partial_fit(batch.pop("X"), **batch)
            self._next += 1
            if self._next == self.producers:
                self._turn, self._next = self._turn + 1, 0
