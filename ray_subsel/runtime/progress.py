"""Show progress of long work on standard error: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import Protocol

from ray_subsel.core.terminal import is_terminal, tell


class Bar(Protocol):
    """What work calls to say how far it is."""

    def advance(self, amount: int = 1) -> None:
        """Tell that ``amount`` more units are done."""


class ClosableBar(Bar, Protocol):
    """A bar that somebody shows."""

    def close(self) -> None:
        """Show nothing any more."""


Show = Callable[[str, int, str], ClosableBar]
"""Makes a bar of a label, a total and a unit."""

_quiet: ContextVar[bool] = ContextVar("quiet", default=False)


@contextmanager
def quiet() -> Iterator[None]:
    """Show neither bars nor lines within the block."""
    before = _quiet.set(True)
    try:
        yield
    finally:
        _quiet.reset(before)


class NullProgress:
    """A bar that shows nothing."""

    def __init__(self, label: str = "", total: int = 0, unit: str = "") -> None:
        """Take what any bar takes."""

    def advance(self, amount: int = 1) -> None:
        """Take note of nothing."""

    def close(self) -> None:
        """Show nothing any more."""


COLUMNS, ROWS = 80, 24
"""Of a terminal that does not tell how many it has, as that of a container: a bar would not be drawn."""


def _has_size() -> bool:
    """Tell whether the terminal of standard error says how large it is."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns > 0
    except (OSError, ValueError):
        return False


class TerminalBar:
    """A bar that redraws itself."""

    def __init__(self, label: str, total: int, unit: str) -> None:
        from tqdm import tqdm

        sized = _has_size()
        self.tqdm = tqdm(
            total=total, desc=label, unit=unit, file=sys.stderr, leave=False, dynamic_ncols=sized,
            **({} if sized else {"ncols": COLUMNS, "nrows": ROWS}),
        )  # fmt: skip

    def advance(self, amount: int = 1) -> None:
        """Draw it ``amount`` units longer."""
        self.tqdm.update(amount)

    def close(self) -> None:
        """Take it off the terminal."""
        self.tqdm.close()


class LogBar:
    """Lines, far enough apart that a log stays readable.

    The time left is told when a tenth is done: before, the start of workers would be taken for work.
    """

    SECONDS, TOLD_FROM = 15.0, 0.1

    def __init__(self, label: str, total: int, unit: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.label, self.total, self.unit, self.clock = label, total, unit, clock
        self.done = 0
        self.began = self.told = clock()

    def advance(self, amount: int = 1) -> None:
        """Write a line if the last is long enough ago and this is not the end."""
        self.done += amount
        now = self.clock()
        if self.done < self.total and now - self.told >= self.SECONDS:
            self.told = now
            line = f"{self.label}: {self.done:,} of {self.total:,} {self.unit}s"
            if self.done >= self.TOLD_FROM * self.total:
                left = (now - self.began) / self.done * (self.total - self.done)
                line += f", some {left:,.0f} s left"
            log_line(line)

    def close(self) -> None:
        """Write nothing: what comes after tells that it is done."""


@contextmanager
def bar(label: str, total: int, unit: str = "item", show: Show | None = None) -> Iterator[Bar]:
    """Yield a bar of ``total`` units that closes with the block; by default as standard error can show it."""
    show = show or (NullProgress if _quiet.get() else TerminalBar if is_terminal() else LogBar)
    progress = show(label, total, unit)
    try:
        yield progress
    finally:
        progress.close()


@contextmanager
def steps(label: str, unit: str, show: Show | None = None) -> Iterator[Callable[[int, int], None]]:
    """Yield a function to call as ``told(done, total)``, for work that learns its total on the way."""
    with ExitStack() as stack:
        shown: list[tuple[Bar, int]] = []

        def told(done: int, total: int) -> None:
            progress, before = shown.pop() if shown else (stack.enter_context(bar(label, total, unit, show)), 0)
            progress.advance(done - before)
            shown.append((progress, done))

        yield told


def log_line(line: str) -> None:
    """Write one line about the run to standard error."""
    if not _quiet.get():
        tell(line)
