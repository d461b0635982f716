"""Define the contract of a stage of a run, and the one protocol by which every stage is entered, resumed and finished.

A new stage is a module here with a :class:`Stage`, and its place in the list of :mod:`ray_subsel.pipeline`.
"""

from __future__ import annotations

import abc
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

from ray_subsel.config import RunConfig
from ray_subsel.planning.machine import Machine, machine_of
from ray_subsel.planning.policy import Policy
from ray_subsel.runtime.metrics import BYTES_WRITTEN, PEAK_BYTES, STAGE_SECONDS, record
from ray_subsel.runtime.peak_memory import PeakMemory
from ray_subsel.runtime.progress import log_line
from ray_subsel.runtime.ray_session import RaySession
from ray_subsel.stages.plan_once import PlanOnce
from ray_subsel.storage.manifest import Manifest
from ray_subsel.storage.run_directory import RunDir

T = TypeVar("T")


@dataclass(frozen=True)
class RunContext:
    """What every stage of a run is given.

    Attributes
    ----------
    config : RunConfig
    manifest : Manifest
    session : RaySession
        Ray is started where work is not for this process.
    policy : Policy
    plan : PlanOnce or None
        What tells the plan; None: nothing is told.
    """

    config: RunConfig
    manifest: Manifest
    session: RaySession
    policy: Policy
    plan: PlanOnce | None = None

    @property
    def run(self) -> RunDir:
        """The run directory."""
        return self.manifest.run

    @property
    def machine(self) -> Machine:
        """What there is to run on: a Ray where one runs already, else this machine, on which one may be started."""
        return machine_of(self.session.there, self.config.runtime.memory_limit)

    def in_process(self, small: bool) -> bool:
        """Return ``small``: whether to work in this process; where not, Ray runs from now on. All stages ask here."""
        if not small:
            self.session.start()
        return small

    def reads_here(self, input_bytes: int) -> bool:
        """Tell whether input files of some size together are read in this process."""
        return self.in_process(input_bytes <= self.policy.in_process_bytes)

    def tell_plan(self) -> None:
        """Say what the run will take, unless it was said."""
        if self.plan is not None:
            self.plan.tell(self.config, self.machine, self.policy, self.manifest)

    def fingerprint(self, stage: str) -> str:
        """Return the fingerprint of a stage that this run has entered."""
        return self.manifest.stages[stage].fingerprint


@dataclass(frozen=True)
class StageResult(Generic[T]):
    """What a stage has done.

    Attributes
    ----------
    value : object
        For the stages after it.
    facts : dict
        For the report, ready for JSON.
    line : str
        For the terminal; empty: nothing is told.
    """

    value: T
    facts: dict[str, Any] = field(default_factory=dict)
    line: str = ""


class Stage(abc.ABC, Generic[T]):
    """A stage of a run. Subclasses are final frozen dataclasses that hold what earlier stages handed down."""

    name: ClassVar[str]
    outputs: ClassVar[tuple[str, ...]]
    """Files and folders that it writes: what is deleted when it is done anew."""

    @abc.abstractmethod
    def settings(self, context: RunContext) -> dict[str, Any]:
        """Return what decides the result, ready for JSON: fields of the configuration, fingerprints of the input."""

    @abc.abstractmethod
    def resume(self, context: RunContext) -> T | None:
        """Return the result of a stage that was finished, or None where an output is gone: it is then run again."""

    @abc.abstractmethod
    def run(self, context: RunContext, peak: PeakMemory) -> StageResult[T]:
        """Do what is missing, and tell ``peak`` how much memory other processes took."""

    def mend(self, context: RunContext, lost: Sequence[str]) -> None:
        """Delete what must be made again where some files of a finished stage are not what it wrote: all of it."""
        del lost
        for name in self.outputs:
            context.run.delete(name)

    def tidy(self, context: RunContext) -> None:
        """Delete what only a killed stage would have needed; called once it is finished, and when it is resumed."""
        del context


def run_stage(stage: Stage[T], context: RunContext, leave_out: Sequence[str] = ()) -> T:
    """Return the result of a stage: as it stands if it is done, else after running it.

    Parameters
    ----------
    leave_out : sequence of str
        Stages that this run goes without, though an earlier one may not have: what they left is deleted once it is sure
        that this stage may be entered.

    Raises
    ------
    InputError
        Where the directory holds this stage of other settings and they may not be replaced, and for what it raises.
    """
    manifest = context.manifest
    entry = manifest.enter(stage.name, stage.settings(context), overwrite=context.config.runtime.overwrite)
    for name in leave_out:
        manifest.leave_out(name)
    if entry.done:
        before = None
        if lost := manifest.changed(stage.name):
            name, wrong = next(iter(lost.items()))
            more = f", and {len(lost) - 1} more" if len(lost) > 1 else ""
            log_line(f"{stage.name}: {name} {wrong}{more}; made again")
            stage.mend(context, list(lost))
        else:
            before = stage.resume(context)
        if before is not None:
            stage.tidy(context)
            manifest.seal()
            log_line(f"{stage.name}: as before")
            return before
    context.tell_plan()
    began, peak, starting = time.perf_counter(), PeakMemory(), context.session.seconds
    result = stage.run(context, peak)
    facts = {**result.facts, "peak_bytes": peak.end()}
    took = time.perf_counter() - began - (context.session.seconds - starting)
    manifest.finish(stage.name, seconds=took, facts=facts)
    stage.tidy(context)
    manifest.seal()
    _record(context, stage.name)
    if result.line:
        log_line(result.line)
    return result.value


def _record(context: RunContext, name: str) -> None:
    """Tell Ray's metrics of a stage that has just been finished."""
    done = context.manifest.stages[name]
    record(BYTES_WRITTEN, sum(int(size or 0) for size, _ in done.outputs.values()), context.run, name)
    record(STAGE_SECONDS, done.seconds, context.run, name)
    record(PEAK_BYTES, done.facts["peak_bytes"], context.run, name)
