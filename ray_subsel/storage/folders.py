"""List local folders: each once, however many links lead to it, so that loops of links end."""

from __future__ import annotations

import glob
import os
from collections import deque
from dataclasses import dataclass, field

from ray_subsel.core.errors import InputError
from ray_subsel.core.system_errors import unusable


@dataclass(frozen=True)
class Listing:
    """What lies under a folder.

    Attributes
    ----------
    files, folders : list of str
        Paths below the folder as links lead to them, sorted; the folder itself is the first of the folders.
    repeated : list of str
        Links to folders that are listed already, sorted: these were not followed.
    """

    files: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)


def list_folder(folder: str) -> Listing:
    """List a folder and all below it, hidden ones too; links are followed once folders of their own are listed.

    Raises
    ------
    InputError
        For a folder that cannot be read: it is named.
    """
    found, seen = Listing(), set()
    folders, links = deque([folder]), deque[str]()
    while folders or links:
        linked = not folders
        place = (links if linked else folders).popleft()
        try:
            status = os.stat(place)
            if (identity := (status.st_dev, status.st_ino)) in seen:
                found.repeated.append(place)
                continue
            seen.add(identity)
            found.folders.append(place)
            with os.scandir(place) as entries:
                for entry in sorted(entries, key=lambda one: one.name):
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    elif entry.is_symlink() and os.path.isdir(entry.path):
                        links.append(entry.path)
                    else:
                        found.files.append(entry.path)
        except OSError as error:
            raise _unlisted(place, error) from error
    return Listing(sorted(found.files), [folder, *sorted(found.folders[1:])], sorted(found.repeated))


def matches(pattern: str) -> list[str]:
    """Return the local paths that a glob matches, sorted; ``**`` stands for any folders, each of them once."""
    before, deep, behind = pattern.partition("**")
    if not deep:
        return sorted(glob.glob(pattern))
    found: set[str] = set()
    for start in glob.glob(before) if glob.has_magic(before) else [before]:
        if not os.path.isdir(start):
            continue
        for folder in list_folder(start).folders:
            below = os.path.relpath(folder, start)
            if any(part.startswith(".") and part != "." for part in below.split("/")):
                continue
            rest = behind.lstrip("/")
            found.update(matches(os.path.join(glob.escape(os.path.normpath(folder)), rest)) if rest else [folder])
    return sorted(found)


def _unlisted(folder: str, error: OSError) -> InputError:
    return unusable(f"{folder} could not be listed", error, "Make it readable or name the files in it")
