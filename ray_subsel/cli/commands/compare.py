"""``subsel compare``: which way to choose serves a labelled corpus best."""

from __future__ import annotations

from typing import Any

from ray_subsel.cli.commands.base import Answer, Command, Invocation
from ray_subsel.cli.flags import add_flags, build
from ray_subsel.config import CacheConfig, CompareConfig, CorpusConfig, EmbedConfig

IDLE = ("data", "group", "cost", "id", "copies", "augment", "augment_share", "augment_copies")
"""Fields of the corpus that a comparison has no use for: every row counts as it is."""


def _add(commands: Any) -> None:
    about = "compare ways to choose on your own labelled corpus: what to use, and what a tenth of the rows keeps"
    command = commands.add_parser(
        "compare",
        help=about,
        description=about.capitalize()
        + ". A fast probe is trained on each subset: logistic regression on the vectors.",
    )
    command.add_argument("data", nargs="+", metavar="DATA", help="files, folders or globs; quote a glob")
    add_flags(command, CompareConfig, title="comparison")
    add_flags(command, CorpusConfig, title="corpus", skip=IDLE)
    add_flags(command, EmbedConfig, title="embedding", skip=("vectors_dtype",))
    add_flags(command, CacheConfig, title="embeddings that are kept")


def _run(call: Invocation) -> Answer:
    from ray_subsel.experiments.compare import SUMMARY, compare
    from ray_subsel.storage.run_directory import RunDir

    corpus, embed = build(CorpusConfig, call.given, copies="keep"), build(EmbedConfig, call.given)
    config = build(CompareConfig, call.given)
    text = compare(config, corpus, embed, build(CacheConfig, call.given), command=call.command)
    return Answer(text, RunDir(config.out).read_json(SUMMARY))


COMPARE = Command("compare", _add, _run)
