"""Write and read the state of a stream: one ``.npz`` of arrays, settings among them as JSON; nothing is pickled."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ray_subsel.core.errors import InputError, invalid
from ray_subsel.core.system_errors import unusable

SCHEMA = 1
_SETTINGS = "settings"
_NO_DATE = (1980, 1, 1, 0, 0, 0)


def state_bytes(settings: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return a state as the content of a file."""
    stream = io.BytesIO()
    text = json.dumps({"schema": SCHEMA, **settings}, ensure_ascii=False)
    members = {_SETTINGS: np.frombuffer(text.encode(), dtype=np.uint8), **arrays}
    with zipfile.ZipFile(stream, "w") as file:
        for name, array in members.items():  # by hand: numpy would write the time of day as well
            with file.open(zipfile.ZipInfo(f"{name}.npy", _NO_DATE), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)
    return stream.getvalue()


def read_state(content: bytes | str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return settings and arrays of a state, or of the file that has one.

    Raises
    ------
    InputError
        Where it is no whole state, or of another version.
    """
    shown = "the state" if isinstance(content, bytes) else str(content)
    try:
        with np.load(io.BytesIO(content) if isinstance(content, bytes) else content, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        settings = json.loads(arrays.pop(_SETTINGS).tobytes())
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{shown} must be the saved state of a stream; it could not be read ({reason}).") from error
    if settings.get("schema") != SCHEMA:
        raise invalid(f"{shown}", f"have schema {SCHEMA}", settings.get("schema"), "Another version has written it.")
    return settings, arrays


def write_state(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file whole or not at all."""
    temporary = f"{os.fspath(path)}.tmp-{os.getpid()}"
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise unusable(f"{os.fspath(path)} could not be written", error, "Make it writable") from error
