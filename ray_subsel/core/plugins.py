"""Look up a class by name: in a table of the package, as ``MODULE:CLASS``, or among entry points of installed packages.

A module from outside is imported only because the user has named it, or a name that an installed package has registered
in its metadata; nothing is searched for and no folder is scanned.
"""

from __future__ import annotations

import inspect
import sysconfig
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, TypeVar

from ray_subsel.core.errors import InputError, Verbatim, invalid, unknown
from ray_subsel.core.hashing import fingerprint

T = TypeVar("T")

OUTSIDE = "MODULE:CLASS"
"""How a class from outside the package is named."""
PACKAGE = __name__.partition(".")[0]


def find_class(parameter: str, name: str, table: Mapping[str, type[T]], group: str, base: Any) -> type[T]:
    """Return the class that a name stands for.

    Parameters
    ----------
    parameter : str
        What is named, for errors: ``objective``.
    name : str
        A key of ``table``, ``MODULE:CLASS``, or the name of an entry point.
    table : mapping of str to class
        The package's own; they come first.
    group : str
        Entry points in which other packages register theirs: ``ray_subsel.objectives``.
    base : class
        What the class must derive from: T, which may be abstract.

    Raises
    ------
    InputError
        When there is no such name, its module cannot be imported, or its class cannot be used.
    """
    if name in table:
        return table[name]
    if ":" in name:
        outside: type[T] = _usable(parameter, name, _import(parameter, name), base)
        return outside
    registered = {point.name: point for point in entry_points(group=group)}
    if name in registered:
        installed: type[T] = _usable(parameter, name, _load(parameter, name, registered[name]), base)
        return installed
    known = [*table, *sorted(registered.keys() - table.keys())]
    raise unknown(parameter, name, known, also=f", or {OUTSIDE}")


def is_own(found: type) -> bool:
    """Tell whether a class is part of this package."""
    return found.__module__.partition(".")[0] == PACKAGE


def is_installed(found: type) -> bool:
    """Tell whether a class is part of an installed package, which other machines have, too."""
    places = [Path(sysconfig.get_path(name)) for name in ("purelib", "platlib", "stdlib")]
    try:
        file = Path(inspect.getfile(found)).resolve()
    except (OSError, TypeError):  # defined in a console or in an extension module
        return False
    return any(file.is_relative_to(place.resolve()) for place in places)


def source_fingerprint(found: type) -> str:
    """Return what tells a class from its later versions: its name and a hash of its file, where it has one."""
    try:
        code = Path(inspect.getfile(found)).read_bytes()
    except (OSError, TypeError):  # defined in a console or in an extension module
        code = b""
    return f"{found.__module__}:{found.__qualname__}@{fingerprint(code.hex())}"


def _import(parameter: str, name: str) -> Any:
    module, _, attribute = name.partition(":")
    if not module or not attribute:
        raise invalid(parameter, f"have the form {OUTSIDE}", name)
    try:
        found: Any = import_module(module)
    except Exception as error:  # whatever the module's own code raises
        way = f"Its folder must be on PYTHONPATH ({_words(error)})."
        raise invalid(parameter, "name a module that can be imported", name, way) from error
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise invalid(parameter, "name a class of its module", name, f"{module} has no {attribute}.")
        found = getattr(found, part)
    return found


def _load(parameter: str, name: str, point: EntryPoint) -> Any:
    try:
        return point.load()
    except Exception as error:  # as above
        must = "name an entry point that can be loaded"
        raise invalid(parameter, must, name, f"{point.value}: {_words(error)}.") from error


def _usable(parameter: str, name: str, found: Any, base: Any) -> Any:
    if not (isinstance(found, type) and issubclass(found, base)):
        raise invalid(parameter, f"be a class that derives from {base.__module__}.{base.__name__}", name)
    missing = sorted(getattr(found, "__abstractmethods__", ()))
    if missing:
        raise invalid(parameter, f"define {', '.join(missing)}", Verbatim(f"{name}, which does not"))
    if not isinstance(getattr(found, "name", None), str):
        raise invalid(parameter, "have a name", Verbatim(f"{name} without one"), 'Add name = "..." to the class.')
    return found


def _words(error: BaseException) -> str:
    if isinstance(error, InputError):
        return str(error)
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
