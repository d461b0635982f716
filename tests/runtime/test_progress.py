"""Progress: on standard error, with an end."""

import sys

import pytest

from ray_subsel.runtime import progress


def test_a_log_gets_a_line_now_and_then_and_none_at_the_end(capsys, monkeypatch):
    clock = iter([0.0, 1.0, 16.0, 17.0, 40.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    with progress.bar("embed", 100, "row") as bar:
        for amount in (10, 40, 10, 40):
            bar.advance(amount)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "embed: 50 of 100 rows, some 16 s left\n"


def test_steps_learn_their_total_on_the_way(monkeypatch):
    advanced = []

    class Bar:
        def __init__(self, label, total, unit):
            advanced.append(total)

        def advance(self, amount=1):
            advanced.append(amount)

        def close(self):
            advanced.append("closed")

    monkeypatch.setattr(progress, "_Log", Bar)
    monkeypatch.setattr(progress, "_Terminal", Bar)
    with progress.steps("corpus", "part") as told:
        told(1, 5)
        told(3, 5)
    assert advanced == [5, 1, 2, "closed"]


def test_a_terminal_gets_a_bar(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with progress.bar("select", 2, "partition") as bar:
        bar.advance()
        bar.advance()
    assert "select" in capsys.readouterr().err


def test_a_bar_closes_when_the_work_fails(monkeypatch):
    closed = []
    monkeypatch.setattr(progress._Log, "close", lambda self: closed.append(self.label))
    with pytest.raises(RuntimeError), progress.bar("embed", 2):
        raise RuntimeError
    assert closed == ["embed"]
