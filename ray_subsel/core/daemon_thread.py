"""Make a call in a thread that nothing waits for at the end, where the call takes signals or never ends."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def in_daemon_thread(call: Callable[[], T]) -> Future[T]:
    """Begin a call in a thread of its own and return what will have its result.

    Who waits for that can be interrupted; the thread is then left behind, since nothing can stop it.
    """
    future: Future[T] = Future()

    def work() -> None:
        try:
            future.set_result(call())
        except BaseException as error:  # raised again in the thread that waits
            future.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    return future
