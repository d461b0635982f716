"""Notice that Ray's head node, or the node of this process, is gone, and end the work before Ray ends the process.

Ray's clients wait ``RAY_gcs_rpc_server_reconnect_timeout_s`` seconds, by default 60, for a GCS server that is gone, as
one with Redis behind it may come back; then they end the process with lines of their own. Work that is given to a
raylet that is gone waits without end. So both are asked for a connection when the block begins, and every second. After
half of that time without one, or what leaves enough of it to end in order, the main thread is interrupted, as by
Ctrl-C, and the block ends with a :class:`ResourceError`. The kernel accepts connections for a server that is busy or
stopped, so a slow machine is no loss.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from ray_subsel.core.errors import ResourceError
from ray_subsel.runtime.progress import log_line

PATIENCE, DEFAULT_PATIENCE = "RAY_gcs_rpc_server_reconnect_timeout_s", 60.0
"""Ray's own setting, and what it is where nobody sets it."""

PERIOD, ANSWER = 1.0, 0.5
"""Seconds from one question to the next, and that an answer may take."""

END = 7.0
"""Seconds that are left for the end of a command, before Ray ends its process."""

UNREACHABLE = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN)

_lost: list[ResourceError] = []


@dataclass(frozen=True)
class Server:
    """A process of Ray without which this one cannot go on.

    Attributes
    ----------
    name : str
        What the terminal calls it.
    address : str
        Host and port.
    """

    name: str
    address: str

    def answers(self) -> bool:
        """Tell whether a connection is accepted; a failure that is this process's own, as of open files, says yes."""
        host, _, port = self.address.rpartition(":")
        try:
            with socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER):
                return True
        except (ConnectionError, TimeoutError):
            return False
        except OSError as error:
            return error.errno not in UNREACHABLE


def servers_of_ray() -> list[Server]:
    """Return the head node and the node of this process, of the Ray that it is connected to."""
    import ray

    context = ray.get_runtime_context()
    own = context.get_node_id()
    found = [Server("head node", context.gcs_address)]
    found += [
        Server("node of this process", f"{node['NodeManagerAddress']}:{node['NodeManagerPort']}")
        for node in ray.nodes()  # type: ignore[no-untyped-call]
        if node["NodeID"] == own
    ]
    return found


def seconds_of_patience() -> float:
    """Return after how many seconds without an answer a server is lost.

    Half of those after which Ray ends the process, or ``END`` before it, whichever is earlier; at least a question.
    """
    try:
        patience = float(os.environ[PATIENCE])
    except (KeyError, ValueError):
        patience = DEFAULT_PATIENCE
    return max(PERIOD, min(patience / 2, patience - END))


def lost() -> ResourceError | None:
    """Return what ends or ended the work of a :func:`watched` block, until :func:`forget`."""
    return _lost[0] if _lost else None


def forget() -> None:
    """Let :func:`lost` tell of what comes from here on."""
    _lost.clear()


@contextmanager
def watched(servers: Sequence[Server], seconds: float, period: float = PERIOD, *, own: bool = False) -> Iterator[None]:
    """End the block with a ResourceError where a server does not accept connections for so many seconds.

    A server that has never answered is not watched, as its port may be closed to this machine, unless this process has
    started it (``own``). Outside the main thread the block cannot be interrupted; the loss is then told, and whatever
    Ray raises for it is the ResourceError.
    """
    forget()
    in_main = threading.current_thread() is threading.main_thread()
    ended, ending = threading.Event(), threading.Lock()

    def strike(error: ResourceError) -> None:
        with ending:
            if not ended.is_set():
                _lost.append(error)
                if not (in_main and _interrupt()):
                    log_line(f"subsel: {error}")

    seen = {server: 0 for server in servers if own or server.answers()}  # also those that are lost at once
    thread = threading.Thread(
        target=_watch, args=(servers, seen, seconds, period, ended, strike), name="head-watch", daemon=True
    )
    thread.start()
    try:
        yield
        with ending:  # from here on nobody interrupts
            ended.set()
    except (KeyboardInterrupt, Exception) as error:
        if _lost:
            raise _lost[0] from error
        raise
    finally:
        ended.set()


def _watch(
    servers: Sequence[Server],
    unanswered: dict[Server, int],
    seconds: float,
    period: float,
    ended: threading.Event,
    strike: Callable[[ResourceError], None],
) -> None:
    """Ask every server now and then; what counts are questions in a row, so time that this process slept is none."""
    spent = 0.0
    while not ended.wait(max(0.0, period - spent)):
        began = time.monotonic()
        for server in servers:
            if server.answers():
                unanswered[server] = 0
            elif server in unanswered:
                unanswered[server] += 1
                if unanswered[server] * period >= seconds:
                    return strike(
                        ResourceError(
                            f"Ray ended: its {server.name} ({server.address}) has not answered for {seconds:.0f} s. "
                            "Look to its machines, then run the same command again."
                        )
                    )
        spent = time.monotonic() - began
    return None


def _interrupt() -> bool:
    """Raise KeyboardInterrupt in the main thread, also in the middle of a wait; tell whether a handler does so."""
    main = threading.main_thread().ident
    for number in (signal.SIGINT, signal.SIGTERM):
        if main is not None and callable(signal.getsignal(number)):
            signal.pthread_kill(main, number)
            return True
    return False
