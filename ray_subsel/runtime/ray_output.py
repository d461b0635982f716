"""Keep standard output for what a command answers: Ray's driver prints there what its nodes report.

It does so from a thread of its own, in several lines and colours, and no setting of ``ray.init`` prevents it: of
workers that the memory monitor has killed, of a raylet that has ended. What resembles an earlier report it keeps back
and prints when it is shut down, from the thread that does that. The first sentence of each becomes a line of progress.
"""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, nullcontext
from contextvars import copy_context
from typing import Any, TextIO

from ray_subsel.runtime.progress import log_line

THREAD = "ray_listen_error_messages"
"""Name of the thread in which Ray prints."""

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_SENDER = re.compile(r"^\([^)]*\) ")


class _Shared:
    """A stream that hands over what Ray prints, and is the stream that it stands for in all else."""

    def __init__(self, stream: TextIO, hear: Callable[[str], None], threads: Collection[int]) -> None:
        self._stream, self.hear, self._threads = stream, hear, threads

    def write(self, text: str) -> int:
        """Write a text, or hand it over."""
        if threading.current_thread().name == THREAD or threading.get_ident() in self._threads:
            self.hear(text)
            return len(text)
        return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        """Return what the stream has."""
        return getattr(self._stream, name)


@contextmanager
def ray_prints_apart(*, in_thread: bool = False) -> Iterator[None]:
    """Let what Ray prints on standard output within the block be lines of progress, each sentence once.

    Parameters
    ----------
    in_thread : bool
        Whether all that this thread prints is Ray's, too.
    """
    if sys.stdout is None:
        yield
        return
    told: set[str] = set()
    context = copy_context()  # that of the block knows whether progress is shown

    def hear(text: str) -> None:
        sentence = _SENDER.sub("", _COLOURS.sub("", text).strip()).partition(". ")[0].partition("\n")[0].strip()
        if sentence and sentence not in told:
            told.add(sentence)
            context.run(log_line, f"Ray: {sentence}")

    before: TextIO = sys.stdout
    threads = {threading.get_ident()} if in_thread else ()
    shared: Any = _Shared(before, before.hear if isinstance(before, _Shared) else hear, threads)
    sys.stdout = shared
    try:
        yield
    finally:
        if sys.stdout is shared:
            sys.stdout = before


def shut_down_ray() -> None:
    """Shut Ray down; in a block of :func:`ray_prints_apart` what it has kept back to print is told there too."""
    import ray

    with ray_prints_apart(in_thread=True) if isinstance(sys.stdout, _Shared) else nullcontext():
        ray.shutdown()
