"""Start and end Ray, and translate its errors for a user."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ray_subsel.config import RuntimeConfig
from ray_subsel.core.errors import InputError, invalid
from ray_subsel.core.plugins import is_installed, is_own

IN_A_JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""Ray sets it for the entry point of a submitted job, where ``ray.init()`` must be given no address."""


@dataclass(frozen=True)
class Resources:
    """What the connected Ray offers.

    Attributes
    ----------
    cpus, gpus : float
    nodes : int
    local : bool
        Whether it is this machine alone. Elsewhere nodes with GPUs may come when they are asked for.
    """

    cpus: float
    gpus: float
    nodes: int
    local: bool


def _quiet() -> None:
    """Keep Ray's own bars and per-ten-second lines off the terminal; ours stand in their place."""
    from ray.data import DataContext

    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    for name in ("ray.data", "ray.train", "ray"):
        logging.getLogger(name).setLevel(logging.ERROR)


def _in_a_cluster() -> bool:
    return IN_A_JOB in os.environ or "RAY_ADDRESS" in os.environ


def ask_for_a_token(address: str) -> None:
    """Make a local Ray, whose ports listen on every interface, ask for a token that only its own processes know.

    Ray reads these variables when it is imported, so this comes first; a Ray that the caller has imported is left as it
    is. Without them Ray writes a token under the home directory, and later Rays behave by whether it is there.
    """
    if "ray" in sys.modules or address not in ("auto", "local") or _in_a_cluster():
        return
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    if os.environ["RAY_AUTH_MODE"] == "token" and "RAY_AUTH_TOKEN_PATH" not in os.environ:
        os.environ.setdefault("RAY_AUTH_TOKEN", uuid.uuid4().hex)


def _start(address: str) -> None:
    import ray

    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address == "auto" and _in_a_cluster():
        ray.init(**quiet)
    elif address in ("auto", "local"):
        # "local" and not None: a file of a Ray long gone would make a plain init connect to it.
        ray.init(address="local", include_dashboard=False, **quiet)
    else:
        try:
            ray.init(address=address, **quiet)
        except (ConnectionError, ValueError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            raise invalid("address", "be local, auto or a running Ray's address", address, f"({reason})") from error


@contextmanager
def _no_chatter() -> Iterator[None]:
    """Hold back what Ray's core writes to standard error while it starts, and show it if the start fails.

    The core would later report as an error that an actor's arguments lie in the object store, as they should; a higher
    level silences that, but is itself announced in a line that only this holds back.
    """
    if "RAY_BACKEND_LOG_LEVEL" in os.environ:
        yield
        return
    os.environ["RAY_BACKEND_LOG_LEVEL"] = "fatal"
    sys.stderr.flush()
    real = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except InputError:  # says itself what went wrong
            raise
        except BaseException:
            held.seek(0)
            os.write(real, held.read())
            raise
        finally:
            os.dup2(real, 2)
            os.close(real)


@contextmanager
def _frugal_workers() -> Iterator[None]:
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


class RaySession:
    """Ray for the length of a ``with`` block, started when it is first asked for.

    A run that is small, or of which everything is done already, starts none. A Ray that the caller has started is used
    and left running.

    Parameters
    ----------
    runtime : RuntimeConfig
    classes : sequence of classes
        What workers are sent, which may have to take along where it is defined: :func:`ship`.
    """

    def __init__(self, runtime: RuntimeConfig, classes: Sequence[type] = ()) -> None:
        self._runtime = runtime
        self._classes = classes
        self._resources: Resources | None = None
        self._began = False

    def __enter__(self) -> RaySession:
        return self

    def __exit__(self, *_: object) -> None:
        if self._began:
            import ray

            ray.shutdown()

    def start(self) -> Resources:
        """Connect, unless that is done, and return what there is."""
        if self._resources is None:
            self._resources = self._connect()
        return self._resources

    @property
    def resources(self) -> Resources:
        """What the connected Ray offers."""
        return self.start()

    @property
    def there(self) -> Resources | None:
        """What Ray offers where one runs already: the caller's, a submitted job's, that of the address; else None."""
        runs = self._resources is not None or _in_a_cluster() or self._runtime.address not in ("auto", "local")
        if not runs and "ray" in sys.modules:
            import ray

            runs = ray.is_initialized()
        return self.start() if runs else None

    def _connect(self) -> Resources:
        ask_for_a_token(self._runtime.address)
        import ray

        if not ray.is_initialized():
            with _no_chatter(), _frugal_workers():
                _start(self._runtime.address)
            self._began = True
        _quiet()
        ship(self._classes)
        total = ray.cluster_resources()  # type: ignore[no-untyped-call]
        alive = [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
        local = self._began and self._runtime.address in ("auto", "local") and not _in_a_cluster()
        return Resources(total.get("CPU", 1.0), total.get("GPU", 0.0), len(alive), local)


def ship(classes: Iterable[type]) -> None:
    """Let what is sent to workers take these classes along, where a worker may not be able to import them.

    A worker sees the folders of ``PYTHONPATH`` and the packages that are installed, not what the driver has added to
    its path; a worker on another machine not even the former. So classes from elsewhere travel by value, with the code
    of their top-level module or package.
    """
    from_outside = [one for one in classes if not (is_own(one) or is_installed(one))]
    if not from_outside:
        return
    from ray import cloudpickle

    for one in from_outside:
        cloudpickle.register_pickle_by_value(sys.modules[one.__module__.partition(".")[0]])  # type: ignore[no-untyped-call]


def remote(function: Callable[..., Any]) -> Any:
    """Return a function as a Ray task that is tried again when its worker or node is lost, but not when it raises."""
    import ray

    return ray.remote(max_retries=3)(function)


def input_error_in(error: BaseException) -> InputError | None:
    """Return the :class:`InputError` that a worker raised and Ray wrapped, or None if there is none.

    Ray keeps a worker's exception as ``cause`` or ``__cause__`` of its own, at several depths.
    """
    seen: set[int] = set()
    pending: list[BaseException | None] = [error]
    while pending:
        current = pending.pop()
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        if isinstance(current, InputError):
            found = InputError(_first_line(current))
            found.parameter = current.parameter
            return found
        pending += [getattr(current, "cause", None), current.__cause__, current.__context__]
    return None


def _first_line(error: InputError) -> str:
    # An error that crossed a process boundary prints the worker's traceback before its own words.
    if error.args and isinstance(error.args[0], str) and "\n" not in error.args[0]:
        return error.args[0]
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1].split("InputError: ", 1)[-1]
