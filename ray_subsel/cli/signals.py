"""End a command cleanly on SIGINT, SIGTERM or SIGHUP, and within seconds whatever it is doing.

The first signal raises KeyboardInterrupt in the main thread, so that blocks are left in order: files half-written
vanish, Ray is shut down; then the process ends without what the interpreter would still do, which takes seconds on a
busy machine. A second signal, or ``SECONDS`` without an end, ends the process at once. That is safe: files
take their names when they are whole, and the kernel ends Ray's processes with the one that started them.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

from ray_subsel.cli.failures import failure_of
from ray_subsel.core.terminal import tell
from ray_subsel.runtime.head_watch import forget, lost

SECONDS = 4.0
"""From the first signal to the end, at most; SIGINT ends a command within 5 s."""

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def interruptible(*, whole_process: bool) -> Iterator[list[int]]:
    """Let signals end the block; yield those that came.

    Parameters
    ----------
    whole_process : bool
        Whether the process ends with the block: the time limit then covers what the interpreter does at its end, too.
    """
    seen: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield seen  # only the main thread is told of signals
        return
    forget()
    heard = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]  # nohup ignores SIGHUP
    read, write = os.pipe()
    os.set_blocking(write, False)
    before: dict[signal.Signals, Any] = {number: signal.getsignal(number) for number in heard}
    former = signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    watching = threading.Thread(target=_watch, args=(read,), name="signals", daemon=True)
    watching.start()

    def interrupt(number: int, frame: FrameType | None) -> None:
        del frame
        seen.append(number)
        if len(seen) == 1:
            raise KeyboardInterrupt

    for number in heard:
        signal.signal(number, interrupt)
    try:
        yield seen
    finally:
        if not (seen and whole_process):
            for number, handler in before.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(former)
            os.write(write, b"\0")
            watching.join()
            os.close(read)
            os.close(write)


def _watch(read: int) -> None:
    """Wait for a signal, then for a second one or for too long a time; no end of the block ends the process."""
    heard = 0
    while heard < 2 and select.select([read], [], [], SECONDS if heard else None)[0]:
        number = int.from_bytes(os.read(read, 1), "little")
        if not number:  # the block has ended
            return
        heard += number in SIGNALS
    failure = failure_of(lost() or KeyboardInterrupt())
    tell(failure.line)
    os._exit(failure.status)
