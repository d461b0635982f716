"""What a subcommand of ``subsel`` is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ray_subsel.planning.policy import DEFAULT_POLICY, Policy
from ray_subsel.storage.run_directory import Watch


@dataclass(frozen=True)
class Invocation:
    """One call of ``subsel``.

    Attributes
    ----------
    given : dict
        The flags that were given, by the names of their fields.
    command : str
        The whole command line, quoted for a shell.
    policy : Policy
        Sizes up to which work is done in this process, among others.
    watch : callable, optional
        Told of the files that are read and written.
    """

    given: dict[str, Any]
    command: str = ""
    policy: Policy = DEFAULT_POLICY
    watch: Watch | None = None


@dataclass(frozen=True)
class Answer:
    """What a subcommand says at its end.

    Attributes
    ----------
    text : str
        For people, without the last line's end.
    data : mapping
        The same and more for programs, ready for JSON: what ``--json`` prints.
    """

    text: str
    data: Mapping[str, Any]


@dataclass(frozen=True)
class Command:
    """A subcommand.

    Attributes
    ----------
    name : str
        Its word.
    add : callable
        Adds its parser, with its flags, to argparse's subparsers.
    run : callable
        Does it, and returns what standard output shows.
    """

    name: str
    add: Callable[[Any], None]
    run: Callable[[Invocation], Answer]
