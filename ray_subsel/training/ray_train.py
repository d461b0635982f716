"""Fine-tune on Ray Train workers: the same loop, gradients averaged by DistributedDataParallel.

State lies in the run directory, not in Ray Train's own checkpoints: whichever worker restarts finds the last finished
epoch there, and a run in one process can go on from what workers left, and the other way round.
"""

from __future__ import annotations

import dataclasses
import uuid
from typing import Any

import pyarrow as pa

from ray_subsel.config import TrainConfig, fingerprint_fields
from ray_subsel.core.daemon_thread import in_daemon_thread
from ray_subsel.core.errors import InputError
from ray_subsel.core.hashing import fingerprint
from ray_subsel.runtime.tasks import TaskSpec
from ray_subsel.storage.run_directory import RunDir
from ray_subsel.training.loop import Team
from ray_subsel.training.worker import TrainResult, run_training

MAX_FAILURES = 3


def finetune_on_workers(
    train_table: pa.Table,
    test_table: pa.Table,
    config: TrainConfig,
    task: str,
    model: str,
    run: RunDir,
    name: str,
    workers: int,
    use_gpu: bool,
    *,
    max_failures: int = MAX_FAILURES,
) -> TrainResult:
    """Do the work of :func:`ray_subsel.training.finetune` on ``workers`` Ray Train workers.

    A lost worker's group is started again ``max_failures`` times.

    Raises
    ------
    InputError
        What a worker could not use, or why training could not end.
    """
    from ray.train import FailureConfig, RunConfig, ScalingConfig, TrainingFailedError
    from ray.train.torch import TorchTrainer

    for part, table in (("train", train_table), ("test", test_table)):
        run.write_table(f"{name}/data/{part}.parquet", table)
    run.delete(f"{name}/outcome.json")
    # Ray Train silently takes up an older run of the same name, so each attempt has its own; resuming is ours.
    attempt = f"{fingerprint([fingerprint_fields(config), task, model])}-{uuid.uuid4().hex[:8]}"
    trainer = TorchTrainer(
        _work,
        train_loop_config={"config": config, "task": task, "model": model, "run": run, "name": name},
        scaling_config=ScalingConfig(num_workers=workers, use_gpu=use_gpu),
        run_config=RunConfig(
            name=attempt,
            storage_path=run.path(f"{name}/ray"),
            storage_filesystem=run.filesystem,
            failure_config=FailureConfig(max_failures=max_failures),
        ),
    )
    try:
        in_daemon_thread(trainer.fit).result()  # in the main thread it would take SIGINT for itself
    except TrainingFailedError as error:
        if not _lost_a_worker(error):
            raise
        hint = "Give the workers more memory or use fewer --train-workers"
        failed = f"{run.path(name)} could not be trained"
        raise TaskSpec(f"{name}/outcome.json", f"train {name}", failed, hint).given_up(
            f"{max_failures + 1} times"
        ) from error
    if not run.exists(f"{name}/outcome.json"):
        raise InputError(
            f"out must be storage that all nodes share when training on {workers} workers; "
            f"{run.path(name)} is not what the workers wrote to. Use a shared path or --train-workers 0."
        )
    outcome = run.read_json(f"{name}/outcome.json")
    if "refused" in outcome:
        raise InputError(outcome["refused"])
    for leftover in ("data", "ray", "outcome.json"):
        run.delete(f"{name}/{leftover}")
    result = outcome["result"]
    tuples = {field: tuple(result[field]) for field in ("unseen_labels", "loss_curve")}
    return TrainResult(**{**result, **tuples})


def _lost_a_worker(error: Exception) -> bool:
    """Tell whether training ended because a worker was lost, and not over what one of them raised."""
    from ray.exceptions import RayActorError

    failures = getattr(error, "worker_failures", {}).values()
    return any(isinstance(getattr(failure, "health_check_failure", failure), RayActorError) for failure in failures)


def _work(job: dict[str, Any]) -> None:
    """Train as one worker of the group; rank 0 leaves the outcome in the run directory."""
    from ray import train

    context = train.get_context()
    rank, world = context.get_world_rank(), context.get_world_size()
    run, name = job["run"], job["name"]
    outcome: dict[str, Any] = {}
    try:
        result = _run_training(job, Team(rank, world, _gather(world), _wrap))
        outcome["result"] = dataclasses.asdict(result)
    except InputError as error:
        # Trying again would not help: end in order, and let the driver say it.
        outcome["refused"] = str(error)
    if rank == 0:
        run.write_json(f"{name}/outcome.json", outcome)
    train.report({"accuracy": outcome["result"]["accuracy"]} if "result" in outcome else {"refused": 1.0})


def _run_training(job: dict[str, Any], team: Team) -> TrainResult:
    from ray.train.torch import get_device

    run, name = job["run"], job["name"]
    return run_training(
        run.read_table(f"{name}/data/train.parquet"),
        run.read_table(f"{name}/data/test.parquet"),
        job["config"],
        job["task"],
        job["model"],
        run,
        name,
        device=str(get_device()),
        team=team,
        workers=team.world,
    )


def _wrap(network: Any) -> Any:
    from ray.train.torch import prepare_model

    # Heads of some models leave parts of the encoder (a pooler) without gradient.
    return prepare_model(network, parallel_strategy_kwargs={"find_unused_parameters": True})


def _gather(world: int) -> Any:
    def gather(value: Any) -> list[Any]:
        if world == 1:
            return [value]
        import torch.distributed

        values: list[Any] = [None] * world
        torch.distributed.all_gather_object(values, value)
        return values

    return gather
