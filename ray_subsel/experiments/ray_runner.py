"""Run the missing cells of an experiment as Ray tasks: what one process computes, several at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ray_subsel.config import RuntimeConfig
from ray_subsel.core.errors import invalid
from ray_subsel.experiments.grid import Bases, Cell, Result, Results, file_of, write_cell, written_cell
from ray_subsel.experiments.runner import Bench, Setup, draws_of, measure_draw
from ray_subsel.runtime.progress import log_line
from ray_subsel.runtime.ray_session import RaySession
from ray_subsel.runtime.tasks import TaskSpec, run_tasks
from ray_subsel.storage.run_directory import RunDir


@dataclass(frozen=True)
class Spread:
    """How an experiment is spread.

    Attributes
    ----------
    address : str
        Of Ray, as :class:`ray_subsel.config.RuntimeConfig` has it.
    workers : int or None
        Tasks at a time; None: as many as the CPUs carry.
    threads : int
        CPUs of a task, and threads of its encoder.
    """

    address: str = "auto"
    workers: int | None = None
    threads: int = 1

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise invalid("workers", "be at least 1", self.workers)


def tasks_of(missing: Sequence[Cell]) -> list[list[Cell]]:
    """Return the cells by task, in the order in which they are worth having.

    A draw of the probe is one task: its cells share the sample's vectors and rankings. A fine-tuning, which takes
    minutes where those take seconds, is a task of its own.
    """
    return [
        part
        for draw in draws_of(missing)
        for part in ([[cell] for cell in draw] if draw[0].via == "finetune" else [draw])
    ]


def spread_cells(
    setup: Setup, cells: list[Cell], results: Results, spread: Spread, after_task: Callable[[], None]
) -> int:
    """Compute the missing cells in Ray tasks and return how many that were.

    Parameters
    ----------
    setup : Setup
    cells : list of Cell
    results : Results
        Its directory must be seen by all nodes. Each task writes cell after cell into it; a task that is tried again
        after its worker was lost goes on from there.
    spread : Spread
    after_task : callable
        Called after each task, when its cells are on disk.

    Raises
    ------
    InputError
        When a task wants more CPUs than this machine has, and whatever a cell raises; the other tasks are then
        cancelled.

    Notes
    -----
    The figures are those of :func:`ray_subsel.experiments.runner.run_cells`; only seconds differ, since tasks on one
    machine slow each other down.
    """
    missing = [cell for cell in cells if cell not in results]
    log_line(f"experiment: {len(cells):,} cells, {len(cells) - len(missing):,} done")
    if not missing:
        return 0
    with RaySession(RuntimeConfig(out=results.run.uri, address=spread.address)) as session:
        resources = session.start()
        if resources.local and spread.threads > resources.cpus:
            raise invalid("threads", f"be at most the {resources.cpus:g} CPUs that Ray has", spread.threads)
        at_a_time = spread.workers or max(1, int(resources.cpus // spread.threads))
        # once, before all tasks: they read the original texts' vectors from the directory
        Bench(setup, results.run, threads=spread.threads).prepare(missing)
        _gather(setup, cells, missing, results, spread.threads, at_a_time, after_task)
    return len(missing)


def _gather(
    setup: Setup, cells: list[Cell], missing: list[Cell], results: Results, threads: int, at_a_time: int,
    after_task: Callable[[], None],
) -> None:  # fmt: skip
    run = RunDir(results.run.local_path() or results.run.uri)  # a relative path means another folder elsewhere
    works = []
    for todo in tasks_of(missing):
        siblings = [cell for cell in cells if cell.draw == todo[0].draw]
        work = TaskSpec(
            file_of(results.bases.of(todo[0]), todo[0]),
            f"measure {todo[0]}",
            f"cell {todo[0]} could not be measured",
            "Use fewer --workers",
        )
        works.append(((results.bases, todo, siblings), work))
    began, done = time.perf_counter(), 0
    shared = (setup, run, threads)
    for _, measured, _ in run_tasks(_measure, shared, works, run, in_process=False, at_a_time=at_a_time, cpus=threads):
        for result in measured:
            results.keep(result)
            done += 1
        took = time.perf_counter() - began
        log_line(f"experiment: {done:,} of {len(missing):,} cells, {took:,.0f} s")
        after_task()


def _measure(setup: Setup, run: RunDir, threads: int, task: tuple[Bases, list[Cell], list[Cell]]) -> list[Result]:
    """Measure cells of one draw, write each, and return all of them."""
    bases, todo, siblings = task
    found = [result for cell in todo if (result := written_cell(run, bases.of(cell), cell)) is not None]
    left = [cell for cell in todo if cell not in {result.cell for result in found}]
    if left:
        bench = Bench(setup, run, threads=threads)
        bench.prepare(left)
        for result in measure_draw(bench, left, siblings):
            write_cell(run, bases.of(result.cell), result)
            found.append(result)
    return found
