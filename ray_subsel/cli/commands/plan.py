"""``subsel plan``: what a run would take."""

from __future__ import annotations

from typing import Any

from ray_subsel.cli.commands.base import Answer, Command, Invocation
from ray_subsel.cli.commands.run import DATA, SELECTING, run_config
from ray_subsel.cli.flags import add_flags
from ray_subsel.config import CacheConfig, RuntimeConfig, TrainConfig

NOWHERE = "."
"""Where the run would go: nothing is written."""


def _add(commands: Any) -> None:
    plan = commands.add_parser(
        "plan",
        help="tell what a run would take, and whether it fits into memory; nothing is written",
        description="Tell partitions, rounds, memory and time of a run, or how to make it fit. Reads what "
        "it must to count rows.",
    )
    plan.add_argument("data", nargs="+", metavar="DATA", help=DATA)
    add_flags(plan, RuntimeConfig, title="where", skip=("out", "overwrite", "address"))
    add_flags(plan, CacheConfig, title="embeddings that are kept")
    for config, title in (*SELECTING, (TrainConfig, "training")):
        add_flags(plan, config, title=title, skip=("data",))


def _run(call: Invocation) -> Answer:
    from ray_subsel.planning.machine import machine_of
    from ray_subsel.planning.policy import possible
    from ray_subsel.planning.run_plan import plan_run

    config = run_config("run", {"out": NOWHERE, **call.given}, call.command)
    plan = plan_run(config, machine_of(None, config.runtime.memory_limit), policy=possible(call.policy))
    return Answer(plan.text(), plan.as_json())


PLAN = Command("plan", _add, _run)
