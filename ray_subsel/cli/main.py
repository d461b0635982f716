"""Run ``subsel``, the command line. Every flag is a field of a configuration, with that field's help and default.

Exit status: 0 done; 2 unusable input or settings, one line on standard error; 130 interrupted.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence

from ray_subsel.cli.commands import COMMANDS, Invocation
from ray_subsel.cli.flags import Parser
from ray_subsel.planning.policy import DEFAULT_POLICY, Policy
from ray_subsel.storage.run_directory import Watch

EXAMPLES = """examples:
  subsel run stories.csv --test test.csv --task story-cloze --fraction 0.1 --out runs/stories
  subsel select corpus.jsonl --text body --k 10000 --out runs/body
  subsel select corpus.jsonl --text body --near 0.9 --objective facility_location --fraction 0.05 --out runs/near
  subsel select corpus.jsonl --text body --group source --quota proportional --include keep.txt --k 900 --out runs/g
  subsel select 'vectors/*.parquet' --vectors embedding --fraction 0.05 --partitions 16 --out runs/vectors
  subsel plan 'vectors/*.parquet' --vectors embedding --fraction 0.05 --memory-limit 3GiB
  subsel embed corpus.jsonl --text body --out runs/body
  subsel finetune runs/stories --test test.csv --arm full
  subsel report runs/stories
  subsel experiment story-cloze stories.csv --test test.csv --study claim --seeds 10 --out runs/claim

The same command again resumes a run that was stopped. Results are in DIR: selection.parquet (rank, id, gain, ...),
subset.parquet (the rows), report.html, report.json."""


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of all subcommands."""
    parser = Parser(
        prog="subsel",
        description="Choose a small subset of a large, redundant text corpus that trains a model as well as the whole.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    from ray_subsel import __version__

    parser.add_argument("--version", action="version", version=f"subsel {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in COMMANDS.values():
        command.add(commands)
    return parser


def _execute(arguments: Sequence[str], policy: Policy, watch: Watch | None) -> str:
    given = vars(make_parser().parse_args(arguments))
    command = COMMANDS[given.pop("command")]
    return command.run(Invocation(given, shlex.join(["subsel", *arguments]), policy, watch))


def main(arguments: Sequence[str] | None = None, *, policy: Policy = DEFAULT_POLICY, watch: Watch | None = None) -> int:
    """Run the command line and return its exit status.

    Parameters
    ----------
    arguments : sequence of str, optional
        By default those of the process.
    policy : Policy
        Sizes up to which work is done in this process, among others.
    watch : callable, optional
        Told of the files that are read and written: :class:`ray_subsel.storage.run_directory.RunDir`.
    """
    try:
        sys.stdout.write(_execute(sys.argv[1:] if arguments is None else list(arguments), policy, watch) + "\n")
    except KeyboardInterrupt:
        sys.stderr.write("subsel: interrupted; the same command again goes on from here\n")
        return 130
    except Exception as error:
        from ray_subsel.runtime.ray_session import input_error_in

        known = input_error_in(error)
        if known is None:
            raise
        sys.stderr.write(f"subsel: error: {known}\n")
        return 2
    return 0
