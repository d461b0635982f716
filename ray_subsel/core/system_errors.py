"""Say in one line what the operating system refused, and whether the same command can go on once it is mended.

Not every OSError is the system's: jinja2.TemplateNotFound, shutil.SameFileError, io.UnsupportedOperation and the errors
of requests and huggingface_hub are of that class too, without a number of the system.
"""

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


_BUILT_IN = "builtins"
_OTHER_NUMBERS = ("socket", "ssl")
"""Modules whose errors have numbers of their own, of an address that was not found or of a certificate."""


def number_of(error: BaseException) -> int | None:
    """Return the number that the system gave an error, None where it gave none."""
    number = error.errno if isinstance(error, OSError) else None
    return number if number in errno.errorcode and not _has_other_numbers(error) else None


def is_of_system(error: BaseException) -> bool:
    """Tell whether the system refused something, also by the network; False for a library's own kind of OSError."""
    if not isinstance(error, OSError):
        return False
    return number_of(error) is not None or type(error).__module__ == _BUILT_IN or _is_of_network(error)


def _has_other_numbers(error: BaseException) -> bool:
    return any(kind.__module__ in _OTHER_NUMBERS for kind in type(error).__mro__)


def _is_of_network(error: BaseException) -> bool:
    return isinstance(error, ConnectionError | TimeoutError) or _has_other_numbers(error)


def words_of(error: BaseException) -> str:
    """Return the first line of an error's own words, or its kind."""
    if (number := number_of(error)) is not None:
        return os.strerror(number)
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
    number = number_of(error)
    lacking = LACKING.get(number) if number is not None else _NETWORK if _is_of_network(error) else None
    kind = InputError if lacking is None else ResourceError
    reason = " ".join(str(error).split()) or type(error).__name__
    return kind(f"{what} ({reason}{more}). {lacking or way}, then run the same command again.")
