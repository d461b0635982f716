from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from ray_subsel.config import TrainConfig
from ray_subsel.core.errors import InputError
from ray_subsel.storage.run_directory import RunDir
from ray_subsel.training import finetune
from ray_subsel.training.ray_train import finetune_on_workers

Tables = tuple[pa.Table, pa.Table]
CONFIG = TrainConfig(epochs=4, lr=5e-3, train_batch_size=15, precision="fp32")


@pytest.mark.usefixtures("ray_session")
def test_two_workers_learn_what_one_process_learns(labelled: Tables, tiny_bert: str, tmp_path: Path) -> None:
    """96 rows in batches of 15 over 2 workers: uneven shares, and a last batch of 6."""
    run = RunDir(str(tmp_path))

    def fit(workers: int, name: str):
        return finetune(*labelled, CONFIG, task="classification", model=tiny_bert, run=run, name=name, workers=workers)

    alone, together = fit(0, "train/alone"), fit(2, "train/together")
    assert (together.workers, together.n_train, together.n_test, together.steps) == (2, 96, 60, alone.steps)
    assert together.accuracy > 0.9
    # The same batches, the same head, the mean over the same examples: only dropout differs.
    assert together.loss_curve == pytest.approx(alone.loss_curve, rel=0.2)
    folder = tmp_path / "train/together"
    assert {path.name for path in folder.iterdir()} == {
        "checkpoint-1",
        "checkpoint-2",
        "checkpoint-3",
        "model",
        "predictions.parquet",
        "trained.json",
    }
    again = fit(0, "train/together")  # one process takes up what workers have finished
    assert again.resumed_from == 4
    assert again.accuracy == together.accuracy


@pytest.mark.usefixtures("ray_session")
@pytest.mark.slow
def test_what_a_worker_cannot_use_reaches_the_caller(labelled: Tables, tiny_bert: str, tmp_path: Path) -> None:
    config = TrainConfig(epochs=1, lr=1e38, schedule="constant", precision="fp32", train_batch_size=16)
    with pytest.raises(InputError, match="lr must be small enough"):
        finetune(
            *labelled,
            config,
            task="classification",
            model=tiny_bert,
            run=RunDir(str(tmp_path)),
            name="train/bad",
            workers=1,
        )


def killed_after_an_epoch(deaths: Path, times: int) -> Callable[[str, str], None]:
    """Return a watch that kills a worker as soon as it has kept an epoch, so many times."""
    deaths.mkdir()
    driver = os.getpid()

    def watch(event: str, name: str) -> None:
        kept = event == "written" and "/checkpoint-" in name and name.endswith("/state.json")
        if kept and os.getpid() != driver and len(list(deaths.iterdir())) < times:
            (deaths / str(os.getpid())).touch()
            os.kill(os.getpid(), signal.SIGKILL)

    return watch


@pytest.mark.fault
@pytest.mark.usefixtures("ray_session")
@pytest.mark.slow
def test_a_training_worker_that_is_killed_is_replaced(labelled: Tables, tiny_bert: str, tmp_path: Path) -> None:
    def fit(name: str, watch: Callable[[str, str], None] | None = None):
        run = RunDir(str(tmp_path), watch)
        return finetune(*labelled, CONFIG, task="classification", model=tiny_bert, run=run, name=name, workers=1)

    calm = fit("calm")
    hit = fit("hit", killed_after_an_epoch(tmp_path / "deaths", 1))
    assert len(list((tmp_path / "deaths").iterdir())) == 1
    assert hit.resumed_from == 1
    assert (hit.loss_curve, hit.accuracy) == (calm.loss_curve, calm.accuracy)


@pytest.mark.fault
@pytest.mark.usefixtures("ray_session")
@pytest.mark.slow
def test_a_training_worker_that_always_dies_is_one_line(labelled: Tables, tiny_bert: str, tmp_path: Path) -> None:
    run = RunDir(str(tmp_path), killed_after_an_epoch(tmp_path / "deaths", 99))
    with pytest.raises(
        InputError, match=r"train/doomed could not be trained: its worker died again and again \(2 times"
    ):
        finetune_on_workers(
            *labelled, CONFIG, "classification", tiny_bert, run, "train/doomed", 1, use_gpu=False, max_failures=1
        )
    assert len(list((tmp_path / "deaths").iterdir())) == 2
