"""``subsel finetune``: train on what a run has selected."""

from __future__ import annotations

from typing import Any

from ray_subsel.cli.commands.base import Answer, Command, Invocation
from ray_subsel.cli.flags import add_flags, build
from ray_subsel.config import CorpusConfig, EmbedConfig, RunConfig, RuntimeConfig, TrainConfig
from ray_subsel.core.errors import InputError, invalid
from ray_subsel.embedders import EMBEDDERS


def _add(commands: Any) -> None:
    tune = commands.add_parser(
        "finetune",
        help="fine-tune on the subset that a run has selected, and on others beside it",
        description="Fine-tune on what DIR has selected. Where no flag says otherwise, the settings are those of the "
        "training that DIR has had. Arms that are done are not trained again.",
    )
    tune.add_argument("out", metavar="DIR", help="directory of a run that has selected")
    add_flags(tune, RuntimeConfig, title="where", skip=("out", "workers"))
    add_flags(tune, TrainConfig, title="training")


def _finetune_config(given: dict[str, Any], command: str) -> RunConfig:
    """Return the run's own settings, those of its training changed by the flags given."""
    from ray_subsel.storage.manifest import Manifest
    from ray_subsel.storage.run_directory import RunDir

    manifest = Manifest.load(RunDir(given["out"]))
    settings = manifest.about.get("config", {})
    select = manifest.stages.get("select")
    if select is None or not select.done or not settings.get("select"):
        raise InputError(f"{given['out']} must hold a finished selection. Run subsel select or subsel run first.")
    embed, train = settings["embed"], build(TrainConfig, {**(settings.get("train") or {}), **given})
    if embed["embedder"] not in EMBEDDERS:  # a file must not decide which module is imported
        if train.train_model is None:
            way = "Use --train-model NAME."
            raise invalid("train_model", f"be given where {embed['embedder']} has embedded", None, way)
        embed = {**embed, "embedder": EmbedConfig.embedder}
    return RunConfig(
        corpus=build(CorpusConfig, settings["corpus"]),
        embed=build(EmbedConfig, embed),
        train=train,
        runtime=build(RuntimeConfig, given),
        command=command,
    )


def _run(call: Invocation) -> Answer:
    from ray_subsel import pipeline
    from ray_subsel.report.terminal import summary_text

    report = pipeline.finetune(_finetune_config(call.given, call.command), policy=call.policy, watch=call.watch)
    return Answer(summary_text(report, call.given["out"]), report)


FINETUNE = Command("finetune", _add, _run)
