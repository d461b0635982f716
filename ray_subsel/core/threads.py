"""Run blocks of work on a few threads, each with a single-threaded BLAS.

A BLAS that splits every small product over threads waits for the slowest of them each time; on a machine that does
anything else a product of 0.1 ms then takes a scheduler's turn of 8 ms. Threads that take whole blocks instead wait
once a pass, and what numpy does between products is shared too.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from importlib.machinery import EXTENSION_SUFFIXES
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
Range = tuple[int, int]


class Workers(Protocol):
    """Calls a function on ranges and returns the results in the order of the ranges."""

    def __call__(self, function: Callable[[int, int], T], ranges: Iterable[Range]) -> list[T]:
        """Return ``function(start, stop)`` for each range, in order."""


def serial(function: Callable[[int, int], T], ranges: Iterable[Range]) -> list[T]:
    """Call a function on ranges one after the other."""
    return [function(start, stop) for start, stop in ranges]


@contextmanager
def block_workers() -> Iterator[Workers]:
    """Yield workers, as many as the BLAS of numpy may use threads; in the block that BLAS itself uses one.

    So ``OMP_NUM_THREADS`` and ``threadpoolctl`` limits that were set outside are kept to. Within such a block others
    yield its workers. Not for two threads of one process at the same time: the BLAS' limit is the process's.
    """
    outer = _outer.get()
    if outer is not None:
        yield outer
        return
    blas = _controller().select(user_api="blas")
    threads = max([int(library["num_threads"]) for library in blas.info()], default=1)
    if threads == 1:
        with _within(serial):
            yield serial
        return
    with blas.limit(limits=1), ThreadPoolExecutor(threads) as executor:

        def on_threads(function: Callable[[int, int], T], ranges: Iterable[Range]) -> list[T]:
            todo = list(ranges)
            if len(todo) < 2:
                return serial(function, todo)
            return list(executor.map(lambda some: function(*some), todo))

        with _within(on_threads):
            yield on_threads


SHARED_NUMBERS = 1 << 22
"""Numbers from which threads share a pass: to divide shorter ones costs more than it gives."""


def workers_for(numbers: int, workers: Workers) -> Workers:
    """Return the workers for passes over so many numbers, or one thread."""
    return serial if numbers < SHARED_NUMBERS else workers


def current_workers() -> Workers:
    """Return the workers of the :func:`block_workers` block that one is in; else, and within a worker, one thread."""
    return _outer.get() or serial


_COMPILED = tuple(EXTENSION_SUFFIXES)

_outer: ContextVar[Workers | None] = ContextVar("outer", default=None)
"""The workers of the block that one is in; None within a worker, whose blocks are for it alone."""


@contextmanager
def _within(workers: Workers) -> Iterator[None]:
    token = _outer.set(workers)
    try:
        yield
    finally:
        _outer.reset(token)


def _controller() -> Any:
    """Return what sets the threads of the libraries that are loaded; a module that came since may have brought one."""
    return _scan(_extensions(len(sys.modules)))


@lru_cache(maxsize=1)
def _extensions(modules: int) -> int:
    """Return how many modules are compiled: others seldom bring a library, and to look for those takes longer."""
    del modules
    return sum(map(_is_compiled, list(sys.modules.values())))


def _is_compiled(module: object) -> bool:
    """Tell whether a module is compiled; one that is not loaded until it is used stays so."""
    try:
        file = object.__getattribute__(module, "__dict__").get("__file__")
    except AttributeError:  # anything may be put among the modules
        return False
    return type(file) is str and file.endswith(_COMPILED)


@lru_cache(maxsize=1)
def _scan(extensions: int) -> Any:
    del extensions
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def ranges(total: int, step: int) -> Iterator[Range]:
    """Yield consecutive (start, stop) that cover ``range(total)``."""
    for start in range(0, total, step):
        yield start, min(start + step, total)
