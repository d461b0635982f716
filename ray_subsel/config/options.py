"""Declare a field of a configuration, which is its command-line flag, and check its value.

A field's ``help`` is its documentation, here and in ``--help``. ``fingerprint_fields`` leaves out what cannot change a
result (paths, numbers of workers), so that a run may be resumed on another machine.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
from collections.abc import Callable
from typing import Any, TypeVar

from ray_subsel.core.errors import invalid, unknown
from ray_subsel.core.numeric import FORMS, number_of_text
from ray_subsel.core.plugins import OUTSIDE

T = TypeVar("T")
WIDEST = 50
"""Characters of the words that a flag takes, as its help shows them after it; longer ones come in its sentence."""


def option(
    default: T,
    help: str,  # noqa: A002 - the word that argparse and every reader knows
    *,
    choices: tuple[str, ...] = (),
    known: tuple[str, ...] = (),
    flag: str = "",
    metavar: str = "",
    parse: Callable[[str], Any] | None = None,
    identity: bool = True,
    later: bool = False,
) -> T:
    """Declare a field: its default, its sentence in ``--help``, and whether it is part of the run's identity.

    The sentence's first part, up to a semicolon, is what the screen of common flags shows. ``choices`` are all that
    there are; ``known`` those of the package, beside which a class may be named. ``parse`` reads a flag's text where
    the type alone does not say how; it raises ValueError. A field that came ``later`` is part of the identity where it
    is not at its default, so that older run directories are resumed.
    """
    words = (*known, OUTSIDE) if known else choices
    shown = metavar or "|".join(words)
    if len(shown) > WIDEST:
        first, *rest = help.split("; ")
        shown, help = "NAME", "; ".join([first, f"{', '.join(words[:-1])} or {words[-1]}", *rest])  # noqa: A001
    metadata = {"help": help, "choices": choices, "flag": flag, "metavar": shown, "identity": identity, "later": later}
    metadata["parse"] = parse
    return dataclasses.field(default=default, metadata=metadata)


def number_or(word: str, number: str = "a number") -> Callable[[str], float | str]:
    """Return what reads a number, as errors call it, or one word in its place."""

    def parse(text: str) -> float | str:
        return text if text == word else flag_number(text, f"be {number} or {word}")

    return parse


def flag_whole(text: str) -> int:
    """Return the whole number that a flag's text means: :func:`ray_subsel.core.numeric.number_of_text`."""
    return int(_number(text, f"be a whole number, {FORMS}", whole=True))


def flag_number(text: str, must: str = f"be a number, {FORMS}") -> float:
    """Return the number that a flag's text means."""
    return float(_number(text, must, whole=False))


def _number(text: str, must: str, *, whole: bool) -> int | float:
    found = number_of_text(text, whole=whole)
    if found is None:
        raise argparse.ArgumentTypeError(f"must {must}; got {text!r}")
    return found


def check_choices(config: Any) -> None:
    """Raise InputError for a field whose value is none of its choices."""
    for field in dataclasses.fields(config):
        choices = field.metadata.get("choices")
        value = getattr(config, field.name)
        for one in value if isinstance(value, tuple) else (value,):
            if choices and one is not None and one not in choices:
                raise unknown(field.name, one, choices)


def check_positive(config: Any, *names: str) -> None:
    """Raise InputError for a field that is not above 0."""
    for name in names:
        value = getattr(config, name)
        if value is not None and not (math.isfinite(value) and value > 0):
            raise invalid(name, "be above 0", value)


def check_share(config: Any, *names: str, zero: bool = False) -> None:
    """Raise InputError for a field that is no share, in (0, 1], or in [0, 1] where ``zero``."""
    for name in names:
        value = getattr(config, name)
        if value is not None and not ((0 <= value if zero else 0 < value) and value <= 1):
            raise invalid(name, f"lie in {'[' if zero else '('}0, 1]", value)


def plain(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields ready for JSON."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in fields.items()}


def fingerprint_fields(config: Any) -> dict[str, Any]:
    """Return the fields of a configuration that decide its result, ready for JSON."""
    deciding = [field for field in dataclasses.fields(config) if field.metadata.get("identity", True)]
    values = {field.name: getattr(config, field.name) for field in deciding}
    return plain(
        {f.name: values[f.name] for f in deciding if not f.metadata.get("later") or values[f.name] != f.default}
    )
