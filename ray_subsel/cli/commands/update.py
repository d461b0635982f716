"""``subsel update``: bring a selection up to date with new rows, a larger k, and rows that are withdrawn."""

from __future__ import annotations

from typing import Any

from ray_subsel.cli.commands.base import Answer, Command, Invocation
from ray_subsel.cli.flags import add_flags, build
from ray_subsel.config import CacheConfig, RuntimeConfig
from ray_subsel.config.update import UpdateConfig


def _add(commands: Any) -> None:
    command = commands.add_parser(
        "update",
        help="bring a selection up to date: new rows, a larger k, rows that are withdrawn",
        description="Embed new rows only, join them to the copies of them that are there, fill up to k and exchange "
        "chosen rows for new ones where f rises by enough. Each update is a folder in DIR/updates; the same command "
        "goes on with one that was killed.",
    )
    command.add_argument("out", metavar="DIR", help="directory of a run that has selected")
    command.add_argument(
        "data", nargs="*", metavar="NEW", help="files, folders or globs of new rows, with the columns of DIR's"
    )
    add_flags(command, RuntimeConfig, title="where", skip=("out", "train_workers"))
    add_flags(command, UpdateConfig, title="update", skip=("data",))
    add_flags(command, CacheConfig, title="embeddings that are kept")


def _run(call: Invocation) -> Answer:
    from ray_subsel.stages.update import summary, update

    report = update(
        build(UpdateConfig, call.given),
        build(RuntimeConfig, call.given),
        build(CacheConfig, call.given),
        command=call.command,
        policy=call.policy,
        watch=call.watch,
    )
    return Answer(summary(report, call.given["out"]), report)


UPDATE = Command("update", _add, _run)
