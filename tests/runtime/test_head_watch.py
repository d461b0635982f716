"""A server that is gone ends the work; one that is busy, slow for a while or never seen does not."""

import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import nullcontext

import pytest

from ray_subsel.core.errors import ResourceError
from ray_subsel.runtime.head_watch import PATIENCE, Server, forget, lost, seconds_of_patience, servers_of_ray, watched

SOON = {"seconds": 0.3, "period": 0.02}


@pytest.fixture(autouse=True)
def _as_in_a_terminal():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
    forget()


@pytest.fixture
def listening():
    """A server that accepts nothing, as one that is stopped: the kernel does it."""
    with socket.create_server(("127.0.0.1", 0), backlog=1000) as server:
        yield server


def named(server):
    return Server("head node", f"127.0.0.1:{server.getsockname()[1]}")


def test_a_server_that_is_gone_interrupts_a_wait(listening):
    server, ended = named(listening), []
    threading.Timer(0.2, listening.close).start()
    line = r"^Ray ended: its head node \(127\.0\.0\.1:\d+\) has not answered for"
    with pytest.raises(ResourceError, match=line), watched([server], **SOON):
        try:
            time.sleep(60)
        finally:
            ended.append("in order")
    assert ended == ["in order"]
    assert isinstance(lost(), ResourceError)
    forget()
    assert lost() is None


def test_what_ray_raises_after_the_loss_is_the_loss(listening):
    with pytest.raises(ResourceError, match="its head node"), watched([named(listening)], **SOON):
        time.sleep(0.1)
        listening.close()
        try:
            time.sleep(60)
        except KeyboardInterrupt:
            raise RuntimeError("lost an actor") from None


def test_a_server_that_goes_before_it_is_asked_again_is_lost(listening):
    with pytest.raises(ResourceError, match="its head node"), watched([named(listening)], seconds=0.3, period=0.1):
        listening.close()
        time.sleep(60)


@pytest.mark.parametrize("own", [True, False])
def test_a_server_that_is_gone_from_the_start_is_lost_where_it_is_our_own(own, listening):
    server = named(listening)
    listening.close()
    began = pytest.raises(ResourceError, match="its head node") if own else nullcontext()
    with began, watched([server], **SOON, own=own):
        time.sleep(60 if own else 1.0)


class Scripted(Server):
    """A server that answers as a script says, then always; it tells when the script is over."""

    def set(self, script):
        object.__setattr__(self, "script", iter(script))
        object.__setattr__(self, "over", threading.Event())
        return self

    def answers(self):
        answer = next(self.script, None)
        if answer is None:
            self.over.set()
        return answer is not False


@pytest.mark.parametrize(
    ("script", "ends"),
    [
        ([True, *[False] * 9, True, *[False] * 9, True], False),
        ([True, *[False] * 10], True),
        ([*[False] * 50], False),
    ],
    ids=["comes back each time", "gone", "never seen"],
)
def test_ten_questions_in_a_row_are_the_loss_of_a_server_that_was_seen(script, ends):
    server = Scripted("head node", "127.0.0.1:1").set(script)
    began = nullcontext() if not ends else pytest.raises(ResourceError)
    with began, watched([server], seconds=0.1, period=0.01):
        assert server.over.wait(30)
        time.sleep(0.1)
    assert (lost() is not None) == ends


def test_a_server_that_is_stopped_still_answers(listening):
    server = named(listening)
    assert all(server.answers() for _ in range(20))
    listening.close()
    assert not server.answers()


def test_the_watch_ends_with_its_block(listening):
    with watched([named(listening)], **SOON):
        pass
    for thread in threading.enumerate():
        if thread.name == "head-watch":
            thread.join(30)
            assert not thread.is_alive()


def test_other_errors_and_interruptions_pass(listening):
    for error in (KeyError, KeyboardInterrupt):
        with pytest.raises(error), watched([named(listening)], **SOON):
            raise error


def test_outside_the_main_thread_it_is_told(listening, capsys):
    seen = []

    def work():
        with watched([named(listening)], **SOON):
            time.sleep(0.1)
            listening.close()
            deadline = time.monotonic() + 30
            while lost() is None and time.monotonic() < deadline:
                time.sleep(0.01)
        seen.append(1)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [1], "whatever needs no Ray goes on"
    assert "subsel: Ray ended: its head node (127" in capsys.readouterr().err


def test_half_of_rays_own_patience(monkeypatch):
    monkeypatch.delenv(PATIENCE, raising=False)
    assert seconds_of_patience() == 30.0
    monkeypatch.setenv(PATIENCE, "300")
    assert seconds_of_patience() == 150.0
    monkeypatch.setenv(PATIENCE, "10")
    assert seconds_of_patience() == 3.0, "the end of a command takes up to 4 s"
    monkeypatch.setenv(PATIENCE, "2")
    assert seconds_of_patience() == 1.0
    monkeypatch.setenv(PATIENCE, "x")
    assert seconds_of_patience() == 30.0


@pytest.mark.usefixtures("ray_session")
def test_the_servers_of_a_ray_answer():
    servers = servers_of_ray()
    assert [server.name for server in servers] == ["head node", "node of this process"]
    assert all(server.answers() for server in servers)


STUCK = """
import socket, sys, time
from concurrent.futures import ThreadPoolExecutor
from ray_subsel.cli.signals import interruptible
from ray_subsel.runtime.head_watch import Server, watched
server = socket.create_server(("127.0.0.1", 0))
address = f"127.0.0.1:{server.getsockname()[1]}"
with interruptible(whole_process=True), ThreadPoolExecutor(1) as pool:
    with watched([Server("head node", address)], 0.2, 0.02):
        pool.submit(time.sleep, 100)
        time.sleep(0.2)
        server.close()
        time.sleep(100)
"""


def test_what_does_not_end_then_is_ended_by_the_command_line():
    done = subprocess.run([sys.executable, "-c", STUCK], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 3, done.stderr
    assert done.stderr.startswith("subsel: error: Ray ended: its head node (127.0.0.1:")
    assert len(done.stderr.splitlines()) == 1
