"""Run ``subsel``, the command line. Every flag is a field of a configuration, with that field's help and default.

Exit status: 0 done; 2 unusable input or settings, one line on standard error; 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

from ray_subsel.cli.commands import COMMANDS, Invocation
from ray_subsel.cli.flags import Parser, command_parsers, in_flags, unknown_flags
from ray_subsel.cli.help import abridge, shows_all
from ray_subsel.cli.style import style, style_error
from ray_subsel.core.errors import InputError, unknown
from ray_subsel.planning.policy import DEFAULT_POLICY, Policy
from ray_subsel.runtime.progress import quiet
from ray_subsel.storage.run_directory import Watch

EXAMPLES = """examples:
  subsel run stories.csv --test test.csv --task story-cloze --fraction 0.1 --out runs/stories
  subsel select corpus.jsonl --text body --k 10000 --out runs/body
  subsel select corpus.jsonl --text body --label intent --fraction 0.05 --out runs/classes
  subsel select corpus.jsonl --text body --group source --quota proportional --include keep.txt --k 900 --out runs/g
  subsel select 'vectors/*.parquet' --vectors embedding --fraction 0.05 --partitions 16 --out runs/vectors
  subsel plan 'vectors/*.parquet' --vectors embedding --fraction 0.05 --memory-limit 3GiB
  subsel embed corpus.jsonl --text body --out runs/body
  subsel finetune runs/stories --test test.csv --arm full
  subsel report runs/stories
  subsel experiment story-cloze stories.csv --test test.csv --study claim --seeds 10 --out runs/claim

The same command again resumes a run that was stopped. Results are in DIR: selection.parquet (rank, id, gain, ...),
subset.parquet (the rows), report.html, report.json."""


def make_parser(*, everything: bool = True, program: str | None = None) -> Parser:
    """Return the parser of all subcommands; its help shows every flag, or the common ones.

    ``program`` is the name of a script that stands for a subcommand.
    """
    parser = Parser(
        prog="subsel",
        description="Choose a small subset of a large, redundant text corpus that trains a model as well as the whole.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    from ray_subsel import __version__

    parser.add_argument("--version", action="version", version=f"subsel {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, command in COMMANDS.items():
        command.add(commands)
        added = commands.choices[name]
        added.prog = program or added.prog
        added.add_argument("--quiet", action="store_true", help="show the result and errors, not the progress")
        added.add_argument("--json", action="store_true", help="write the result to standard output as JSON")
        abridge(added, everything=everything)
    return parser


def _parse(arguments: Sequence[str], program: str | None) -> tuple[dict[str, Any], Parser]:
    """Return the flags that were given, and the parser of their command."""
    if arguments and not arguments[0].startswith("-") and arguments[0] not in COMMANDS:
        raise unknown("COMMAND", arguments[0], COMMANDS, hint="subsel --help tells more.")
    parser = make_parser(everything=shows_all(arguments), program=program)
    given, rest = parser.parse_known_args(arguments)
    chosen = parser if given.command is None else command_parsers(parser)[given.command]
    if rest:
        raise unknown_flags(chosen, rest)
    if given.command is None:
        parser.print_help()
    return vars(given), chosen


def _execute(arguments: Sequence[str], policy: Policy, watch: Watch | None, program: str | None) -> str:
    """Run a command and return what standard output shows of its end."""
    given, parser = _parse(arguments, program)
    name, silent, as_json = given.pop("command"), given.pop("quiet", False), given.pop("json", False)
    if name is None:
        return ""
    call = Invocation(given, shlex.join(["subsel", *arguments]), policy, watch)
    try:
        with quiet() if silent else nullcontext():
            answer = COMMANDS[name].run(call)
    except Exception as error:
        from ray_subsel.runtime.ray_session import input_error_in

        known = input_error_in(error)
        if known is None:
            raise
        raise InputError(in_flags(known, parser)) from error
    if as_json:
        return json.dumps(answer.data, indent=2, ensure_ascii=False) + "\n"
    return style(answer.text, sys.stdout) + "\n"


def main(
    arguments: Sequence[str] | None = None,
    *,
    policy: Policy = DEFAULT_POLICY,
    watch: Watch | None = None,
    program: str | None = None,
) -> int:
    """Run the command line and return its exit status.

    Parameters
    ----------
    arguments : sequence of str, optional
        By default those of the process.
    policy : Policy
        Sizes up to which work is done in this process, among others.
    watch : callable, optional
        Told of the files that are read and written: :class:`ray_subsel.storage.run_directory.RunDir`.
    program : str, optional
        The name that help shows, of a script that stands for a subcommand.
    """
    try:
        sys.stdout.write(_execute(sys.argv[1:] if arguments is None else list(arguments), policy, watch, program))
    except KeyboardInterrupt:
        sys.stderr.write("subsel: interrupted; the same command again goes on from here\n")
        return 130
    except Exception as error:
        from ray_subsel.runtime.ray_session import input_error_in

        known = input_error_in(error)
        if known is None:
            raise
        sys.stderr.write(style_error(f"subsel: error: {known}\n", sys.stderr))
        return 2
    return 0
