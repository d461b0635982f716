"""Progress: on standard error, with an end."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from functools import partial

import pytest

from ray_subsel.runtime import progress


class Recorded:
    """A bar that writes down what it is told."""

    def __init__(self):
        self.told = []

    def __call__(self, label, total, unit):
        self.told.append(total)
        return self

    def advance(self, amount=1):
        self.told.append(amount)

    def close(self):
        self.told.append("closed")


def test_a_log_gets_a_line_now_and_then_and_none_at_the_end(capsys):
    clock = partial(next, iter([0.0, 1.0, 16.0, 17.0, 40.0]))
    with progress.bar("embed", 100, "row", partial(progress.LogBar, clock=clock)) as bar:
        for amount in (10, 40, 10, 40):
            bar.advance(amount)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "embed: 50 of 100 rows, some 16 s left\n"


def test_the_time_left_is_told_when_a_tenth_is_done(capsys):
    clock = partial(next, iter([0.0, 20.0, 40.0]))
    with progress.bar("embed", 100, "row", partial(progress.LogBar, clock=clock)) as bar:
        bar.advance(9)
        bar.advance(1)
    assert capsys.readouterr().err == "embed: 9 of 100 rows\nembed: 10 of 100 rows, some 360 s left\n"


def test_steps_learn_their_total_on_the_way():
    recorded = Recorded()
    with progress.steps("corpus", "part", recorded) as told:
        told(1, 5)
        told(3, 5)
    assert recorded.told == [5, 1, 2, "closed"]


def test_a_terminal_gets_a_bar(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with progress.bar("select", 2, "partition") as bar:
        bar.advance()
        bar.advance()
    assert "select" in capsys.readouterr().err


def test_a_bar_closes_when_the_work_fails():
    recorded = Recorded()
    with pytest.raises(RuntimeError), progress.bar("embed", 2, "item", recorded):
        raise RuntimeError
    assert recorded.told == [2, "closed"]


def test_quiet_shows_neither_lines_nor_bars(capsys):
    with progress.quiet():
        progress.log_line("a line")
        with progress.bar("embed", 2) as shown:
            shown.advance()
            assert isinstance(shown, progress.NullProgress)
    progress.log_line("another")
    assert capsys.readouterr().err == "another\n"


@pytest.mark.parametrize("size", [(0, 0), (30, 100)])
def test_a_bar_on_a_terminal_shows_rate_and_time_left_even_of_one_without_a_size(size):
    """A terminal of a container tells no columns, which would hide the bar."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
    script = (
        "import time\nfrom ray_subsel.runtime.progress import bar\n"
        "with bar('embed', 4, 'row') as b:\n    for _ in range(4):\n        time.sleep(0.12)\n        b.advance()\n"
    )
    subprocess.run([sys.executable, "-c", script], stderr=theirs, check=True)
    shown = os.read(ours, 1 << 16).decode()
    os.close(ours)
    os.close(theirs)
    assert re.search(r"embed: +50%\|.*2/4 \[00:00<00:00, +[\d.]+row/s\]", shown)
