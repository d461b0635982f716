from __future__ import annotations

import dataclasses
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from transformers import AutoModelForSequenceClassification

from ray_subsel.config import TrainConfig
from ray_subsel.core.errors import InputError
from ray_subsel.storage.run_directory import RunDir
from ray_subsel.training import TrainResult, finetune

CONFIG = TrainConfig(epochs=4, lr=5e-3, train_batch_size=16, precision="fp32")
Tables = tuple[pa.Table, pa.Table]


def run_finetune(
    tables: Tables, tiny_bert: str, folder: Path, config: TrainConfig = CONFIG, **more: Any
) -> TrainResult:
    settings = {
        "task": "classification",
        "model": tiny_bert,
        "run": RunDir(str(folder)),
        "name": "train/subset",
        **more,
    }
    return finetune(*tables, config, **settings)


@pytest.fixture(scope="module")
def reference(labelled: Tables, tiny_bert: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainResult, Path]:
    folder = tmp_path_factory.mktemp("reference")
    return run_finetune(labelled, tiny_bert, folder), folder


def weights(folder: Path) -> bytes:
    return (folder / "train/subset/model/model.safetensors").read_bytes()


def test_classification_is_learnt(reference: tuple[TrainResult, Path]) -> None:
    result = reference[0]
    assert result.accuracy > 0.9
    assert result.accuracy == result.correct / result.n_test
    assert (result.n_train, result.n_test, result.n_classes, result.steps, result.epochs) == (96, 60, 2, 24, 4)
    assert len(result.loss_curve) == 4
    assert result.loss_curve[-1] < 0.8 * result.loss_curve[0]
    assert result.examples_per_second == pytest.approx(96 * 4 / result.seconds_train)
    assert (result.workers, result.device, result.precision, result.resumed_from) == (0, "cpu", "fp32", 0)
    json.dumps(dataclasses.asdict(result), allow_nan=False)


def test_predictions_are_kept_row_by_row(reference: tuple[TrainResult, Path], labelled: Tables) -> None:
    result, folder = reference
    table = RunDir(str(folder)).read_table("train/subset/predictions.parquet")
    assert table["row"].to_pylist() == list(range(60))
    assert table["label"].to_pylist() == labelled[1]["label"].to_pylist()
    right = sum(a == b for a, b in zip(table["label"].to_pylist(), table["predicted"].to_pylist(), strict=True))
    assert right == result.correct


def test_the_model_is_one_that_transformers_loads_whole(reference: tuple[TrainResult, Path]) -> None:
    result, folder = reference
    model, info = AutoModelForSequenceClassification.from_pretrained(result.model_path, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert model.config.id2label == {0: "animal", 1: "food"}
    names = {path.name for path in Path(result.model_path).iterdir()}
    assert {"model.safetensors", "config.json", "tokenizer.json"} <= names
    assert not list(folder.rglob("*.pt")), "nothing continues from a finished run"


def test_stories_are_learnt(stories: Tables, tiny_bert: str, tmp_path: Path) -> None:
    result = run_finetune(stories, tiny_bert, tmp_path, task="story-cloze")
    assert result.accuracy > 0.9


def test_the_same_seed_gives_the_same_weights_and_another_does_not(
    reference: tuple[TrainResult, Path], labelled: Tables, tiny_bert: str, tmp_path: Path
) -> None:
    result, folder = reference
    torch.manual_seed(123)  # the caller's state must not matter
    expected = torch.rand(1, generator=torch.Generator().manual_seed(123))
    again = run_finetune(labelled, tiny_bert, tmp_path / "a")
    assert torch.rand(1).equal(expected), "nor be changed"
    assert again.loss_curve == result.loss_curve
    assert weights(tmp_path / "a") == weights(folder)
    other = run_finetune(labelled, tiny_bert, tmp_path / "b", dataclasses.replace(CONFIG, train_seed=1))
    assert other.loss_curve != result.loss_curve


class Killed(BaseException):
    """What ends a process in the middle, as far as the loop can see."""


@pytest.mark.fault
@pytest.mark.parametrize("steps", [3, 9, 20])
def test_a_run_that_was_killed_ends_like_one_that_was_not(
    steps: int, reference: tuple[TrainResult, Path], labelled: Tables, tiny_bert: str, tmp_path: Path
) -> None:
    result, folder = reference

    def kill(done: int, total: int) -> None:
        if done == steps:
            raise Killed

    with pytest.raises(Killed):
        run_finetune(labelled, tiny_bert, tmp_path, progress=kill)
    counted: list[tuple[int, int]] = []
    resumed = run_finetune(labelled, tiny_bert, tmp_path, progress=lambda done, total: counted.append((done, total)))
    finished_epochs = (steps - 1) // 6
    assert resumed.resumed_from == finished_epochs
    assert counted == [(step, 24) for step in range(6 * finished_epochs + 1, 25)]
    assert resumed.loss_curve == result.loss_curve
    assert resumed.accuracy == result.accuracy
    assert weights(tmp_path) == weights(folder)


KILLED = """
import os, signal, sys
import pyarrow.parquet as pq
from ray_subsel.config import TrainConfig
from ray_subsel.storage.run_directory import RunDir
from ray_subsel.training import finetune

def kill(done, total):
    if done == 9:
        os.kill(os.getpid(), signal.SIGKILL)

folder, model = sys.argv[1:]
finetune(
    *[pq.read_table(f"{folder}/{part}.parquet") for part in ("train", "test")],
    TrainConfig(epochs=4, lr=5e-3, train_batch_size=16, precision="fp32"),
    task="classification", model=model, run=RunDir(folder), name="train/subset", progress=kill,
)
"""


@pytest.mark.fault
def test_kill_9_in_the_middle_of_an_epoch(
    reference: tuple[TrainResult, Path], labelled: Tables, tiny_bert: str, tmp_path: Path
) -> None:
    result, folder = reference
    for part, table in zip(("train", "test"), labelled, strict=True):
        pq.write_table(table, tmp_path / f"{part}.parquet")
    child = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), tiny_bert], capture_output=True, check=False)
    assert child.returncode == -signal.SIGKILL, child.stderr
    assert not (tmp_path / "train/subset/trained.json").exists()
    finished = tmp_path / "train/subset/checkpoint-1/state.json"
    written = finished.stat().st_mtime_ns
    resumed = run_finetune(labelled, tiny_bert, tmp_path)
    assert resumed.resumed_from == 1
    assert finished.stat().st_mtime_ns == written
    assert (resumed.loss_curve, resumed.accuracy) == (result.loss_curve, result.accuracy)
    assert weights(tmp_path) == weights(folder)


def test_checkpoints_come_as_often_as_asked(labelled: Tables, tiny_bert: str, tmp_path: Path) -> None:
    run_finetune(labelled, tiny_bert, tmp_path / "two", dataclasses.replace(CONFIG, epochs=5, checkpoint_every=2))
    assert sorted(path.name for path in (tmp_path / "two/train/subset").glob("checkpoint-*")) == [
        "checkpoint-2",
        "checkpoint-4",
    ]
    run_finetune(labelled, tiny_bert, tmp_path / "none", dataclasses.replace(CONFIG, epochs=2, checkpoint_every=0))
    assert not list((tmp_path / "none/train/subset").glob("checkpoint-*"))
    assert weights(tmp_path / "none")


def test_a_finished_run_is_only_measured_again(
    reference: tuple[TrainResult, Path], labelled: Tables, tiny_bert: str
) -> None:
    result, folder = reference
    steps: list[int] = []
    again = run_finetune(labelled, tiny_bert, folder, progress=lambda done, total: steps.append(done))
    assert not steps
    assert again.resumed_from == 4
    assert (again.accuracy, again.loss_curve, again.seconds_train) == (
        result.accuracy,
        result.loss_curve,
        result.seconds_train,
    )


def test_other_settings_or_data_do_not_take_up_old_state(labelled: Tables, tiny_bert: str, tmp_path: Path) -> None:
    short = dataclasses.replace(CONFIG, epochs=2)
    first = run_finetune(labelled, tiny_bert, tmp_path, short)
    faster = run_finetune(labelled, tiny_bert, tmp_path, dataclasses.replace(short, lr=1e-3))
    assert faster.resumed_from == 0
    assert faster.loss_curve != first.loss_curve
    fewer = run_finetune((labelled[0].slice(0, 64), labelled[1]), tiny_bert, tmp_path, short)
    assert (fewer.resumed_from, fewer.n_train) == (0, 64)


def test_a_damaged_checkpoint_is_named(labelled: Tables, tiny_bert: str, tmp_path: Path) -> None:
    def kill(done: int, total: int) -> None:
        if done == 8:
            raise Killed

    with pytest.raises(Killed):
        run_finetune(labelled, tiny_bert, tmp_path, progress=kill)
    (tmp_path / "train/subset/checkpoint-1/optimizer.pt").write_bytes(b"PK\x03\x04 half a file")
    with pytest.raises(InputError, match=r"checkpoint-1/optimizer.pt must be a whole checkpoint file"):
        run_finetune(labelled, tiny_bert, tmp_path)


def test_a_finished_model_that_went_missing_is_named(labelled: Tables, tiny_bert: str, tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, epochs=1)
    run_finetune(labelled, tiny_bert, tmp_path, config)
    (tmp_path / "train/subset/model/model.safetensors").unlink()
    with pytest.raises(InputError, match=r"model.safetensors must be a whole checkpoint file; it is missing"):
        run_finetune(labelled, tiny_bert, tmp_path, config)


def test_bf16_learns_as_well(labelled: Tables, tiny_bert: str, tmp_path: Path) -> None:
    result = run_finetune(labelled, tiny_bert, tmp_path, dataclasses.replace(CONFIG, precision="bf16"))
    assert result.precision == "bf16"
    assert result.accuracy > 0.9


def test_classes_that_training_never_saw_are_wrong_and_reported(
    labelled: Tables, tiny_bert: str, tmp_path: Path
) -> None:
    train, test = labelled
    strange = pa.table({"text": ["the sun", "old sea"], "label": ["place", "place"]})
    result = run_finetune((train, pa.concat_tables([test, strange])), tiny_bert, tmp_path)
    assert result.unseen_labels == ("place",)
    assert (result.n_test, result.n_classes) == (62, 2)
    assert result.correct <= 60


def test_a_rate_that_diverges_is_said_in_one_line(labelled: Tables, tiny_bert: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="lr must be small enough for the loss to stay finite"):
        run_finetune(labelled, tiny_bert, tmp_path, dataclasses.replace(CONFIG, lr=1e38, schedule="constant"))


def test_bad_calls_name_what_is_wrong(labelled: Tables, tiny_bert: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="workers must be at least 0; got -1"):
        run_finetune(labelled, tiny_bert, tmp_path, workers=-1)
    with pytest.raises(InputError, match="no such folder"):
        run_finetune(labelled, "./nowhere", tmp_path)
    with pytest.raises(InputError, match="label must take at least two values"):
        run_finetune((labelled[0].slice(0, 1), labelled[1]), tiny_bert, tmp_path)


def test_rows_of_no_weight_teach_nothing(labelled: Tables, tiny_bert: str, tmp_path: Path) -> None:
    train, test = labelled
    other = {"food": "animal", "animal": "food"}
    wrong = pa.table({"text": train["text"], "label": [other[label] for label in train["label"].to_pylist()]})
    both = pa.concat_tables([train, wrong])
    weights = pa.array([2] * train.num_rows + [0] * wrong.num_rows)
    weighed = run_finetune((both.append_column("weight", weights), test), tiny_bert, tmp_path / "weighed")
    assert weighed.accuracy > 0.9
    level = run_finetune((both, test), tiny_bert, tmp_path / "level")
    assert level.accuracy < weighed.accuracy


@pytest.mark.parametrize("weights", [[-1.0], [0.0], [float("nan")]])
def test_weights_that_weigh_nothing_are_refused(
    weights: list[float], labelled: Tables, tiny_bert: str, tmp_path: Path
) -> None:
    train, test = labelled
    given = train.append_column("weight", pa.array(weights * train.num_rows))
    with pytest.raises(InputError, match="weight must be numbers >= 0, and not all 0"):
        run_finetune((given, test), tiny_bert, tmp_path)
