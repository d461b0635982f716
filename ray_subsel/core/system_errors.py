"""Say in one line what the operating system refused, and whether the same command can go on once it is mended."""

from __future__ import annotations

import errno
import os

from ray_subsel.core.errors import InputError, ResourceError

_ROOM, _FILES, _NETWORK = "Make room", "Raise the limit of open files (ulimit -n)", "Check the network"
LACKING: dict[int, str] = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EFBIG: _ROOM,
    errno.EMFILE: _FILES,
    errno.ENFILE: _FILES,
    errno.ENOMEM: "Give it more memory",
    errno.EAGAIN: "Raise the limit of processes (ulimit -u)",
    errno.EIO: "Check the disk",
    errno.EBUSY: "Wait until it is free",
    errno.ETIMEDOUT: _NETWORK,
    errno.ECONNREFUSED: _NETWORK,
    errno.ECONNRESET: _NETWORK,
    errno.ECONNABORTED: _NETWORK,
    errno.EHOSTUNREACH: _NETWORK,
    errno.ENETUNREACH: _NETWORK,
    errno.ENETDOWN: _NETWORK,
    errno.ESTALE: "Mount it again",
}
"""What to do where a resource is missing, by the error's number."""


def words_of(error: BaseException) -> str:
    """Return the first line of an error's own words, or its kind."""
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno)
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def unusable(what: str, error: OSError, way: str, *, more: str = "") -> InputError:
    """Return the one line about a file, folder or stream that the system refused.

    Parameters
    ----------
    what : str
        Its name and what happened: ``/data/out could not be written``.
    error : OSError
    way : str
        What to do, unless a resource is missing; without a full stop.
    more : str
        Said behind the system's words: ``, 3 MB free``.
    """
    lacking = None if error.errno is None else LACKING.get(error.errno)
    kind = InputError if lacking is None else ResourceError
    reason = " ".join(str(error).split()) or type(error).__name__
    return kind(f"{what} ({reason}{more}). {lacking or way}, then run the same command again.")
