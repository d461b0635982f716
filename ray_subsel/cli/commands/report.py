"""``subsel report``: write a report again."""

from __future__ import annotations

from typing import Any

from ray_subsel.cli.commands.base import Answer, Command, Invocation


def _add(commands: Any) -> None:
    report = commands.add_parser("report", help="write the report of a run, or of an experiment, again")
    report.add_argument(
        "out", metavar="DIR", help="directory of a run; or of an experiment: its results.json is enough"
    )


def _run(call: Invocation) -> Answer:
    from ray_subsel.experiments.experiment import SUMMARY, is_experiment, write_summary
    from ray_subsel.report.terminal import summary_text
    from ray_subsel.stages.report import publish
    from ray_subsel.storage.manifest import Manifest
    from ray_subsel.storage.run_directory import RunDir

    out = call.given["out"]
    if is_experiment(out):
        return Answer(write_summary(out), RunDir(out).read_json(SUMMARY))
    found = publish(Manifest.load(RunDir(out)))
    return Answer(summary_text(found, out), found)


REPORT = Command("report", _add, _run)
