"""Tell the plan of a run, or of work on one, once, before the work: when the first stage begins that is not done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ray_subsel.config import RunConfig
from ray_subsel.core.errors import DoesNotFitError
from ray_subsel.planning.later_plan import LaterPlan
from ray_subsel.planning.machine import Machine
from ray_subsel.planning.policy import Policy
from ray_subsel.planning.run_plan import RunPlan, plan_run
from ray_subsel.planning.selection_plan import SelectionPlan
from ray_subsel.runtime.progress import log_line
from ray_subsel.storage.manifest import Manifest

PLAN = "plan"
"""Where the manifest's ``about`` keeps the plan."""
Plan = RunPlan | LaterPlan


class PlanOnce:
    """A plan, made and told at the first stage.

    Parameters
    ----------
    make : callable
        Makes it, of a configuration and a machine, ``policy`` and ``done``: stages that have nothing left to do.
    """

    def __init__(self, make: Callable[..., Plan] = plan_run) -> None:
        self._make = make
        self._told = False
        self._plan: Plan | None = None

    def tell(self, config: RunConfig, machine: Machine, policy: Policy, manifest: Manifest) -> None:
        """Say what is left to do, and keep it in the manifest; nothing, once it was said.

        Rows are an upper bound of items: where equal ones are collapsed, what does not fit yet may fit then.

        Raises
        ------
        InputError
            For what cannot be done whatever the rows turn out to be.
        """
        if self._told:
            return
        self._told = True
        done = [name for name, stage in manifest.stages.items() if stage.done]
        try:
            plan = self._make(config, machine, policy=policy, done=done)
        except DoesNotFitError as error:
            select = config.select
            if config.corpus.copies == "keep" and (select is None or select.near_threshold is None):
                raise
            log_line(f"plan      may not fit into memory: {error}")
            return
        self._plan = plan
        before: dict[str, Any] = manifest.about.get(PLAN) or {"seconds": {}, "stages": {}}
        told = plan.as_json()
        manifest.about[PLAN] = before | told | {name: before[name] | told[name] for name in ("seconds", "stages")}
        manifest.save()
        for line in plan.lines():
            log_line(line)

    def tell_sizes(self, sizes: SelectionPlan) -> None:
        """Say how the selection is divided, where it is not as the plan said before the items were counted."""
        said = None if self._plan is None else self._plan.sizes
        if said is None or (said.partitions, said.rounds) != (sizes.partitions, sizes.rounds):
            for line in sizes.lines():
                log_line(line)
