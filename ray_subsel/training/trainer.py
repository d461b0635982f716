"""Fine-tune an encoder on a table and measure it on another: one call, in this process or on Ray Train workers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

from ray_subsel.config import TrainConfig
from ray_subsel.core.errors import invalid
from ray_subsel.embedders.model_files import model_fingerprint
from ray_subsel.storage.run_directory import RunDir
from ray_subsel.training.data import classes_of
from ray_subsel.training.loop import Progress
from ray_subsel.training.ray_train import finetune_on_workers
from ray_subsel.training.worker import TrainResult, run_training


def finetune(
    train_table: pa.Table,
    test_table: pa.Table,
    config: TrainConfig,
    *,
    task: str,
    model: str,
    run: RunDir,
    name: str,
    workers: int = 0,
    use_gpu: bool = False,
    progress: Progress | None = None,
) -> TrainResult:
    """Fine-tune ``model`` on ``train_table`` and return its accuracy on ``test_table``.

    Parameters
    ----------
    train_table, test_table : pyarrow.Table
        Columns ``context, ending1, ending2, ..., label`` ("1", "2", ...) for questions; ``text, label`` for
        ``classification``. Other columns are not read.
    config : TrainConfig
    task : str
        ``story-cloze`` or ``multiple-choice``, or ``classification``.
    model : str
        ``minilm``, a hub name or a local folder.
    run : RunDir
        Checkpoints, the model and ``predictions.parquet`` (row, label, predicted) go under ``name`` of it. With
        workers on several machines it must be on storage that all of them share.
    name : str
    workers : int
        Ray Train workers; 0 trains in this process, with the CPU threads that torch has been given.
    use_gpu : bool
        Train on a GPU (one a worker).
    progress : callable, optional
        ``progress(steps done, steps in all)``; in this process only, Ray Train workers do not call it.

    Returns
    -------
    TrainResult

    Raises
    ------
    InputError
        For tables that cannot be trained on, a model that cannot be had, or a loss that diverges.

    Notes
    -----
    Called again after an interruption it goes on after the last checkpoint and gives what an uninterrupted run gives;
    a checkpoint made with other data, settings or weights is deleted.
    """
    if workers < 0:
        raise invalid("workers", "be at least 0", workers)
    classes_of(task, train_table, test_table)
    model_fingerprint(model)  # before any worker starts: a model that cannot be had should fail at once
    if workers == 0:
        with _own_random_state():
            device = "cuda" if use_gpu else "cpu"
            return run_training(
                train_table, test_table, config, task, model, run, name, device=device, progress=progress
            )
    return finetune_on_workers(train_table, test_table, config, task, model, run, name, workers, use_gpu)


@contextmanager
def _own_random_state() -> Iterator[None]:
    """Give the caller its torch random numbers back after training has seeded them."""
    import torch

    with torch.random.fork_rng():
        yield
