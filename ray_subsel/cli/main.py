"""Run ``subsel``, the command line. Every flag is a field of a configuration, with that field's help and default.

Exit status: 0 done; 1 a fault of the program; 2 unusable input or settings; 3 a resource is missing; 130 interrupted.
Each but 0 comes with one line on standard error (:mod:`ray_subsel.cli.failures`).
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import traceback
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

from ray_subsel.cli.commands import COMMANDS, Invocation
from ray_subsel.cli.failures import DONE, MISSING, failure_of
from ray_subsel.cli.flags import Parser, command_parsers, in_flags, unknown_flags
from ray_subsel.cli.help import abridge, shows_all
from ray_subsel.cli.signals import interruptible
from ray_subsel.cli.style import style, style_error
from ray_subsel.core import terminal
from ray_subsel.core.errors import invalid, unknown
from ray_subsel.core.system_errors import words_of
from ray_subsel.planning.policy import DEFAULT_POLICY, Policy
from ray_subsel.runtime.progress import quiet
from ray_subsel.storage.run_directory import Watch

DEBUG = "--debug"

ABOUT = """Choose a small subset of a large, redundant text corpus that trains a model
as well as the whole."""

EXAMPLES = """examples:
  subsel select rows.jsonl --text body --label intent --fraction 0.05 --out DIR
  subsel explain DIR 17
  subsel compare reviews.jsonl --text body --label stars --out DIR
  subsel select 'vectors/*.parquet' --vectors embedding --k 10k --out DIR
  subsel plan 'vectors/*.parquet' --vectors embedding --k 10k
  subsel run stories.csv --test test.csv --task story-cloze --k 300 --out DIR
  subsel finetune DIR --test test.csv --arm full
  subsel update DIR tuesday.jsonl --remove withdrawn.txt
  subsel stream --text body --k 1000 --out DIR < rows.jsonl > events.jsonl

The same command again resumes a run that was stopped. DIR has subset.parquet
(the rows), selection.parquet (rank, id, gain, ...), decisions.parquet (every
row and why), report.html and report.json.

Numbers: 300, 10k, 2.5M, 1e3. Exit status: 0 done; 2 unusable input or
settings; 3 a resource is missing (room, memory, network, Ray) and the same
command goes on once it is there; 130 interrupted; 1 a fault of the program."""


def make_parser(*, everything: bool = True, program: str | None = None) -> Parser:
    """Return the parser of all subcommands; its help shows every flag, or the common ones.

    ``program`` is the name of a script that stands for a subcommand.
    """
    parser = Parser(
        prog="subsel",
        description=ABOUT,
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
        added.add_argument(DEBUG, action="store_true", help="show the traceback of whatever ends the command")
        abridge(added, everything=everything)
    return parser


def _check_words(arguments: Sequence[str]) -> None:
    """Refuse arguments that no file system, no JSON and no terminal could take."""
    for word in arguments:
        if any("\ud800" <= one <= "\udfff" for one in word):  # bytes that are no UTF-8
            shown = word.encode("utf-8", "backslashreplace").decode()
            raise invalid("arguments", "be UTF-8", shown, "Rename the file.")
        if "\0" in word:
            raise invalid("arguments", "have no NUL character", word)


def _parse(arguments: Sequence[str], program: str | None) -> tuple[dict[str, Any], Parser]:
    """Return the flags that were given, and the parser of their command."""
    _check_words(arguments)
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


def _execute(
    arguments: Sequence[str], policy: Policy, watch: Watch | None, program: str | None, given: dict[str, Any]
) -> str:
    """Run a command and return what standard output shows of its end; ``given`` takes the flags, once they are read."""
    flags, parser = _parse(arguments, program)
    given.update(flags)
    name, silent, as_json = (flags.pop(word, None) for word in ("command", "quiet", "json"))
    flags.pop("debug", None)
    if name is None:
        return ""
    call = Invocation(flags, shlex.join(["subsel", *arguments]), policy, watch)
    try:
        with quiet() if silent else nullcontext():
            answer = COMMANDS[name].run(call)
    except Exception as error:
        from ray_subsel.runtime.ray_session import input_error_in

        known = input_error_in(error)
        if known is None:
            raise
        raise type(known)(in_flags(known, parser, given)) from error
    if as_json:
        return json.dumps(answer.data, indent=2, ensure_ascii=False)
    return answer.text


def main(
    arguments: Sequence[str] | None = None,
    *,
    policy: Policy = DEFAULT_POLICY,
    watch: Watch | None = None,
    program: str | None = None,
) -> int:
    """Run the command line and return its exit status: :mod:`ray_subsel.cli.failures`.

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
    if arguments is None:
        terminal.open_standard_streams()
    words = sys.argv[1:] if arguments is None else list(arguments)
    given: dict[str, Any] = {}
    signals: list[int] = []
    try:
        with interruptible(whole_process=arguments is None) as signals:
            text = _execute(words, policy, watch, program, given)
    except (KeyboardInterrupt, Exception) as error:
        if DEBUG in words:
            terminal.tell("".join(traceback.format_exception(error)).rstrip("\n"))
        failure = failure_of(error, given.get("out"))
        terminal.tell(failure.line, style_error)
        if signals and arguments is None:
            os._exit(failure.status)
        return failure.status
    return _told(text, given.get("out"))


def _told(text: str, out: str | None) -> int:
    """Write what a command has found; where that fails, the status says whether its work is done all the same."""
    failed = terminal.answer(text, style) if text else None
    if failed is None:
        return DONE
    reason = f"standard output could not be written ({words_of(failed)})"
    line = f"subsel: {reason}; the work is done, see {out}" if out else f"subsel: error: {reason}."
    terminal.tell(line, style_error)
    return DONE if out else MISSING
