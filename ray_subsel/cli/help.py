"""Show help in two lengths: ``--help`` the flags that most calls need, in a few words each, ``--help-all`` all."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from ray_subsel.cli.flags import HELP_ALL, Parser

COMMON = frozenset(
    {
        *("out", "overwrite", "quiet", "json"),
        *("task", "text", "vectors", "label", "group", "id"),
        *("embedder", "k", "fraction", "budget", "recipe", "objective", "near"),
        *("quotas", "floors", "include", "exclude", "per", "stages"),
        *("test", "arms", "train_model", "epochs", "lr"),
        *("study", "seeds", "follow", "idle", "checkpoint_every"),
        *("sizes", "draws", "rows"),
        *("find", "remove", "clear"),
    }
)
"""The fields whose flags ``--help`` shows."""

FLAGS = "[flags]"
FEW = 40
"""Characters that a flag's few words and its default may have together."""


def shows_all(arguments: Sequence[str]) -> bool:
    """Tell whether arguments ask for every flag."""
    return HELP_ALL in arguments


class HelpAll(argparse.Action):
    """Print help, of a parser that was made with every flag shown, and exit."""

    def __init__(self, option_strings: Sequence[str], dest: str, **rest: Any) -> None:
        super().__init__(option_strings, dest, nargs=0, default=argparse.SUPPRESS, **rest)

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option_string: Any = None
    ) -> None:
        """Do it."""
        del namespace, values, option_string
        parser.print_help()
        parser.exit()


def in_few_words(about: str) -> str:
    """Return the first part of a flag's sentence, up to a semicolon, and its default, if that is short."""
    sentence, mark, default = about.partition(" (default: ")
    first = sentence.partition("; ")[0]
    return first + mark + default if len(first) + len(default) <= FEW else first


def abridge(command: Parser, *, everything: bool) -> None:
    """Give a finished command its ``--help-all`` and, unless everything is shown, hide the flags that are not common.

    Where flags are hidden, the others are told in a few words. A hidden flag works as ever, and its error names it.
    """
    command.add_argument(HELP_ALL, action=HelpAll, help="show every flag and exit")
    if everything:
        return
    hidden = [
        action
        for action in command._actions
        if action.option_strings and action.dest not in COMMON and action.dest not in ("help", argparse.SUPPRESS)
    ]
    for action in hidden:
        action.help = argparse.SUPPRESS
    if hidden:
        for action in command._actions:
            if action.option_strings and action.help:
                action.help = in_few_words(action.help)
        words = [str(action.metavar or action.dest) for action in command._actions if not action.option_strings]
        command.usage = " ".join([command.prog, *words, FLAGS])
        command.epilog = f"{len(hidden)} more flags: {command.prog} {HELP_ALL}"
