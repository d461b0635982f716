"""``subsel report``: write a report again."""

from __future__ import annotations

from typing import Any

from ray_subsel.cli.commands.base import Answer, Command, Invocation


def _add(commands: Any) -> None:
    report = commands.add_parser("report", help="write the report of a run, of a comparison or of an experiment again")
    report.add_argument(
        "out",
        metavar="DIR",
        help="directory of a run, of a comparison, or of an experiment: its results.json is enough",
    )


def _run(call: Invocation) -> Answer:
    from ray_subsel.experiments import compare, experiment
    from ray_subsel.report.terminal import summary_text
    from ray_subsel.stages.report import publish
    from ray_subsel.storage.manifest import Manifest
    from ray_subsel.storage.run_directory import RunDir

    out = call.given["out"]
    if compare.is_comparison(out):
        return Answer(compare.write_comparison(out), RunDir(out).read_json(compare.SUMMARY))
    if experiment.is_experiment(out):
        return Answer(experiment.write_summary(out), RunDir(out).read_json(experiment.SUMMARY))
    manifest = Manifest.load(RunDir(out))
    manifest.require()
    found = publish(manifest)
    return Answer(summary_text(found, out), found)


REPORT = Command("report", _add, _run)
