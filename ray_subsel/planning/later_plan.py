"""Plan work on a run that is there, whose rows are counted: fine-tuning on what it chose, and bringing it up to date.

Letters: n items, d dimension, k to have chosen.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from ray_subsel.config import RunConfig
from ray_subsel.core.numeric import counted
from ray_subsel.corpus.ingest_plan import plan_ingest
from ray_subsel.corpus.other_sets import test_corpus
from ray_subsel.planning.counting import COUNTED_BYTES, count_corpus
from ray_subsel.planning.machine import Machine
from ray_subsel.planning.memory_model import BASE, DRIVER
from ray_subsel.planning.policy import DEFAULT_POLICY, Policy
from ray_subsel.planning.run_plan import plan_run, time_line
from ray_subsel.planning.speed import slowness
from ray_subsel.planning.stage_memory import check_stages, map_bytes, stage_memory_line
from ray_subsel.planning.stage_seconds import AROUND, PRODUCTS, map_seconds, ray_seconds, training_seconds

BYTES_A_NUMBER = 12
"""Of the items' vectors in an update: as they are read, once more while they are joined, and what is represented."""
REPRESENTED = 16_384
"""Items at most that exchanges are measured on, and that room is filled from."""


@dataclass(frozen=True)
class LaterPlan:
    """What is known of work on a run that is there.

    Attributes
    ----------
    about : tuple of str
        What it works on, a line each.
    seconds : dict of str to float
        Predicted seconds of each stage, and of what is around them.
    stages : dict of str to int
        Predicted bytes of the largest process of each stage, where they are known.
    slow : float
        How many times as long as on the machine of reference work takes here and now; in ``seconds`` already.
    """

    about: tuple[str, ...]
    seconds: dict[str, float]
    stages: dict[str, int]
    slow: float

    sizes: None = None
    """No selection is divided."""

    def as_json(self) -> dict[str, Any]:
        """Return what a run's plan has of it too."""
        return {name: getattr(self, name) for name in ("seconds", "stages", "slow")}

    def lines(self) -> list[str]:
        """Return the plan as it is printed."""
        memory = [stage_memory_line(self.stages)] if self.stages else []
        return [*self.about, *memory, time_line(self.seconds)]


def plan_training(
    config: RunConfig,
    machine: Machine,
    *,
    rows: Sequence[int],
    characters: float,
    policy: Policy = DEFAULT_POLICY,
    done: Collection[str] = (),
    slow: float | None = None,
) -> LaterPlan:
    """Plan fine-tuning.

    Parameters
    ----------
    config : RunConfig
        With ``train``.
    machine : Machine
    rows : sequence of int
        Those that each arm which is not done trains on.
    characters : float
        Of a row's text on average.
    policy : Policy
    done : collection of str
        Stages that have nothing left to do, of which training is none: arms are done one by one.
    slow : float, optional
        By default measured.
    """
    del policy, done
    train, workers = config.train, config.runtime.train_workers
    assert train is not None
    slow = slowness() if slow is None else slow
    tested = count_corpus(plan_ingest(test_corpus(config.corpus, train)), COUNTED_BYTES)
    training = training_seconds(
        config.embed, train, rows=rows, test_rows=tested.rows, characters=characters, workers=workers
    )
    seconds = ray_seconds(workers > 0 and not machine.ray_runs) | {"train": training, AROUND: 0.5}
    arms, epochs = counted(len(rows), "training set"), counted(train.epochs, "epoch")
    about = f"train     {arms} of {sum(rows):,} rows together, {epochs}; {tested.rows:,} test rows"
    return LaterPlan((about,), {name: one * slow for name, one in seconds.items()}, {}, slow)


@dataclass(frozen=True)
class Growing:
    """What an update works on.

    Attributes
    ----------
    n : int
        Items that there are, without new ones.
    d : int
    chosen, k : int
        Items chosen before, and to have chosen.
    rows : int
        That were read before.
    near : bool
        Whether near copies are collapsed.
    """

    n: int
    d: int
    chosen: int
    k: int
    rows: int
    near: bool


def plan_update(
    config: RunConfig,
    machine: Machine,
    *,
    there: Growing,
    policy: Policy = DEFAULT_POLICY,
    done: Collection[str] = (),
    slow: float | None = None,
) -> LaterPlan:
    """Plan an update.

    Parameters
    ----------
    config : RunConfig
        Its corpus are the new rows; without files there are none. Nothing is selected by it.
    machine : Machine
    there : Growing
    policy : Policy
    done : collection of str
        Stages of the update that have nothing left to do.
    slow : float, optional
        By default measured.
    """
    slow = slowness() if slow is None else slow
    new, seconds, memory = 0, {AROUND: 0.5 * slow}, {}
    about = [f"rows      {there.rows:,} were read before"]
    if config.corpus.data:
        brought = plan_run(config, machine, policy=policy, slow=slow, done=done)
        new, seconds, memory = brought.rows, dict(brought.seconds), dict(brought.stages)
        about = [f"rows      {'' if brought.exact else 'some '}{new:,} new ones, {there.rows:,} were read before"]
        about += [] if brought.embedding is None else [brought.embedding.line()]
    n, d = there.n + new, there.d
    around = seconds.pop(AROUND)
    if new:
        pairs = new * (there.n + new / 2) * d / PRODUCTS if there.near else 0.0
        seconds["join"] = slow * (0.1 + 1e-8 * n * d + 2e-5 * new + pairs)
    represented = min(n, REPRESENTED)
    fill = represented * represented * d / PRODUCTS if there.k > there.chosen else 0.0
    exchanges = 2.0 * represented * (there.k + min(new, represented)) * d / PRODUCTS
    compared = new * there.k * d / PRODUCTS
    seconds["renew"] = slow * (0.3 + 2e-8 * n * d + 5e-6 * (there.rows + new) + fill + exchanges + compared)
    seconds["map"] = slow * map_seconds(n)
    memory |= {name: BASE + BYTES_A_NUMBER * n * d for name in ("join", "renew") if name in seconds}
    memory["map"] = BASE + DRIVER + map_bytes(n, d)
    memory = {name: one for name, one in memory.items() if name in seconds and name not in done}
    check_stages(memory, machine)
    left = {name: one for name, one in seconds.items() if name not in done} | {AROUND: around}
    about.append(f"plan      {there.k:,} of at most {n:,} items, {d} dimensions; {there.chosen:,} are chosen")
    return LaterPlan(tuple(about), left, memory, slow)


def mean_characters(texts: Sequence[str | None]) -> float:
    """Return how long texts are on average; 0 of none."""
    return sum(len(text or "") for text in texts) / len(texts) if texts else 0.0
