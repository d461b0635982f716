"""What a Ray that is started here is surrounded by: its ports, its folder, its noise, its failures."""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ray_subsel.core.errors import InputError, ResourceError
from ray_subsel.core.system_errors import words_of
from ray_subsel.runtime.progress import log_line

IN_A_JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""Ray sets it for the entry point of a submitted job, where ``ray.init()`` must be given no address."""

STARTS, PAUSE = 2, 5.0
"""How often Ray is started where it does not start in time, and the seconds between."""

OPEN_FILES = 1024

OOM_RETRIES, OOM_RETRIES_VARIABLE = 8, "RAY_task_oom_retries"
"""Ray waits twice as long before each, from a second on: some four minutes together."""

LONGEST_FOLDER = 18
"""Bytes of the path of the temporary folder that leave room for the names of Ray's sockets."""
_FOLDER = re.compile(r"subsel-([0-9]+)-\w+")


def in_a_cluster() -> bool:
    """Tell whether this process belongs to a cluster: that of a submitted job, or of ``RAY_ADDRESS``."""
    return IN_A_JOB in os.environ or "RAY_ADDRESS" in os.environ


def keep_to_this_machine(address: str) -> None:
    """Make a local Ray listen on the loopback interface alone, and ask for a token that only its own processes know.

    Ray reads these variables when it is imported, so this comes first; a Ray that the caller has imported is left as it
    is. The first is what Ray has for machines without clusters: its node is then 127.0.0.1, and every port is bound to
    that. Without a token of our own Ray writes one under the home directory, and later Rays behave by whether it is
    there.
    """
    if "ray" in sys.modules or address not in ("auto", "local") or in_a_cluster():
        return
    os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    if os.environ["RAY_AUTH_MODE"] == "token" and "RAY_AUTH_TOKEN_PATH" not in os.environ:
        os.environ.setdefault("RAY_AUTH_TOKEN", uuid.uuid4().hex)


def bound_retries() -> None:
    """Let Ray begin a task again no more than ``OOM_RETRIES`` times whose worker its memory monitor kills.

    By default it does so without end, and where a machine has no memory left the worker is killed before it counts its
    start (:func:`ray_subsel.runtime.tasks.attempt`). The driver decides that, also on a cluster; Ray reads the variable
    when it is imported.
    """
    os.environ.setdefault(OOM_RETRIES_VARIABLE, str(OOM_RETRIES))


def check_open_files(needed: int = OPEN_FILES) -> None:
    """Let this process, and so Ray's, open as many files as Ray needs; raises ResourceError where it may not.

    Ray's own processes crash at a lower limit, one after the other.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise ResourceError(
            f"Ray could not be started here: it opens some {needed} files, and {hard} may be open. Raise the limit "
            "(ulimit -n), then run the same command again."
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def address_limit() -> int | None:
    """Return how many bytes of addresses a process may have (ulimit -v); None where that is not limited."""
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if soft == resource.RLIM_INFINITY else soft


def start_patiently(start: Callable[[], None], stop: Callable[[], None], pause: float = PAUSE) -> None:
    """Start Ray; on a machine too busy to start it in time, once more.

    Where addresses are limited, its object store ends Ray's own processes, each time: there it is started once.

    Parameters
    ----------
    start, stop : callable
        ``stop`` takes away what a start that failed has left.
    pause : float
        Seconds before the next attempt.

    Raises
    ------
    ResourceError
        Where Ray does not start, whatever it says itself.
    """
    limit = address_limit()
    starts = STARTS if limit is None else 1
    for attempt in range(1, starts + 1):
        try:
            start()
        except InputError:  # says itself what went wrong
            raise
        except Exception as error:
            stop()
            reason = words_of(error).rstrip(".")
            if attempt < starts and "time" in reason.lower():
                log_line(f"Ray did not start in time ({reason}); attempt {attempt + 1} of {starts} in {pause:g} s")
                time.sleep(pause)
                continue
            addresses = (
                "" if limit is None else f", addresses for a third of the memory (ulimit -v: {limit / 1e9:.1f} GB)"
            )
            raise ResourceError(
                f"Ray could not be started here ({type(error).__name__}: {reason}). It needs some 2 GB of memory, a "
                f"hundred files (ulimit -n) and threads (ulimit -u){addresses}, and room in /tmp; mend that, then run "
                "the same command again. --debug tells more."
            ) from error
        else:
            return


@contextmanager
def session_folder() -> Iterator[str]:
    """Yield a folder for Ray's logs, sockets and spilled objects that goes with the block.

    It lies in the temporary folder, or in /tmp where the paths of sockets, of 107 bytes at most, would be too long.
    Folders of processes that were killed are taken away as well.
    """
    place = os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()
    if len(os.fsencode(place)) > LONGEST_FOLDER:
        place = "/tmp"
    for name in os.listdir(place):
        owner = _FOLDER.fullmatch(name)
        if owner is not None and not os.path.exists(f"/proc/{owner[1]}") and os.path.isdir("/proc/self"):
            shutil.rmtree(os.path.join(place, name), ignore_errors=True)
    folder = tempfile.mkdtemp(prefix=f"subsel-{os.getpid()}-", dir=place)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def own_signals() -> Iterator[None]:
    """Keep this process's answer to signals: Ray takes SIGTERM for itself when it starts."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def no_chatter() -> Iterator[None]:
    """Hold back what Ray's core writes to standard error while it starts; if the start fails, it is the error's cause.

    The core would later report as an error that an actor's arguments lie in the object store, as they should; a higher
    level silences that, but is itself announced in a line that only this holds back.
    """
    if "RAY_BACKEND_LOG_LEVEL" in os.environ:
        yield
        return
    os.environ["RAY_BACKEND_LOG_LEVEL"] = "fatal"
    real = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except Exception as error:
            held.seek(0)
            said = held.read().decode("utf-8", "replace")
            if error.__cause__ is None and said:
                error.__cause__ = RuntimeError(said)
            raise
        finally:
            os.dup2(real, 2)
            os.close(real)
            del os.environ["RAY_BACKEND_LOG_LEVEL"]


@contextmanager
def frugal_workers() -> Iterator[None]:
    """Let the workers of a Ray that is started here compute with one thread each, and allocate from two arenas.

    There is a worker a CPU, so more would be in each other's way: with two threads each, spinning while they wait, two
    workers on two cores took fifteen times as long. Ray does the same unless the variable is set, and workers inherit
    what is set when it starts. An arena a thread, as the GNU allocator has them, keeps memory that others could use.
    The driver keeps its own settings.
    """
    wanted = {"OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": os.environ.get("MALLOC_ARENA_MAX", "2")}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
