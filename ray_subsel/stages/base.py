"""Run the stages of a run: what each of them is asked, and the protocol that is common to all.

A stage reads what the stages before it left, calls the mathematics and writes its outputs. :func:`run_stage` does what
is the same for all: compare its settings with the manifest, take finished outputs as they are, start Ray where it is
needed, measure time and memory, record facts. A new stage is a subclass of :class:`Stage` and a place in the list of
:mod:`ray_subsel.pipeline`.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar

from ray_subsel.config import RunConfig, SelectConfig
from ray_subsel.corpus.rows import RowStore
from ray_subsel.planning.machine import Machine, machine_of
from ray_subsel.planning.policy import DEFAULT_POLICY, Policy
from ray_subsel.planning.selection_plan import SelectionPlan, plan_sizes, planned_k
from ray_subsel.runtime.peak_memory import PeakMemory
from ray_subsel.runtime.progress import log_line
from ray_subsel.runtime.ray_session import RaySession
from ray_subsel.storage.embedding_store import ShardMeta
from ray_subsel.storage.manifest import Manifest
from ray_subsel.storage.run_directory import RunDir


@dataclass
class RunContext:
    """What the stages of one run share.

    Attributes
    ----------
    config : RunConfig
    manifest : Manifest
    session : RaySession
    policy : Policy
    rows : RowStore or None
        The corpus, once that stage has been run or found.
    shards : list of ShardMeta
        Of the ground set that is selected from: the embeddings, or the leaders of near copies.
    """

    config: RunConfig
    manifest: Manifest
    session: RaySession
    policy: Policy = DEFAULT_POLICY
    rows: RowStore | None = None
    shards: list[ShardMeta] = field(default_factory=list)

    @property
    def directory(self) -> RunDir:
        """The run directory."""
        return self.manifest.run

    @property
    def corpus(self) -> RowStore:
        """The rows of the corpus, which must be there."""
        assert self.rows is not None
        return self.rows

    def fingerprint(self, stage: str) -> str:
        """Return the fingerprint of a stage before."""
        return self.manifest.stages[stage].fingerprint

    def machine(self) -> Machine:
        """Return what the processes of the run may use."""
        return machine_of(self.session.resources, self.config.runtime.memory_limit)

    def sizes(self, config: SelectConfig, *, n: int, d: int, k: int) -> SelectionPlan:
        """Return partitions, candidates and memory of a selection of ``k`` from ``n`` items of ``d`` dimensions."""
        copies = self.config.corpus.copies == "keep"
        return plan_sizes(config, self.machine(), n=n, d=d, k=planned_k(config, k), copies=copies, policy=self.policy)


class Stage(ABC):
    """One stage of a run.

    Attributes
    ----------
    name : str
        Its key in the manifest.
    outputs : tuple of str
        Files and folders of the run directory that it writes.
    reports_peak : bool
        Whether the largest memory of its processes is measured and reported.
    config : RunConfig
    """

    name: ClassVar[str]
    outputs: ClassVar[tuple[str, ...]]
    reports_peak: ClassVar[bool] = True

    def __init__(self, config: RunConfig) -> None:
        self.config = config

    def is_wanted(self) -> bool:
        """Tell whether the configuration asks for the stage."""
        return True

    def is_left_out(self) -> bool:
        """Tell whether the stages after it are to do without what it wrote; that is then deleted."""
        return False

    def check(self) -> None:  # noqa: B027 - most stages have nothing to check
        """Look at input and settings before anything is written.

        Raises
        ------
        InputError
            For whatever would stop the stage later.
        """

    @abstractmethod
    def settings(self, context: RunContext) -> dict[str, Any]:
        """Return what decides the result: fields of the configuration, fingerprints of input and of stages before."""

    def is_complete(self, context: RunContext) -> bool:
        """Tell whether a stage that is recorded as done still has its outputs."""
        return True

    def needs_ray(self, context: RunContext) -> bool:
        """Tell whether Ray is to be started."""
        return True

    @abstractmethod
    def run(self, context: RunContext, peak: PeakMemory) -> dict[str, Any]:
        """Make the outputs that are missing and return what the report says of the stage."""

    def load(self, context: RunContext) -> None:  # noqa: B027 - not every stage hands something on
        """Put what was made by an earlier run into the context."""

    def clean_up(self, context: RunContext) -> None:  # noqa: B027 - not every stage has scratch files
        """Delete scratch files of a finished stage."""

    @abstractmethod
    def describe(self, facts: dict[str, Any], seconds: float) -> str:
        """Return the line about a stage that has just finished."""


def run_stage(stage: Stage, context: RunContext) -> None:
    """Run a stage, unless an earlier run has finished it with the same settings.

    Raises
    ------
    InputError
        Where the run directory holds the stage with other settings, and whatever the stage raises.
    """
    manifest, overwrite = context.manifest, context.config.runtime.overwrite
    if stage.is_left_out():
        manifest.leave_out(stage.name, overwrite=overwrite)
    if not stage.is_wanted():
        return
    record = manifest.enter(stage.name, stage.settings(context), overwrite=overwrite)
    if record.done and stage.is_complete(context):
        stage.clean_up(context)  # left where a run was killed right after it recorded the stage
        stage.load(context)
        log_line(f"{stage.name}: as before")
        return
    if stage.needs_ray(context):
        context.session.start()
    began, peak = time.perf_counter(), PeakMemory()
    facts = stage.run(context, peak)
    seconds = time.perf_counter() - began
    if stage.reports_peak:
        facts = {**facts, "peak_bytes": peak.end()}
    manifest.finish(stage.name, seconds=seconds, facts=facts)
    stage.clean_up(context)
    log_line(f"{stage.name}: {stage.describe(facts, seconds)}")
