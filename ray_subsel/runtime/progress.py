"""Show progress of long work on standard error: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Protocol


class Bar(Protocol):
    """What work calls to say how far it is."""

    def advance(self, amount: int = 1) -> None:
        """Tell that ``amount`` more units are done."""


class NullProgress:
    """A bar that shows nothing."""

    def advance(self, amount: int = 1) -> None:
        """Take note of nothing."""


class _Terminal:
    """A bar that redraws itself."""

    def __init__(self, label: str, total: int, unit: str) -> None:
        from tqdm import tqdm

        self.tqdm = tqdm(total=total, desc=label, unit=unit, file=sys.stderr, leave=False, dynamic_ncols=True)

    def advance(self, amount: int = 1) -> None:
        self.tqdm.update(amount)

    def close(self) -> None:
        self.tqdm.close()


class _Log:
    """Lines, far enough apart that a log stays readable."""

    SECONDS = 15.0

    def __init__(self, label: str, total: int, unit: str) -> None:
        self.label, self.total, self.unit = label, total, unit
        self.done = 0
        self.began = self.told = time.monotonic()

    def advance(self, amount: int = 1) -> None:
        self.done += amount
        now = time.monotonic()
        if self.done < self.total and now - self.told >= self.SECONDS:
            self.told = now
            left = (now - self.began) / self.done * (self.total - self.done) if self.done else 0.0
            log_line(f"{self.label}: {self.done:,} of {self.total:,} {self.unit}s, some {left:,.0f} s left")

    def close(self) -> None:
        pass


@contextmanager
def bar(label: str, total: int, unit: str = "item") -> Iterator[Bar]:
    """Yield a bar of ``total`` units that closes with the block."""
    progress = _Terminal(label, total, unit) if sys.stderr.isatty() else _Log(label, total, unit)
    try:
        yield progress
    finally:
        progress.close()


@contextmanager
def steps(label: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    """Yield a function to call as ``told(done, total)``, for work that learns its total on the way."""
    with ExitStack() as stack:
        shown: list[tuple[Bar, int]] = []

        def told(done: int, total: int) -> None:
            progress, before = shown.pop() if shown else (stack.enter_context(bar(label, total, unit)), 0)
            progress.advance(done - before)
            shown.append((progress, done))

        yield told


def log_line(line: str) -> None:
    """Write one line about the run to standard error."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
