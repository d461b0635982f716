"""Turn whatever ends a command into one line and an exit status: the only place that decides either.

| status | what |
|---|---|
| 0 | done |
| 1 | a fault of the program: the line says where the traceback is kept |
| 2 | unusable input or settings |
| 3 | a resource is missing (room, memory, files, network, Ray): the same command goes on once it is there |
| 130 | interrupted (SIGINT, SIGTERM, SIGHUP): the same command goes on |
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import traceback
from dataclasses import dataclass

from ray_subsel.core.errors import InputError, ResourceError
from ray_subsel.core.system_errors import is_of_system, number_of, unusable, words_of
from ray_subsel.core.uris import without_secrets
from ray_subsel.storage.manifest import NAME as MANIFEST
from ray_subsel.storage.run_directory import RunDir

DONE, FAULT, UNUSABLE, MISSING, INTERRUPTED = 0, 1, 2, 3, 130
LOG = "error.log"
AGAIN = "then run the same command again"


@dataclass(frozen=True)
class Failure:
    """How a command ended that did not end well.

    Attributes
    ----------
    status : int
        The exit status.
    line : str
        What the terminal is told.
    """

    status: int
    line: str


def failure_of(error: BaseException, out: str | None = None) -> Failure:
    """Return the status and the line of whatever a command raised.

    Parameters
    ----------
    error : BaseException
    out : str, optional
        The directory of the run: a fault of the program leaves its traceback there.
    """
    if isinstance(error, KeyboardInterrupt):
        return Failure(INTERRUPTED, "subsel: interrupted; the same command again goes on from here")
    known = _as_input_error(error)
    if known is None:
        place = _log(error, out)
        return Failure(FAULT, f"subsel: fault: {type(error).__name__}: {words_of(error)}; the traceback is in {place}")
    status = MISSING if isinstance(known, ResourceError) else UNUSABLE
    return Failure(status, f"subsel: error: {' '.join(str(known).split())}")


def _as_input_error(error: BaseException) -> InputError | None:
    """Return the error as one whose line a user can act on; None where it can only be a fault of the program."""
    from ray_subsel.runtime.ray_session import input_error_in, is_of_ray

    if (known := input_error_in(error)) is not None:
        return known
    chain = list(_causes(error))
    if any(isinstance(one, MemoryError) or type(one).__name__ == "OutOfMemoryError" for one in chain):
        return ResourceError(f"memory ran out ({words_of(error)}). Give it more memory or less to do, {AGAIN}.")
    for one in chain:
        if isinstance(one, OSError) and is_of_system(one) and not is_of_ray(one):
            return unusable(_subject(one), one, "Mend it")
        if isinstance(one, RuntimeError) and "start new thread" in str(one):
            return ResourceError(f"no further thread could be started. Raise the limit (ulimit -u), {AGAIN}.")
    if is_of_ray(error):
        return ResourceError(f"Ray ended ({type(error).__name__}: {words_of(error)}). Look to its machines, {AGAIN}.")
    return None


def _causes(error: BaseException | None) -> list[BaseException]:
    """Return an error and what it says to have come from; of a library's own kind of OSError, what was handled, too."""
    found: list[BaseException] = []
    beneath = False
    while error is not None and error not in found:
        found.append(error)
        beneath = beneath or (isinstance(error, OSError) and not is_of_system(error))
        reason = getattr(error, "reason", None)  # of urllib
        error = error.__cause__ or ((reason if isinstance(reason, OSError) else error.__context__) if beneath else None)
    return found


def _subject(error: OSError) -> str:
    name = error.filename if isinstance(error.filename, str | bytes) else None
    if name:
        return f"{os.fsdecode(name)} could not be used"
    return "the system refused to go on" if number_of(error) is not None else "a file or a service could not be used"


def _log(error: BaseException, out: str | None) -> str:
    """Write the traceback into the run's directory, or where there is none a temporary one; return the file's path."""
    text = without_secrets("".join(traceback.format_exception(error)))
    if out is not None:
        with contextlib.suppress(Exception):
            run = RunDir(out)
            if run.exists(MANIFEST):
                run.write_bytes(LOG, text.encode("utf-8", "backslashreplace"))
                return run.path(LOG)
    try:
        with tempfile.NamedTemporaryFile("w", prefix="subsel-", suffix=".log", delete=False, errors="replace") as file:
            file.write(text)
            return file.name
    except OSError:
        return "no file: no place could be written. --debug shows it"
