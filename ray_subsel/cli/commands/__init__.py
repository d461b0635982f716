"""The subcommands of ``subsel``, in the order of its help."""

from __future__ import annotations

from ray_subsel.cli.commands.base import Answer, Command, Invocation
from ray_subsel.cli.commands.cache import CACHE
from ray_subsel.cli.commands.compare import COMPARE
from ray_subsel.cli.commands.experiment import EXPERIMENT
from ray_subsel.cli.commands.explain import EXPLAIN
from ray_subsel.cli.commands.finetune import FINETUNE
from ray_subsel.cli.commands.plan import PLAN
from ray_subsel.cli.commands.report import REPORT
from ray_subsel.cli.commands.run import EMBED, RUN, SELECT
from ray_subsel.cli.commands.stream import STREAM
from ray_subsel.cli.commands.update import UPDATE

COMMANDS = {
    command.name: command
    for command in (RUN, EMBED, SELECT, UPDATE, STREAM, PLAN, FINETUNE, EXPLAIN, REPORT, COMPARE, EXPERIMENT, CACHE)
}

__all__ = ["COMMANDS", "Answer", "Command", "Invocation"]
