"""Start and end Ray, and translate its errors for a user."""

from __future__ import annotations

import logging
import re
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any

from ray_subsel.config import RuntimeConfig
from ray_subsel.core.errors import InputError, ResourceError, invalid
from ray_subsel.core.extras import missing_in, need
from ray_subsel.core.plugins import is_installed, is_own
from ray_subsel.runtime.head_watch import seconds_of_patience, servers_of_ray, watched
from ray_subsel.runtime.local_ray import (
    bound_retries,
    check_open_files,
    frugal_workers,
    in_a_cluster,
    keep_to_this_machine,
    no_chatter,
    own_signals,
    session_folder,
    start_patiently,
)
from ray_subsel.runtime.ray_output import ray_prints_apart, shut_down_ray

RAY_PURPOSE = "spread work over processes and machines"


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
        logging.getLogger(name).setLevel(logging.CRITICAL)  # errors are raised, and told in a line of ours


def _start(address: str, folder: str) -> None:
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    with no_chatter():
        _init(address, folder, quiet)


def _init(address: str, folder: str, quiet: dict[str, Any]) -> None:
    import ray

    if address == "auto" and in_a_cluster():
        ray.init(**quiet)
    elif address in ("auto", "local"):
        # "local" and not None: a file of a Ray long gone would make a plain init connect to it.
        ray.init(address="local", include_dashboard=False, _temp_dir=folder, **quiet)
    else:
        try:
            ray.init(address=address, **quiet)
        except (ConnectionError, ValueError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            raise invalid("address", "be local, auto or a running Ray's address", address, f"({reason})") from error


class RaySession:
    """Ray for the length of a ``with`` block, started when it is first asked for.

    A run that is small, or of which everything is done already, starts none. A Ray that the caller has started is used
    and left running.

    Parameters
    ----------
    runtime : RuntimeConfig
    classes : sequence of classes
        What workers are sent, which may have to take along where it is defined: :func:`ship`.

    Attributes
    ----------
    seconds : float
        That it took to start Ray or to connect to it; 0 where this process was connected before.
    """

    def __init__(self, runtime: RuntimeConfig, classes: Sequence[type] = ()) -> None:
        self._runtime = runtime
        self._classes = classes
        self._resources: Resources | None = None
        self._began = False
        self._stack = ExitStack()
        self.seconds = 0.0

    def __enter__(self) -> RaySession:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return self._stack.__exit__(kind, error, trace)

    def start(self) -> Resources:
        """Connect, unless that is done, and return what there is."""
        if self._resources is None:
            began = time.perf_counter()
            self._resources = self._connect()
            self.seconds = time.perf_counter() - began if self._began else 0.0
        return self._resources

    @property
    def resources(self) -> Resources:
        """What the connected Ray offers."""
        return self.start()

    @property
    def there(self) -> Resources | None:
        """What Ray offers where one runs already: the caller's, a submitted job's, that of the address; else None."""
        runs = self._resources is not None or in_a_cluster() or self._runtime.address not in ("auto", "local")
        if not runs and "ray" in sys.modules:
            import ray

            runs = ray.is_initialized()
        return self.start() if runs else None

    def _connect(self) -> Resources:
        need(RAY_PURPOSE, "ray")
        keep_to_this_machine(self._runtime.address)
        bound_retries()
        import ray

        self._stack.enter_context(ray_prints_apart())  # until Ray is shut down
        if not ray.is_initialized():
            check_open_files()
            folder = self._stack.enter_context(session_folder())
            with own_signals(), frugal_workers():
                start_patiently(partial(_start, self._runtime.address, folder), shut_down_ray)
            self._stack.callback(shut_down_ray)
            self._began = True
        _quiet()
        local = self._began and self._runtime.address in ("auto", "local") and not in_a_cluster()
        self._stack.enter_context(watched(servers_of_ray(), seconds_of_patience(), own=local))
        ship(self._classes)
        total = ray.cluster_resources()  # type: ignore[no-untyped-call]
        alive = [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
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
            kind = ResourceError if isinstance(current, ResourceError) else InputError
            found = kind(_first_line(current))
            found.parameter = current.parameter
            return found
        if (lacking := missing_in(current)) is not None:
            return lacking
        pending += [getattr(current, "cause", None), current.__cause__, current.__context__]
    return None


def is_of_ray(error: BaseException) -> bool:
    """Tell whether an error is Ray's own: of a worker, node or object that it lost, and not of the work."""
    if "ray" not in sys.modules:
        return False
    from ray.exceptions import RayError, RayTaskError, UserCodeException

    while isinstance(error, RayTaskError):
        error = error.cause
    # Of an exception that cannot be pickled Ray hands over the words, as a RayError.
    return isinstance(error, RayError) and not isinstance(error, UserCodeException) and type(error) is not RayError


def _first_line(error: InputError) -> str:
    # An error that crossed a process boundary prints the worker's traceback before its own words.
    if error.args and isinstance(error.args[0], str) and "\n" not in error.args[0]:
        return error.args[0]
    lines = [line for line in str(error).splitlines() if line.strip()]
    return re.split(r"(?:Input|Resource)Error: ", lines[-1], maxsplit=1)[-1]
