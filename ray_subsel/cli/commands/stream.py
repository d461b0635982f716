"""``subsel stream``: select rows while they arrive."""

from __future__ import annotations

import sys
from typing import Any

from ray_subsel.cli.commands.base import Answer, Command, Invocation
from ray_subsel.cli.flags import add_flags, build
from ray_subsel.config import CorpusConfig, EmbedConfig, RuntimeConfig
from ray_subsel.config.stream import StreamConfig
from ray_subsel.core.errors import ResourceError

IDLE_CORPUS = (
    *("data", "task", "label", "cost", "id", "story_text", "copies", "augment", "augment_share", "augment_copies"),
    *("max_rejected", "seed"),
)


def _add(commands: Any) -> None:
    command = commands.add_parser(
        "stream",
        help="select rows while they arrive, from standard input or a growing folder",
        description="Keep k rows of a stream of JSON lines (or of the files of a folder): each event, a row accepted "
        "or evicted, is a line of standard output as soon as it is decided. The same command with the same input goes "
        "on behind the last checkpoint in DIR.",
    )
    idle = ("address", "workers", "num_gpus", "memory_limit", "train_workers")
    add_flags(command, RuntimeConfig, title="where", skip=idle)
    add_flags(command, CorpusConfig, title="rows", skip=IDLE_CORPUS)
    add_flags(command, StreamConfig, title="selection")
    add_flags(command, EmbedConfig, title="embedding", skip=("vectors_dtype", "doc2vec_epochs", "vector_size", "seed"))


def _write(content: bytes) -> None:
    try:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise ResourceError("standard output was closed by its reader; the same command again goes on.") from None


def _run(call: Invocation) -> Answer:
    from ray_subsel.runtime.progress import log_line
    from ray_subsel.stages.stream import StreamRun, summary

    run = StreamRun(
        build(CorpusConfig, call.given),
        build(EmbedConfig, call.given),
        build(StreamConfig, call.given),
        build(RuntimeConfig, call.given),
        sys.stdin.buffer,
        _write,
        call.watch,
    )
    report = run.run()
    log_line(summary(report, call.given["out"]))
    return Answer("", report)


STREAM = Command("stream", _add, _run)
"""Its events are what standard output is for: the summary goes to standard error."""
