"""Run tasks in this process or on Ray; a task that kills its workers every time is given up by name.

All work of the stages comes through :func:`run_tasks`, or :func:`run_pool` where a worker must first open something;
which of both ways it takes, they ask ``RunContext.in_process`` (:mod:`ray_subsel.stages.base`).

Ray starts a lost worker's work again, three times where :func:`ray_subsel.runtime.ray_session.remote` made the task,
but without limit in Ray Data and wherever its memory monitor killed the worker. So each start is counted in the run
directory.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

from ray_subsel.core.errors import InputError, ResourceError, as_value, of_value
from ray_subsel.runtime.peak_memory import peak_bytes, start_peak
from ray_subsel.runtime.ray_session import is_of_ray, remote
from ray_subsel.storage.run_directory import BEGUN, RunDir

ATTEMPTS = 4
"""How often a piece of work is begun before it is given up."""


@dataclass(frozen=True)
class TaskSpec:
    """A piece of work that a worker does.

    Attributes
    ----------
    makes : str
        The file of the run directory that comes of it; beside it stands how often the work was begun.
    does : str
        What it does, the name of its task in Ray: ``select partition 3``.
    failed : str
        What to say where it cannot be done: ``partition 3 could not be solved``.
    hint : str
        What may help: ``Give it more memory``.
    """

    makes: str
    does: str
    failed: str
    hint: str

    def given_up(self, why: str) -> InputError:
        """Return the one line about work whose worker is lost again and again."""
        return ResourceError(
            f"{self.failed}: its worker died again and again ({why}). {self.hint}, then run the same command again."
        )


@contextmanager
def attempt(run: RunDir, work: TaskSpec) -> Iterator[None]:
    """Count that a piece of work is begun, and refuse to begin it once more where that killed ``ATTEMPTS`` workers.

    The count ends with the block, however that ends; it outlives the block's worker only.
    """
    count = f"{work.makes}{BEGUN}"
    begun = run.read_json(count) if run.exists(count) else 0
    try:
        if begun >= ATTEMPTS:
            raise work.given_up(f"{begun} times")
        run.write_json(count, begun + 1)
        yield
    finally:
        run.delete(count)


@contextmanager
def ray_errors_as_input_errors(work: TaskSpec) -> Iterator[None]:
    """Turn what Ray says of a lost worker, node or object into one line; what the work itself raised passes."""
    import ray

    try:
        yield
    except ray.exceptions.RayError as error:
        if not is_of_ray(error):  # a task that only took in what another lost raises, too
            raise
        raise work.given_up(type(error).__name__) from error


def result_of(answer: Any, work: TaskSpec) -> Any:
    """Return what a reference stands for."""
    import ray

    with ray_errors_as_input_errors(work):
        return ray.get(answer)


def run_tasks(
    function: Callable[..., Any],
    shared: tuple[Any, ...],
    tasks: Sequence[tuple[Any, TaskSpec]],
    run: RunDir,
    *,
    in_process: bool,
    at_a_time: int | None = None,
    cpus: float = 1,
) -> Iterator[tuple[Any, Any, int]]:
    """Call ``function(*shared, argument)`` for each argument: here, or in a Ray task each.

    Parameters
    ----------
    function : callable
    shared : tuple
        Sent once.
    tasks : sequence of (argument, TaskSpec)
    run : RunDir
    in_process : bool
        Call it in this process, one after the other; else in Ray tasks, and yield in the order in which they end.
    at_a_time : int, optional
        Tasks at the same time, so that they fit into memory; by default Ray decides.
    cpus : float
        CPUs of a task.

    Yields
    ------
    tuple
        The argument, the result, and the peak of the task's process in bytes: 0 where that is this process.

    Raises
    ------
    InputError
        Where a task's worker is lost again and again, and whatever a task raises; the other tasks are then cancelled.
    """
    if in_process:
        for argument, _ in tasks:
            yield argument, function(*shared, argument), 0
        return
    if not tasks:
        return
    import ray

    task, reference = remote(_attempted), ray.put((function, shared))
    waiting = iter(tasks)
    pending: dict[Any, tuple[Any, TaskSpec]] = {}
    try:
        while True:
            free = None if at_a_time is None else at_a_time - len(pending)
            for argument, spec in islice(waiting, free):
                named = task.options(num_cpus=cpus, name=spec.does)
                pending[named.remote(reference, argument, run, spec)] = argument, spec
            if not pending:
                return
            [done], _ = ray.wait(list(pending), num_returns=1)
            argument, spec = pending.pop(done)
            result, peak = result_of(done, spec)
            yield argument, result, peak
    finally:
        for left in pending:
            ray.cancel(left)


@dataclass(frozen=True)
class Pool:
    """Actors on Ray, each of which keeps what its first task has opened.

    Attributes
    ----------
    whole : TaskSpec
        What all tasks together make.
    size : int
        At most so many; more than there are tasks are not started.
    gpus : float
        Of each.
    """

    whole: TaskSpec
    size: int
    gpus: float = 0.0


def run_pool(
    open_worker: Callable[..., Callable[[Any], Any]],
    shared: tuple[Any, ...],
    tasks: Sequence[tuple[Any, TaskSpec]],
    run: RunDir,
    *,
    in_process: bool,
    pool: Pool,
) -> Iterator[tuple[Any, Any, int]]:
    """Call ``open_worker(*shared)`` once a process, and what it returns for each argument: here, or on actors.

    Like :func:`run_tasks` for work that must first open something. On Ray arguments and results travel as JSON; actors
    that are lost are replaced by Ray Data, their tasks begun again. A death while a worker opens counts for its task.

    Yields
    ------
    tuple
        As :func:`run_tasks`.

    Raises
    ------
    InputError
        Where a task's worker is lost again and again, or what a task raises is one.
    """
    if not tasks:
        return
    if in_process:
        work = open_worker(*shared)
        yield from run_tasks(work, (), tasks, run, in_process=True)
        return
    import ray

    size = max(1, min(pool.size, len(tasks)))
    cpus = float(ray.cluster_resources().get("CPU", 1.0))  # type: ignore[no-untyped-call]
    dataset = ray.data.from_items([{"at": at} for at in range(len(tasks))], override_num_blocks=len(tasks)).map_batches(
        type(pool.whole.does.replace(" ", "_"), (_PoolActor,), {}),
        fn_constructor_args=(open_worker, shared, tasks, run),
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(size=size),
        # At most half of what there is in Ray's accounts: a pool that took all would starve the tasks that feed it.
        num_cpus=round(min(0.5, 0.5 * cpus / size), 4),
        num_gpus=pool.gpus or None,
    )
    with ray_errors_as_input_errors(pool.whole):
        for row in dataset.iter_rows():
            if row["error"]:
                raise of_value(row["error"])
            yield tasks[int(row["at"])][0], json.loads(row["result"]), int(row["peak"])


class _PoolActor:
    """An actor of a pool; Ray Data calls it with one row at a time."""

    def __init__(
        self,
        open_worker: Callable[..., Callable[[Any], Any]],
        shared: tuple[Any, ...],
        tasks: Sequence[tuple[Any, TaskSpec]],
        run: RunDir,
    ) -> None:
        self._open = open_worker, shared
        self._tasks, self._run = tasks, run
        self._work: Callable[[Any], Any] | None = None

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        [at] = [int(at) for at in batch["at"]]
        argument, spec = self._tasks[at]
        result, error = None, ""
        try:
            with attempt(self._run, spec):
                if self._work is None:
                    open_worker, shared = self._open
                    self._work = open_worker(*shared)
                start_peak()
                result = self._work(argument)
        except InputError as refused:  # as a value: of an exception Ray Data hands over its own words only
            error = as_value(refused)
        return {"at": [at], "result": [json.dumps(result)], "peak": [peak_bytes()], "error": [error]}


def map_tasks(
    function: Callable[..., Any],
    shared: tuple[Any, ...],
    tasks: Sequence[tuple[Any, TaskSpec]],
    run: RunDir,
    *,
    in_process: bool,
) -> list[Any]:
    """Return ``function(*shared, argument)`` of each argument, in their order, however :func:`run_tasks` runs them."""
    found = {argument: result for argument, result, _ in run_tasks(function, shared, tasks, run, in_process=in_process)}
    return [found[argument] for argument, _ in tasks]


def _attempted(
    call: tuple[Callable[..., Any], tuple[Any, ...]], argument: Any, run: RunDir, work: TaskSpec
) -> tuple[Any, int]:
    function, shared = call
    with attempt(run, work):
        start_peak()
        result = function(*shared, argument)
        return result, peak_bytes()
