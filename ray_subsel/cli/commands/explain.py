"""``subsel explain``: say what became of a row, and why."""

from __future__ import annotations

import dataclasses
import shutil
from typing import Any

from ray_subsel.cli.commands.base import Answer, Command, Invocation
from ray_subsel.core.errors import Verbatim, invalid


def _add(commands: Any) -> None:
    command = commands.add_parser(
        "explain",
        help="say why rows were chosen or not, with their texts side by side",
        description="Say what became of rows of a corpus, and why. All rows are in DIR/decisions.parquet, after an "
        "update in that of its folder in DIR/updates.",
    )
    command.add_argument("out", metavar="DIR", help="directory of a run that has selected")
    command.add_argument("rows", nargs="*", metavar="ROW", help="row ids; own ids where the run has --id COLUMN")
    command.add_argument(
        "--text", dest="find", metavar="TEXT", help="rows whose text is TEXT, or contains it; five at most"
    )


def _run(call: Invocation) -> Answer:
    from ray_subsel.decisions.lookup import find_decisions, find_text
    from ray_subsel.decisions.sentences import explain
    from ray_subsel.stages.update_chain import latest
    from ray_subsel.storage.manifest import Manifest
    from ray_subsel.storage.run_directory import RunDir

    names, text = list(call.given["rows"]), call.given["find"]
    if bool(names) == (text is not None):
        got = Verbatim("both" if names else "neither")
        raise invalid("ROW, find", "be given, exactly one of them", got, "Use subsel explain DIR ROW, or --text TEXT.")
    run, rows = RunDir(call.given["out"]), None
    Manifest.load(run)
    if (updated := latest(run)) is not None:
        run, rows = updated
    found = find_decisions(run, names, rows) if names else find_text(run, text, rows)
    width = min(160, max(60, shutil.get_terminal_size((100, 24)).columns))
    return Answer(
        "\n\n".join(explain(one, width) for one in found), {"rows": [dataclasses.asdict(one) for one in found]}
    )


EXPLAIN = Command("explain", _add, _run)
"""The subcommand."""
