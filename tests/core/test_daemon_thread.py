"""A call in a thread of its own: its result, what it raises, and an end that does not wait for it."""

import subprocess
import sys
import threading

import pytest

from ray_subsel.core.daemon_thread import in_daemon_thread


def test_its_result_and_what_it_raises_arrive():
    assert in_daemon_thread(threading.current_thread).result() is not threading.main_thread()
    for kind in (KeyError, SystemExit, KeyboardInterrupt):

        def fail(kind=kind):
            raise kind("x")

        with pytest.raises(kind):
            in_daemon_thread(fail).result()


WAITING = """
import os, signal, threading, time
from ray_subsel.core.daemon_thread import in_daemon_thread
signal.signal(signal.SIGINT, signal.default_int_handler)
threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    in_daemon_thread(lambda: time.sleep(1000)).result()
except KeyboardInterrupt:
    print("interrupted")
"""


def test_waiting_is_interrupted_and_the_process_ends():
    done = subprocess.run([sys.executable, "-c", WAITING], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "interrupted\n", done.stderr
    assert done.returncode == 0
