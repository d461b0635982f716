"""List the files that a path, a folder, a glob or a URI names, by one rule.

A file that is named counts. In a folder, and under a glob, files count whose names, like those of the folders on the
way to them, begin with neither a dot nor an underscore (but for a glob that spells it). Links to files and folders
count as what they lead to. What does not count: links that lead nowhere, the directories of earlier runs, a file that
was there before under another name. Whoever lists tells what was left out, and why.
"""

from __future__ import annotations

import fnmatch
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pyarrow as pa
from pyarrow import fs

from ray_subsel.core.errors import InputError, invalid
from ray_subsel.core.system_errors import words_of
from ray_subsel.core.uris import without_secrets
from ray_subsel.storage.filesystems import open_filesystem
from ray_subsel.storage.folders import list_folder, matches

HIDDEN = "a name that begins with . or _"
RUN = "the directory of a run"
NOWHERE = "no file, or a link that leads nowhere"
TWICE = "another name of a file that counts"
_WILD = frozenset("*?[")
_MANIFEST = {"schema", "about", "stages"}


@dataclass(frozen=True)
class Entry:
    """A file: its path in its filesystem, the path below what was named, its size and time, its one true path."""

    path: str
    below: str
    size: int
    mtime: int
    real: str


@dataclass
class Listed:
    """The files that one argument names, whether it names one file, and what was left out: path to reason."""

    entries: list[Entry] = field(default_factory=list)
    alone: bool = False
    left_out: dict[str, str] = field(default_factory=dict)


def list_entries(uri: str) -> Listed:
    """List what one argument of the command line names.

    Raises
    ------
    InputError
        Where there is nothing, or what is there cannot be reached.
    """
    with reachable(uri):
        filesystem, path = open_filesystem(uri)
        info = filesystem.get_file_info(path)
        local = isinstance(filesystem, fs.LocalFileSystem)
        if info.type == fs.FileType.File:
            return Listed([_entry(info, path.rpartition("/")[0], local)], alone=True)
        if info.type == fs.FileType.Directory:
            return _folder(filesystem, path, local)
        if local and info.type != fs.FileType.NotFound:
            raise invalid("data", "be a regular file, a folder or a glob", uri, "A pipe or a device may never end.")
        if not _WILD & set(path):
            raise invalid("data", "be an existing file, folder or glob", uri, "Check the path.")
        found = _glob(filesystem, path, local)
    if not found.entries and not found.left_out:
        raise invalid("data", "match at least one file", uri, "Check the glob.")
    return found


@contextmanager
def reachable(uri: str) -> Iterator[None]:
    """Turn whatever a filesystem raises, of which each has errors of its own, into one line."""
    try:
        yield
    except InputError:
        raise
    except (OSError, pa.ArrowException, ValueError, ImportError) as error:
        raise _unreachable(uri, error) from error
    except Exception as error:
        if "://" not in uri:
            raise
        raise _unreachable(uri, error) from error


def _unreachable(uri: str, error: Exception) -> InputError:
    way = without_secrets(f"Check the address, the network and your access ({words_of(error)[:300]}).")
    return invalid("data", "be there and open to you", without_secrets(uri), way)


def _entry(info: fs.FileInfo, root: str, local: bool) -> Entry:
    real = os.path.realpath(info.path) if local else info.path
    below = info.path.removeprefix(root).lstrip("/")
    return Entry(info.path, below, int(info.size), int(info.mtime_ns or 0), real)


def _folder(filesystem: fs.FileSystem, root: str, local: bool) -> Listed:
    """List a folder and the folders in it."""
    found = Listed()
    if local:
        listing = list_folder(root)
        found.left_out |= dict.fromkeys(listing.repeated, TWICE)
        infos = filesystem.get_file_info(listing.files) if listing.files else []
    else:
        infos = filesystem.get_file_info(fs.FileSelector(root, recursive=True, allow_not_found=True))
        infos = [info for info in infos if info.type != fs.FileType.Directory]
    found.left_out |= {info.path: NOWHERE for info in infos if info.type != fs.FileType.File}
    files = [info for info in infos if info.type == fs.FileType.File]
    _keep(filesystem, [_entry(info, root, local) for info in files], found, lambda below: not _hidden(below))
    found.left_out = _outermost(found.left_out, root)
    return found


def _outermost(left_out: dict[str, str], root: str) -> dict[str, str]:
    """Return what was left out, hidden folders once in the place of all that lies in them."""
    found: dict[str, str] = {}
    for path, why in left_out.items():
        parts = path.removeprefix(root).lstrip("/").split("/")
        hidden = next((at for at, part in enumerate(parts) if _hidden(part)), None)
        if hidden is None:
            found[path] = why
        else:
            found["/".join((root.rstrip("/"), *parts[: hidden + 1]))] = HIDDEN
    return found


def _keep(filesystem: fs.FileSystem, entries: list[Entry], found: Listed, wanted: Callable[[str], bool]) -> None:
    """Sort entries into those that count and those that do not."""
    runs = _run_directories(filesystem, entries)
    for entry in entries:
        inside = next((run for run in runs if entry.path.startswith(f"{run}/")), None)
        if inside is not None:
            found.left_out[inside] = RUN
        elif wanted(entry.below):
            found.entries.append(entry)
        else:
            found.left_out[entry.path] = HIDDEN


def _hidden(below: str) -> bool:
    return any(part.startswith((".", "_")) for part in below.split("/") if part)


def _run_directories(filesystem: fs.FileSystem, entries: list[Entry]) -> list[str]:
    """Return the folders that a run of this program has written into, as their manifest says."""
    return [
        entry.path.rpartition("/")[0]
        for entry in entries
        if entry.path.rpartition("/")[2] == "manifest.json" and _is_manifest(filesystem, entry.path)
    ]


def _is_manifest(filesystem: fs.FileSystem, path: str) -> bool:
    try:
        with filesystem.open_input_stream(path) as stream:
            content = json.loads(stream.read())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(content, dict) and content.keys() >= _MANIFEST


def _glob(filesystem: fs.FileSystem, pattern: str, local: bool) -> Listed:
    """List what a glob matches: files, and the folders' files."""
    parts = pattern.split("/")
    fixed = next(i for i, part in enumerate(parts) if _WILD & set(part))
    root = "/".join(parts[:fixed])
    rest = parts[fixed:]
    found = Listed()
    if local:
        there = matches(pattern)
        infos = filesystem.get_file_info(there) if there else []
        odd = (fs.FileType.NotFound, fs.FileType.Unknown)
        found.left_out = {info.path: NOWHERE for info in infos if info.type in odd}
    else:
        selector = fs.FileSelector(root, recursive=True, allow_not_found=True)
        listed = filesystem.get_file_info(selector)
        infos = [i for i in listed if _matches(i.path.removeprefix(root).strip("/").split("/"), rest)]
    for info in infos:
        spelt = _matches_spelt(info.path.removeprefix(root).strip("/").split("/"), rest)
        if info.type == fs.FileType.Directory and spelt:
            inner = _folder(filesystem, info.path.rstrip("/"), local)
            found.entries += inner.entries
            found.left_out |= inner.left_out
        elif info.type == fs.FileType.File and spelt:
            _keep(filesystem, [_entry(info, root, local)], found, lambda _: True)
        elif info.type == fs.FileType.File:
            found.left_out[info.path] = HIDDEN
    return _without_runs(filesystem, root, found)


def _without_runs(filesystem: fs.FileSystem, root: str, found: Listed) -> Listed:
    """Leave out the files of runs: a glob may match them without their manifest."""
    known: dict[str, bool] = {}
    kept = []
    for entry in found.entries:
        folder = entry.path.rpartition("/")[0]
        inside = None
        while len(folder) > len(root) and inside is None:
            if folder not in known:
                manifest = f"{folder}/manifest.json"
                there = filesystem.get_file_info(manifest).type == fs.FileType.File
                known[folder] = there and _is_manifest(filesystem, manifest)
            inside = folder if known[folder] else None
            folder = folder.rpartition("/")[0]
        if inside is None:
            kept.append(entry)
        else:
            found.left_out[inside] = RUN
    found.entries = list({entry.path: entry for entry in kept}.values())  # by itself and by its folder
    return found


def _matches(parts: list[str], pattern: list[str]) -> bool:
    """Tell whether a path, cut at its slashes, matches a glob; ``**`` stands for any number of parts."""
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_matches(parts[skip:], pattern[1:]) for skip in range(len(parts) + 1))
    return bool(parts) and fnmatch.fnmatchcase(parts[0], pattern[0]) and _matches(parts[1:], pattern[1:])


def _matches_spelt(parts: list[str], pattern: list[str]) -> bool:
    """Tell whether each part that begins with a dot or an underscore is spelt so in the glob."""
    if not pattern:
        return not _hidden("/".join(parts))
    if pattern[0] == "**":
        return any(
            not _hidden("/".join(parts[:skip])) and _matches_spelt(parts[skip:], pattern[1:])
            for skip in range(len(parts) + 1)
        )
    if not parts or not fnmatch.fnmatchcase(parts[0], pattern[0]):
        return False
    return (not _hidden(parts[0]) or pattern[0][:1] == parts[0][:1]) and _matches_spelt(parts[1:], pattern[1:])
