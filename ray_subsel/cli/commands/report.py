"""``subsel report``: write a report again."""

from __future__ import annotations

from typing import Any

from ray_subsel.cli.commands.base import Command, Invocation


def _add(commands: Any) -> None:
    report = commands.add_parser("report", help="write the report of a run, or of an experiment, again")
    report.add_argument(
        "out", metavar="DIR", help="directory of a run; or of an experiment: its results.json is enough"
    )


def _run(call: Invocation) -> str:
    from ray_subsel.experiments.experiment import is_experiment, write_summary
    from ray_subsel.report.terminal import summary_text
    from ray_subsel.stages.report import publish
    from ray_subsel.storage.manifest import Manifest
    from ray_subsel.storage.run_directory import RunDir

    out = call.given["out"]
    if is_experiment(out):
        return write_summary(out)
    return summary_text(publish(Manifest.load(RunDir(out))), out)


REPORT = Command("report", _add, _run)
