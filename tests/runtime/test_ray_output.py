"""What Ray prints by itself is no part of a command's answer."""

import sys
import threading

import pytest

from ray_subsel.runtime.progress import quiet
from ray_subsel.runtime.ray_output import THREAD, ray_prints_apart, shut_down_ray

SENTENCE = "1 worker(s) were killed due to the node running low on memory"
KILLED = f"\x1b[33m(raylet)\x1b[0m {SENTENCE}. Refer to the docs.\nMore"


def as_ray(text):
    """Print a text as Ray's driver does."""
    thread = threading.Thread(target=lambda: sys.stdout.write(f"{text}\n"), name=THREAD)
    thread.start()
    thread.join()


@pytest.mark.fault
def test_ray_writes_to_standard_error_one_sentence_once_and_others_where_they_did(capsys):
    before = sys.stdout
    with ray_prints_apart():
        as_ray(KILLED)
        as_ray(KILLED)
        sys.stdout.write("the answer\n")
        assert sys.stdout.encoding == before.encoding
    assert sys.stdout is before
    said = capsys.readouterr()
    assert said.out == "the answer\n"
    assert said.err == f"Ray: {SENTENCE}\n"


@pytest.mark.fault
def test_what_ray_has_kept_back_is_told_when_it_is_shut_down(monkeypatch, capsys):
    def shutdown():
        sys.stdout.write(f"{KILLED}\n")
        sys.stdout.write("(raylet) Another. More\n")

    monkeypatch.setattr("ray.shutdown", shutdown)
    with ray_prints_apart():
        as_ray(KILLED)
        shut_down_ray()
        sys.stdout.write("the answer\n")
    said = capsys.readouterr()
    assert said.out == "the answer\n"
    assert said.err == f"Ray: {SENTENCE}\nRay: Another\n"


def test_outside_such_a_block_ray_prints_where_it_likes(monkeypatch, capsys):
    monkeypatch.setattr("ray.shutdown", lambda: sys.stdout.write("leftover"))
    shut_down_ray()
    assert capsys.readouterr().out == "leftover"


def test_quiet_is_quiet(capsys):
    with quiet(), ray_prints_apart():
        as_ray(KILLED)
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "")


def test_a_stream_that_others_have_put_there_stays(monkeypatch, capsys):
    other = sys.__stderr__
    before = sys.stdout
    with ray_prints_apart():
        monkeypatch.setattr(sys, "stdout", other)
    assert sys.stdout is other
    monkeypatch.setattr(sys, "stdout", before)


def test_without_standard_output_there_is_nothing_to_keep(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    with ray_prints_apart():
        assert sys.stdout is None


@pytest.mark.usefixtures("ray_session")
def test_ray_prints_in_the_thread_of_that_name():
    assert THREAD in {thread.name for thread in threading.enumerate()}
