"""``subsel run``, ``subsel embed`` and ``subsel select``: the stages, or some of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial
from typing import Any

from ray_subsel.cli.commands.base import Answer, Command, Invocation
from ray_subsel.cli.flags import add_flags, build
from ray_subsel.config import (
    CacheConfig,
    CorpusConfig,
    EmbedConfig,
    FilterConfig,
    RunConfig,
    RuntimeConfig,
    SelectConfig,
    TrainConfig,
)
from ray_subsel.core.errors import InputError

SELECTING: tuple[tuple[type, str], ...] = (
    (CorpusConfig, "corpus"),
    (EmbedConfig, "embedding"),
    (SelectConfig, "selection"),
    (FilterConfig, "rows to leave out"),
)
"""The configurations of a selection, with the titles of their flags."""

DATA = "files, folders or globs; quote a glob"


def _add(commands: Any, name: str, about: str, configs: Sequence[tuple[type, str]]) -> None:
    command = commands.add_parser(name, help=about, description=about.capitalize() + ".")
    command.add_argument("data", nargs="+", metavar="DATA", help=DATA)
    add_flags(command, RuntimeConfig, title="where", skip=() if name == "run" else ("train_workers",))
    add_flags(command, CacheConfig, title="embeddings that are kept")
    for config, title in configs:
        add_flags(command, config, title=title, skip=("data",))


def run_config(name: str, given: dict[str, Any], command: str) -> RunConfig:
    """Return the settings of ``subsel run``, ``embed`` or ``select``."""
    train_flags = {field.name for field in dataclasses.fields(TrainConfig)}
    wants_training = name == "run" and "test" in given
    if name == "run" and not wants_training and (idle := sorted(train_flags & given.keys())):
        raise InputError(f"{', '.join(idle)} must come with --test FILE: nothing is trained without it.")
    if "per" in given:
        given = {"group": given["per"], **given}
    return RunConfig(
        corpus=build(CorpusConfig, given),
        embed=build(EmbedConfig, given),
        select=None if name == "embed" else build(SelectConfig, given),
        train=build(TrainConfig, given) if wants_training else None,
        filters=build(FilterConfig, given),
        runtime=build(RuntimeConfig, given),
        command=command,
        cache=build(CacheConfig, given),
    )


def _run(name: str, call: Invocation) -> Answer:
    from ray_subsel import pipeline
    from ray_subsel.report.terminal import summary_text

    report = pipeline.run(run_config(name, call.given, call.command), policy=call.policy, watch=call.watch)
    return Answer(summary_text(report, call.given["out"]), report)


def _command(name: str, about: str, configs: Sequence[tuple[type, str]]) -> Command:
    return Command(name, partial(_add, name=name, about=about, configs=configs), partial(_run, name))


RUN = _command(
    "run",
    "the whole way: read, embed, select and, with --test, fine-tune and compare",
    (*SELECTING, (TrainConfig, "training")),
)
EMBED = _command("embed", "read a corpus and embed it", SELECTING[:2])
SELECT = _command("select", "read, embed and select, without training", SELECTING)
