"""What a subcommand of ``subsel`` is."""

from __future__ import annotations

from collections.abc import Callable
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
class Command:
    """A subcommand.

    Attributes
    ----------
    name : str
        Its word.
    add : callable
        Adds its parser, with its flags, to argparse's subparsers.
    run : callable
        Does it, and returns the text for standard output.
    """

    name: str
    add: Callable[[Any], None]
    run: Callable[[Invocation], str]
