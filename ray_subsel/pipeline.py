"""A run: corpus, embed, select, train, report, each stage resumed where a killed run left it.

corpus  ->  rows/          read, check, copy rows                       (Ray Data)
embed   ->  embeddings/    distinct texts to vectors, a file a shard    (Ray Data, a pool of actors)
near    ->  groups/        near copies join the lowest id, with --near  (Ray Core)
select  ->  candidates/    GreeDi: a task a partition, then a reducer   (Ray Core)
            selection.parquet, subset.parquet
train   ->  train/         one model an arm                             (Ray Train, or in process)
report  ->  report.json, report.html
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable
from typing import Any

from ray_subsel.config import RunConfig
from ray_subsel.corpus.rows import RowStore
from ray_subsel.planning.policy import DEFAULT_POLICY, Policy
from ray_subsel.runtime.ray_session import RaySession, ship
from ray_subsel.stages.base import RunContext, Stage, run_stage
from ray_subsel.stages.embed import EmbedStage
from ray_subsel.stages.ingest_corpus import CorpusStage
from ray_subsel.stages.near import NearStage
from ray_subsel.stages.report import publish
from ray_subsel.stages.select import SelectStage
from ray_subsel.stages.train import TrainStage
from ray_subsel.storage.manifest import Manifest, locked
from ray_subsel.storage.run_directory import RunDir

__all__ = ["STAGES", "RunConfig", "finetune", "run"]

STAGES: tuple[type[Stage], ...] = (CorpusStage, EmbedStage, NearStage, SelectStage, TrainStage)
"""The stages in their order. What a stage writes is deleted with it, and with each stage before it."""

OUTPUTS = {stage.name: stage.outputs for stage in STAGES}


def run(config: RunConfig, *, policy: Policy = DEFAULT_POLICY) -> dict[str, Any]:
    """Run the stages asked for and return the report.

    Parameters
    ----------
    config : RunConfig
    policy : Policy
        Sizes up to which work is done in this process, among others.

    Raises
    ------
    InputError
        For whatever is wrong with the input or the settings; what was finished stays and is resumed.
    """
    directory, stages = RunDir(config.runtime.out), [stage(config) for stage in STAGES]
    # Input is looked at before Ray is started and before anything is written: most mistakes show here, at once.
    _check(stages)
    Manifest.open(directory)
    with locked(directory):
        manifest = Manifest.open(directory, OUTPUTS)
        directory.sweep()
        manifest.about = _about(config)
        ship(_classes(config))
        with RaySession(config.runtime) as session:
            context = RunContext(config, manifest, session, policy)
            for stage in stages:
                run_stage(stage, context)
        return publish(manifest)


def finetune(config: RunConfig) -> dict[str, Any]:
    """Train on what a run directory has selected and return the report; the corpus itself is no longer needed."""
    directory, train = RunDir(config.runtime.out), TrainStage(config)
    _check([train])
    with locked(directory):
        manifest = Manifest.load(directory, OUTPUTS)
        before = manifest.about
        manifest.about = {**_about(config), "command": before.get("command", "")}
        manifest.about["config"] |= {name: before["config"][name] for name in ("embed", "select")}
        with RaySession(config.runtime) as session:
            run_stage(train, RunContext(config, manifest, session, rows=RowStore.open(directory)))
        return publish(manifest)


def _check(stages: Iterable[Stage]) -> None:
    """Look at the input of the stages that are asked for."""
    for stage in stages:
        if stage.is_wanted():
            stage.check()


def _classes(config: RunConfig) -> list[type]:
    """Return the classes that a configuration names."""
    named = [] if config.select is None else [config.select.objective_class]
    return [*named, *([] if config.corpus.vectors is not None else [config.embed.embedder_class])]


def _about(config: RunConfig) -> dict[str, Any]:
    """Return what the manifest says of the run as a whole: the last command, settings and versions."""
    from importlib.metadata import version

    packages = ("ray-subsel", "ray", "torch", "transformers", "gensim", "numpy", "pyarrow")
    settings = {
        "corpus": _plain(dataclasses.asdict(config.corpus)),
        "embed": _plain(dataclasses.asdict(config.embed)),
        "select": None if config.select is None else _plain(dataclasses.asdict(config.select)),
        "train": None if config.train is None else _plain(dataclasses.asdict(config.train)),
    }
    return {
        "command": config.command,
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "versions": {name: version(name) for name in packages},
        "config": settings,
    }


def _plain(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in fields.items()}
