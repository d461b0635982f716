"""Fine-tune in one process, alone or as one of a team: load, tokenise, train or go on, predict, count."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from ray_subsel.config import TrainConfig, fingerprint_fields
from ray_subsel.core.errors import InputError
from ray_subsel.core.hashing import fingerprint
from ray_subsel.embedders.model_files import model_fingerprint
from ray_subsel.storage.run_directory import RunDir
from ray_subsel.training import checkpoint
from ray_subsel.training.data import UNSEEN, classes_of, encode
from ray_subsel.training.loop import SOLO, Place, Progress, Team, evaluate, train
from ray_subsel.training.model import Loaded, load_trainable, resolve_precision

PREDICTIONS = "predictions.parquet"


@dataclass(frozen=True)
class TrainResult:
    """What fine-tuning gave; every field can be written as JSON.

    Attributes
    ----------
    accuracy : float
        ``correct / n_test``.
    correct, n_train, n_test, n_classes : int
    unseen_labels : tuple of str
        Classes of the test set that the training set lacks; their rows count as wrong.
    seconds_train : float
        Wall time of the training steps, over all interruptions.
    seconds_eval, seconds_prepare : float
        Wall time of the predictions; of loading the model and tokenising.
    steps, epochs : int
    examples_per_second : float
        ``n_train * epochs / seconds_train``.
    loss_curve : tuple of float
        Mean training loss of each epoch.
    resumed_from : int
        Epochs that an earlier, interrupted run had finished.
    model : str
        The encoder's name.
    model_path : str
        The fine-tuned model's folder.
    precision, device : str
    workers, threads : int
        Ray Train workers (0: this process) and CPU threads of each.
    """

    accuracy: float
    correct: int
    n_train: int
    n_test: int
    n_classes: int
    unseen_labels: tuple[str, ...]
    seconds_train: float
    seconds_eval: float
    seconds_prepare: float
    steps: int
    epochs: int
    examples_per_second: float
    loss_curve: tuple[float, ...]
    resumed_from: int
    model: str
    model_path: str
    precision: str
    device: str
    workers: int
    threads: int


def run_training(
    train_table: pa.Table,
    test_table: pa.Table,
    config: TrainConfig,
    task: str,
    model: str,
    run: RunDir,
    name: str,
    *,
    device: str,
    team: Team = SOLO,
    workers: int = 0,
    progress: Progress | None = None,
) -> TrainResult:
    """Do the work of :func:`ray_subsel.training.finetune` in this process, alone or as one of a team."""
    import torch

    started = time.perf_counter()
    classes = classes_of(task, train_table, test_table)
    loaded = _load_together(task, model, classes, config, device, team)
    data = encode(task, train_table, classes, loaded.tokenizer, loaded.max_length)
    test = encode(task, test_table, classes, loaded.tokenizer, loaded.max_length)
    settings = {key: value for key, value in fingerprint_fields(config).items() if key not in ("arms", "test")}
    key = fingerprint([settings, task, model_fingerprint(model), data.digest(), list(classes)])
    place = Place(run, name, key, device, resolve_precision(config.precision, device))
    prepared = time.perf_counter() - started
    state = checkpoint.finished(run, name, key)
    resumed = config.epochs
    if state is not None:
        checkpoint.load_weights(run, f"{name}/model/model.safetensors", loaded.network)
    else:
        stale = checkpoint.latest(run, name, key, config.epochs - 1) is None
        team.gather(None)  # nobody may delete or write before all have looked
        if stale and team.rank == 0:
            checkpoint.clear(run, name)
        team.gather(None)
        state, resumed = train(loaded, data, config, place, team, progress)
        if team.rank == 0:
            checkpoint.save_model(run, name, state, loaded.network, loaded.tokenizer)
    answer = evaluate(loaded.network, test, place, team)
    labels = test_table["label"]
    if team.rank == 0:
        predicted = pa.array([classes[i] for i in answer.predicted], pa.string())
        rows = pa.array(range(test.n), pa.int64())
        run.write_table(f"{name}/{PREDICTIONS}", pa.table({"row": rows, "label": labels, "predicted": predicted}))
    unseen = {label for label, index in zip(labels.to_pylist(), test.labels, strict=True) if index == UNSEEN}
    return TrainResult(
        accuracy=answer.correct / test.n,
        correct=answer.correct,
        n_train=data.n,
        n_test=test.n,
        n_classes=len(classes),
        unseen_labels=tuple(sorted(unseen)),
        seconds_train=state.seconds,
        seconds_eval=answer.seconds,
        seconds_prepare=prepared,
        steps=state.steps,
        epochs=state.epochs,
        examples_per_second=data.n * state.epochs / max(state.seconds, 1e-9),
        loss_curve=state.losses,
        resumed_from=resumed,
        model=model,
        model_path=run.path(f"{name}/model"),
        precision=place.precision,
        device=device,
        workers=workers,
        threads=torch.get_num_threads(),
    )


def _load_together(
    task: str, model: str, classes: Sequence[str], config: TrainConfig, device: str, team: Team
) -> Loaded:
    """Load the model; where one process of the team cannot, all raise, so that none waits for it."""
    loaded, refused = None, ""
    try:
        loaded = load_trainable(task, model, classes, config, device)
    except InputError as error:
        refused = str(error)
    for message in team.gather(refused):
        if message:
            raise InputError(message)
    assert loaded is not None
    return loaded
