"""Make command-line flags of the fields of a configuration, and a configuration of the flags given."""

from __future__ import annotations

import argparse
import dataclasses
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, TypeVar

from ray_subsel.config.options import flag_number, flag_whole
from ray_subsel.core.errors import InputError
from ray_subsel.core.suggest import did_you_mean
from ray_subsel.core.terminal import answer

C = TypeVar("C")

HELP_ALL = "--help-all"


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line; it takes no abbreviations, which a new flag could make another."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"allow_abbrev": False, **settings})

    def flags(self) -> dict[str, str]:
        """Return the flag of each field."""
        return {action.dest: action.option_strings[-1] for action in self._actions if action.option_strings}

    def error(self, message: str) -> NoReturn:
        """Raise InputError."""
        raise InputError(f"{message} ({self.prog} --help tells more)")

    def _print_message(self, message: str, file: Any = None) -> None:
        """Write help and version as results are written: in any encoding, and to a reader that may end."""
        del file
        answer(message.rstrip("\n"))


def command_parsers(parser: Parser) -> dict[str, Parser]:
    """Return the parser of each subcommand."""
    found = next(action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return dict(found.choices)


def unknown_flags(parser: Parser, rest: Sequence[str]) -> InputError:
    """Return the error for arguments that a command does not take."""
    word = next((one for one in rest if one.startswith("-")), rest[0])
    flag = word.partition("=")[0]
    if flag.startswith("--"):
        near = did_you_mean(flag, parser.flags().values())
        hint = near or f"{parser.prog} {HELP_ALL} shows all."
        return InputError(f"{flag} must be a flag of {parser.prog}; there is none. {hint}")
    return InputError(f"{parser.prog} must be given files before its flags; got {word!r} after them.")


def in_flags(error: InputError, parser: Parser, given: Mapping[str, Any]) -> str:
    """Return the line of an error with the parameters that it begins with as the flags of a command.

    A field that another flag stands for (``--per`` names the column of ``group``) is that flag where it was ``given``.
    """
    flags = parser.flags()
    if given.get("group") is None and given.get("per") is not None:
        flags["group"] = flags["per"]
    by_word = {flag.lstrip("-").replace("-", "_"): flag for flag in flags.values()} | flags
    words = error.parameter.split(", ")
    if not all(word in by_word for word in words):
        return str(error)
    return ", ".join(by_word[word] for word in words) + str(error)[len(error.parameter) :]


def _reader(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """Return what argparse calls with a flag's text: an error of ``parse`` is shown after the flag's name."""

    def read(text: str) -> Any:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return read


NUMBERS: dict[type, Callable[[str], Any]] = {int: flag_whole, float: flag_number}


def _flag(field: dataclasses.Field[Any]) -> str:
    return "--" + (field.metadata["flag"] or field.name).replace("_", "-")


def add_flags(parser: argparse.ArgumentParser, config: type, *, title: str, skip: Sequence[str] = ()) -> None:
    """Add one flag a field; a flag that another stage has too (``--seed``) is one flag for both."""
    group = parser.add_argument_group(title)
    types = typing.get_type_hints(config)
    taken = parser._option_string_actions
    for field in dataclasses.fields(config):
        if field.name in skip or _flag(field) in taken:
            continue
        about = field.metadata["help"]
        default = field.default
        if default not in (None, (), "", False):
            shown = " ".join(map(str, default)) if isinstance(default, tuple) else default
            about += f" (default: {shown})"
        settings: dict[str, Any] = {"dest": field.name, "help": about, "default": argparse.SUPPRESS}
        kind = types[field.name]
        if kind is bool:
            settings["action"] = "store_true"
        elif field.metadata["parse"] is not None:
            settings |= {"type": _reader(field.metadata["parse"]), "metavar": field.metadata["metavar"]}
        else:
            inner = [one for one in typing.get_args(kind) if one not in (type(None), Ellipsis)]
            base = inner[0] if inner else kind
            settings["type"] = NUMBERS.get(base, base)
            settings["metavar"] = field.metadata["metavar"] or {int: "N", float: "X", str: "NAME"}[base]
            if typing.get_origin(kind) is tuple:
                settings["action"] = "append"
        group.add_argument(_flag(field), **settings)


def build(config: type[C], given: dict[str, Any], **more: Any) -> C:
    """Build a configuration from the flags that were given."""
    names = {field.name for field in dataclasses.fields(config)}  # type: ignore[arg-type]
    values = {name: tuple(v) if isinstance(v, list) else v for name, v in given.items() if name in names}
    return config(**{**values, **more})
