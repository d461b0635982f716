"""``subsel plan``: what a selection would take."""

from __future__ import annotations

import dataclasses
from typing import Any

from ray_subsel.cli.commands.base import Answer, Command, Invocation
from ray_subsel.cli.commands.run import DATA, SELECTING
from ray_subsel.cli.flags import add_flags, build
from ray_subsel.config import CacheConfig, CorpusConfig, EmbedConfig, FilterConfig, RuntimeConfig, SelectConfig
from ray_subsel.core.errors import invalid


def _add(commands: Any) -> None:
    plan = commands.add_parser(
        "plan",
        help="tell what a selection would take, and whether it fits into memory; nothing is written",
        description="Tell partitions, rounds, memory and time of a selection, or how to make it fit. Reads what "
        "it must to count rows.",
    )
    plan.add_argument("data", nargs="+", metavar="DATA", help=DATA)
    idle = tuple(field.name for field in dataclasses.fields(RuntimeConfig) if field.name != "memory_limit")
    add_flags(plan, RuntimeConfig, title="where", skip=idle)
    add_flags(plan, CacheConfig, title="embeddings that are kept")
    for config, title in SELECTING:
        add_flags(plan, config, title=title, skip=("data",))


def _run(call: Invocation) -> Answer:
    from ray_subsel.planning.machine import machine_of
    from ray_subsel.planning.policy import possible
    from ray_subsel.planning.run_plan import plan_run

    given = call.given
    if given.get("per") is not None:
        raise invalid("per", "be left out of a plan", given["per"], "The sizes of the groups are not known before.")
    build(FilterConfig, given)  # checked alone: until rows are compared, all may stay
    settings = (build(CorpusConfig, given), build(EmbedConfig, given), build(SelectConfig, given))
    machine = machine_of(None, given.get("memory_limit"))
    plan = plan_run(*settings, machine, cache=build(CacheConfig, given), policy=possible(call.policy))
    return Answer(plan.text(), plan.as_json())


PLAN = Command("plan", _add, _run)
