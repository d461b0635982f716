"""Signals end a command within seconds, whatever it is doing."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from ray_subsel.cli import main
from ray_subsel.cli.signals import interruptible
from tests.faults.conftest import Runs, chosen

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def _as_in_a_terminal():
    """Undo what nohup or a shell's background set: who runs the tests may have SIGINT and SIGHUP ignored."""
    defaults = (signal.default_int_handler, signal.SIG_DFL, signal.SIG_DFL)
    before = [signal.signal(number, default) for number, default in zip(NUMBERS, defaults, strict=True)]
    yield
    for number, handler in zip(NUMBERS, before, strict=True):
        signal.signal(number, handler)


STUCK = """
import sys, time
from concurrent.futures import ThreadPoolExecutor
from ray_subsel.cli.signals import interruptible
with interruptible(whole_process=True):
    with ThreadPoolExecutor(1) as pool:
        pool.submit(time.sleep, 100)
        print("ready", flush=True)
        time.sleep(100)
"""


@pytest.mark.fault
@pytest.mark.parametrize(("times", "seconds"), [(1, 5.0), (2, 1.5)])
def test_work_that_does_not_end_is_ended(times, seconds):
    child = subprocess.Popen([sys.executable, "-c", STUCK], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "ready\n"
    began = time.monotonic()
    for _ in range(times):
        child.send_signal(signal.SIGINT)
        time.sleep(0.1)
    _, said = child.communicate(timeout=30)
    assert time.monotonic() - began < seconds + 10  # the machine may be busy; the limit itself is SECONDS
    assert child.returncode == 130
    assert said == "subsel: interrupted; the same command again goes on from here\n"


ENDING = """
import atexit, os, signal, sys, time
from ray_subsel.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)
atexit.register(lambda: print("late", flush=True))
def watch(event, name):
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(100)
sys.argv = ["subsel", "select", sys.argv[1], "--text", "body", "--embedder", "tfidf", "--k", "1", "--out", sys.argv[2]]
sys.exit(main(watch=watch))
"""


def test_once_a_signal_is_answered_nothing_more_is_done(tmp_path):
    (tmp_path / "in.csv").write_text("body\nx\ny\n")
    call = [sys.executable, "-c", ENDING, str(tmp_path / "in.csv"), str(tmp_path / "out")]
    done = subprocess.run(call, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 130, done.stderr
    assert done.stdout == ""
    assert done.stderr.endswith("subsel: interrupted; the same command again goes on from here\n")


def test_handlers_are_those_of_before_afterwards():
    before = [signal.getsignal(number) for number in NUMBERS]
    with interruptible(whole_process=False):
        assert signal.getsignal(signal.SIGTERM) is not before[1]
    assert [signal.getsignal(number) for number in NUMBERS] == before
    assert not [thread for thread in threading.enumerate() if thread.name == "signals"]


def test_what_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interruptible(whole_process=False):
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_other_threads_may_run_commands():
    status = []
    thread = threading.Thread(target=lambda: status.append(main(["report", "/none"])))
    thread.start()
    thread.join()
    assert status == [2]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return Runs(tmp_path_factory.mktemp("signals"))


MOMENTS = ("rows/part-*", "rows/index.json", "embeddings/part-*", "near/*", "candidates/*", "selection*", "report.json")


@pytest.mark.fault
@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: number.name)
def test_a_signal_in_every_stage_is_one_line_and_the_rerun_goes_on(number, runs, tmp_path, capsys):
    from fnmatch import fnmatch

    out, seen = tmp_path / "out", []
    command = runs.command(out, "--near", "0.99")

    for moment in MOMENTS:

        def watch(event, name, moment=moment):
            if event == "write" and fnmatch(name, moment) and moment not in seen:
                seen.append(moment)
                os.kill(os.getpid(), number)
                time.sleep(0.01)  # the handler runs here

        began = time.monotonic()
        assert main(command, watch=watch) == 130, moment
        assert time.monotonic() - began < 60
        assert capsys.readouterr().err.splitlines()[-1].startswith("subsel: interrupted; the same command again")
        assert not list(out.rglob("*.tmp-*"))
    assert seen == list(MOMENTS)
    assert main(command) == 0
    assert chosen(out) == runs.ids("--near", "0.99")
