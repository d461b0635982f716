"""Open a filesystem by a local path or a URI; a remote one answers within a limit of seconds or is given up in a line.

S3 and Google's store try again by themselves, waiting longer each time, for as long as is said here. Whatever a
filesystem does of itself, a call that lists, opens, moves or deletes waits ``LIMIT`` seconds for its answer, tells when
it waits, and is tried again where the network failed. Reading and writing of an open file has the store's own limit.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import wait
from functools import lru_cache
from typing import Any, TypeVar

import pyarrow as pa
from pyarrow import fs

from ray_subsel.core.daemon_thread import in_daemon_thread
from ray_subsel.core.errors import InputError, ResourceError, invalid
from ray_subsel.core.system_errors import words_of
from ray_subsel.core.terminal import tell
from ray_subsel.core.uris import without_secrets

T = TypeVar("T")

LIMIT = 60.0
"""Seconds that a call to a remote filesystem may take."""
QUIET = 10.0
"""Seconds after which it is told that a call has no answer yet."""
ATTEMPTS = 3
"""How often a call is made that the network fails."""
PAUSE = 1.0
"""Seconds before the second attempt; each further waits twice as long."""
CONNECT = 10.0
"""Seconds to connect to S3."""

TRANSIENT = (
    "network",
    "timeout",
    "timed out",
    "slow_down",
    "unavailable",
    "internal_failure",
    "connect",
    "curl",
    "resolve",
)
"""Words of errors that may pass, in lower case."""

OBJECT_STORES = ("s3", "gcs", "abfs")
"""Filesystems in which a folder is a part of a file's name, and nothing that must be made first."""


def open_filesystem(uri: str) -> tuple[fs.FileSystem, str]:
    """Return the filesystem and the path inside it of a local path or a URI that pyarrow knows.

    Raises
    ------
    InputError
        When the scheme is unknown or the filesystem does not answer.
    """
    try:
        if "://" in uri:
            return _from_address(uri)
        return fs.LocalFileSystem(), os.path.abspath(os.path.expanduser(uri))
    except InputError:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        must = "be a local path or a URI that pyarrow reads"
        raise invalid("path", must, without_secrets(uri), without_secrets(f"({words_of(error)})")) from error


@lru_cache(maxsize=64)
def _from_address(uri: str) -> tuple[fs.FileSystem, str]:
    """Return what a URI stands for; a local path, by contrast, means another file once the process is elsewhere."""
    filesystem, path = patiently(lambda: _from_uri(uri), uri)
    if not isinstance(filesystem, fs.LocalFileSystem):
        filesystem = fs.PyFileSystem(Patient(filesystem, without_secrets(uri)))
    return filesystem, path


def _from_uri(uri: str) -> tuple[fs.FileSystem, str]:
    scheme, place = uri.split("://", 1)
    if scheme in ("gs", "gcs") and "retry_limit_seconds" not in place:
        uri += f"{'&' if '?' in place else '?'}retry_limit_seconds={int(LIMIT)}"
    filesystem, path = fs.FileSystem.from_uri(uri)
    if isinstance(filesystem, fs.S3FileSystem):
        settings = filesystem.__reduce__()[1][0]  # what pickle rebuilds it from; a URI cannot say how long to wait
        settings |= {"connect_timeout": CONNECT, "request_timeout": LIMIT}
        filesystem = fs.S3FileSystem(**settings, retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=ATTEMPTS))
    return filesystem, path


def is_object_store(filesystem: fs.FileSystem) -> bool:
    """Tell whether folders need not be made, and every file is a regular one."""
    return str(filesystem.type_name).removeprefix("py::") in OBJECT_STORES


def patiently(
    call: Callable[[], T],
    what: str,
    *,
    limit: float = LIMIT,
    quiet: float = QUIET,
    pause: float = PAUSE,
    say: Callable[[str], None] = tell,
) -> T:
    """Return what a call returns, made again where the network fails.

    Parameters
    ----------
    call : callable
    what : str
        The file or folder, for what is told.
    limit : float
        Seconds for one attempt.
    quiet : float
        Seconds after which it is told that there is no answer yet.
    pause : float
        Seconds before the second attempt.
    say : callable
        Takes a line.

    Raises
    ------
    ResourceError
        Where there is no answer in time, or the network fails in every attempt.
    """
    shown = without_secrets(what)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _within(call, shown, limit, quiet, say)
        except OSError as error:
            if not _may_pass(error):
                raise
            if attempt == ATTEMPTS:
                raise ResourceError(
                    f"{shown} could not be reached in {ATTEMPTS} attempts ({words_of(error)}). Check the network and "
                    "the credentials, then run the same command again."
                ) from error
            wait = pause * 2 ** (attempt - 1)
            say(f"{shown}: {words_of(error)}; attempt {attempt + 1} of {ATTEMPTS} in {wait:g} s")
            time.sleep(wait)
    raise AssertionError


def _within(call: Callable[[], T], shown: str, limit: float, quiet: float, say: Callable[[str], None]) -> T:
    """Make a call in a thread of its own, which is left behind where it does not end: nothing can stop it."""
    answer = in_daemon_thread(call)
    done, _ = wait([answer], min(quiet, limit))
    if not done:
        say(f"{shown}: no answer for {min(quiet, limit):g} s; given up after {limit:g} s")
        done, _ = wait([answer], max(0.0, limit - quiet))
    if not done:
        raise ResourceError(
            f"{shown} did not answer within {limit:g} s. Check the network and the credentials, then run the same "
            "command again."
        )
    return answer.result()


def _may_pass(error: OSError) -> bool:
    if isinstance(error, FileNotFoundError | PermissionError | FileExistsError | IsADirectoryError):
        return False
    text = str(error).lower()
    return any(word in text for word in TRANSIENT)


class Patient(fs.FileSystemHandler):  # type: ignore[misc]
    """Another filesystem, each call of which goes through :func:`patiently`."""

    def __init__(self, inner: fs.FileSystem, name: str) -> None:
        self.inner, self.name = inner, name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Patient) and bool(self.inner == other.inner)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self.name)

    def _do(self, method: str, *arguments: Any, **options: Any) -> Any:
        return patiently(lambda: getattr(self.inner, method)(*arguments, **options), self.name)

    def get_type_name(self) -> str:
        """Return the filesystem's kind."""
        return str(self.inner.type_name)

    def normalize_path(self, path: str) -> str:
        """Return a path in the filesystem's own form."""
        return str(self.inner.normalize_path(path))

    def get_file_info(self, paths: list[str]) -> Any:
        """Return what is known of some paths."""
        return self._do("get_file_info", paths)

    def get_file_info_selector(self, selector: fs.FileSelector) -> Any:
        """Return what is known of all in a folder."""
        return self._do("get_file_info", selector)

    def create_dir(self, path: str, recursive: bool) -> None:
        """Make a folder."""
        self._do("create_dir", path, recursive=recursive)

    def delete_dir(self, path: str) -> None:
        """Delete a folder."""
        self._do("delete_dir", path)

    def delete_dir_contents(self, path: str, missing_dir_ok: bool = False) -> None:
        """Delete what is in a folder."""
        self._do("delete_dir_contents", path, missing_dir_ok=missing_dir_ok)

    def delete_root_dir_contents(self) -> None:
        """Delete everything."""
        self._do("delete_dir_contents", "/", accept_root_dir=True)

    def delete_file(self, path: str) -> None:
        """Delete a file."""
        self._do("delete_file", path)

    def move(self, src: str, dest: str) -> None:
        """Give a file another name."""
        self._do("move", src, dest)

    def copy_file(self, src: str, dest: str) -> None:
        """Copy a file."""
        self._do("copy_file", src, dest)

    def open_input_stream(self, path: str) -> Any:
        """Open a file to read it once."""
        return self._do("open_input_stream", path, compression=None)

    def open_input_file(self, path: str) -> Any:
        """Open a file to read it anywhere."""
        return self._do("open_input_file", path)

    def open_output_stream(self, path: str, metadata: Any) -> Any:
        """Open a file to write it."""
        return self._do("open_output_stream", path, compression=None, metadata=metadata)

    def open_append_stream(self, path: str, metadata: Any) -> Any:
        """Open a file to write at its end."""
        return self._do("open_append_stream", path, compression=None, metadata=metadata)
