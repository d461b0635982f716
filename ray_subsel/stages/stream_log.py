"""Append lines to a file, and cut off what was written behind a checkpoint: each line is there once."""

from __future__ import annotations

import json
import os
from typing import Any

from ray_subsel.core.errors import InputError
from ray_subsel.core.system_errors import unusable


class LineLog:
    """A file of JSON lines.

    Parameters
    ----------
    path : str
        A local path.
    size : int
        Bytes of it that stand; what lies behind them is cut off.
    """

    def __init__(self, path: str, size: int) -> None:
        self.path = path
        try:
            self.file = open(path, "ab")  # noqa: SIM115 - closed by close()
            if self.file.tell() < size:
                raise InputError(f"{path} must hold {size:,} bytes; it is shorter. Give another --out.")
            self.file.truncate(size)
        except OSError as error:
            raise self._unwritten(error) from error
        self.size = size

    def write(self, lines: list[dict[str, Any]]) -> bytes:
        """Append lines, hand them to the system and return them."""
        content = b"".join(json.dumps(line, ensure_ascii=False).encode() + b"\n" for line in lines)
        try:
            self.file.write(content)
            self.file.flush()
        except OSError as error:
            raise self._unwritten(error) from error
        self.size += len(content)
        return content

    def sync(self) -> None:
        """See to it that what was written is on the disk."""
        os.fsync(self.file.fileno())

    def close(self) -> None:
        """Close the file."""
        self.file.close()

    def _unwritten(self, error: OSError) -> InputError:
        return unusable(f"{self.path} could not be written", error, "Make it writable")
