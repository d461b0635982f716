"""Train and evaluate a network: one loop for one process and for each of several that work in step."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ray_subsel.config import TrainConfig
from ray_subsel.core.errors import InputError
from ray_subsel.storage.run_directory import RunDir
from ray_subsel.training import checkpoint
from ray_subsel.training.checkpoint import Progressed
from ray_subsel.training.data import Encoded, Int64s, collate, epoch_batches, ordered_batches, share_of
from ray_subsel.training.model import Loaded, autocast, learning_rate, make_optimizer

EVALUATE_AT_ONCE = 64
MAX_NORM = 1.0
"""Gradients longer than this are cut to it, as the Hugging Face Trainer does."""

Progress = Callable[[int, int], None]
"""Called as ``progress(steps done, steps in all)`` after each step."""


@dataclass(frozen=True)
class Team:
    """The place of this process among those that train one model.

    Attributes
    ----------
    rank, world : int
        This process is number ``rank`` of ``world``.
    gather : callable
        Returns the list of what each process passed, in the order of ranks; all must call it.
    wrap : callable
        Makes gradients of a network the mean over the processes.
    """

    rank: int
    world: int
    gather: Callable[[Any], list[Any]]
    wrap: Callable[[Any], Any]


SOLO = Team(0, 1, lambda value: [value], lambda network: network)


@dataclass(frozen=True)
class Place:
    """Where and how a training run computes and keeps its state."""

    run: RunDir
    name: str
    key: str
    device: str
    precision: str


def train(
    loaded: Loaded,
    data: Encoded,
    config: TrainConfig,
    place: Place,
    team: Team = SOLO,
    progress: Progress | None = None,
) -> tuple[Progressed, int]:
    """Train ``loaded.network`` in place, from the newest checkpoint if there is one.

    Parameters
    ----------
    loaded : Loaded
    data : Encoded
    config : TrainConfig
    place : Place
    team : Team
        With w processes each takes every w-th example of a batch; losses are weighted so that the step is that of the
        whole batch whatever w is (dropout draws differ).
    progress : callable, optional

    Returns
    -------
    Progressed
        At the end.
    int
        The number of epochs that were found finished.

    Raises
    ------
    InputError
        When the loss is no longer finite.

    Notes
    -----
    Dropout is seeded by (seed, epoch, rank), so a run that resumes at an epoch's end goes on as if it had not stopped.
    """
    import torch

    network = loaded.network
    wrapped = team.wrap(network)
    optimizer = make_optimizer(network, config)
    found = checkpoint.latest(place.run, place.name, place.key, config.epochs - 1)
    state = found or Progressed(place.key)
    if found is not None:
        checkpoint.restore(place.run, place.name, found, network, optimizer)
    lengths = data.lengths()
    total = config.epochs * -(-data.n // config.train_batch_size)
    network.train()
    for epoch in range(state.epochs, config.epochs):
        started = time.perf_counter()
        torch.manual_seed(_seed(config.train_seed, epoch, team.rank))
        losses = torch.zeros((), device=place.device)
        for batch in epoch_batches(lengths, config.train_batch_size, config.train_seed, epoch):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(config, state.steps, total)
            losses += _step(wrapped, optimizer, data, batch, place, team)
            state = replace(state, steps=state.steps + 1)
            if progress is not None:
                progress(state.steps, total)
        mean = sum(team.gather(float(losses))) / data.n
        _check_finite(mean, epoch, config)
        seconds = state.seconds + time.perf_counter() - started
        state = replace(state, epochs=epoch + 1, seconds=seconds, losses=(*state.losses, mean))
        due = config.checkpoint_every and state.epochs % config.checkpoint_every == 0
        if due and state.epochs < config.epochs and team.rank == 0:
            checkpoint.save(place.run, place.name, state, network, optimizer)
    return state, found.epochs if found is not None else 0


def _seed(*parts: int) -> int:
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _loss(logits: Any, labels: Any, data: Encoded, batch: Int64s) -> Any:
    """Return the sum of the cross entropies of a batch, each times its weight."""
    import torch

    if data.weights is None:
        return torch.nn.functional.cross_entropy(logits, labels, reduction="sum")
    weights = torch.from_numpy(data.weights[batch]).to(logits.device)
    return (torch.nn.functional.cross_entropy(logits, labels, reduction="none") * weights).sum()


def _check_finite(loss: float, epoch: int, config: TrainConfig) -> None:
    if not np.isfinite(loss):
        raise InputError(
            f"lr must be small enough for the loss to stay finite; with lr {config.lr:g} it is {loss} "
            f"in epoch {epoch + 1}. Use a smaller --lr, or --precision fp32."
        )


def _step(network: Any, optimizer: Any, data: Encoded, batch: Int64s, place: Place, team: Team) -> Any:
    """Take one optimizer step; return the sum of this process's losses."""
    import torch

    mine, counts = share_of(batch, team.rank, team.world)
    inputs, labels = collate(data, mine, place.device)
    with autocast(place.precision, place.device):
        logits = network(**inputs).logits
    loss = _loss(logits.float(), labels, data, mine) * float(counts)
    # Processes' gradients are averaged, so each scales its sum to a mean over the whole batch times their number.
    mean: Any = loss * (team.world / len(batch))
    mean.backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), MAX_NORM)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return loss.detach()


@dataclass(frozen=True)
class Evaluated:
    """Predicted class of each test example, shape (n,), the number that is right, and the time it took."""

    predicted: Int64s
    correct: int
    seconds: float


def evaluate(network: Any, data: Encoded, place: Place, team: Team = SOLO) -> Evaluated:
    """Predict every example, batches of like length, split over the team; all processes get the whole answer."""
    import torch

    started = time.perf_counter()
    network.eval()
    mine: list[tuple[Int64s, Int64s]] = []
    with torch.inference_mode():
        for number, batch in enumerate(ordered_batches(data.lengths(), EVALUATE_AT_ONCE)):
            if number % team.world == team.rank:
                inputs, _ = collate(data, batch, place.device)
                with autocast(place.precision, place.device):
                    logits = network(**inputs).logits
                mine.append((batch, logits.float().argmax(dim=-1).cpu().numpy()))
    predicted = np.empty(data.n, dtype=np.int64)
    for part in team.gather(mine):
        for batch, answer in part:
            predicted[batch] = answer
    return Evaluated(predicted, int((predicted == data.labels).sum()), time.perf_counter() - started)
