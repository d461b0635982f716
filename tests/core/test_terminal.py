"""What is written to streams that cannot take it."""

import io
import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_subsel.core.terminal import answer, is_terminal, printable, tell


class Failing(io.StringIO):
    def __init__(self, error):
        super().__init__()
        self.error = error

    def flush(self):
        raise self.error


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8", "utf-16"])
def test_every_encoding_can_show_every_text(encoding, monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding, newline="\n"))
    assert answer("caf\u00e9 \u6f22 \udcff \U0001f600") is None
    shown = raw.getvalue().decode(encoding)
    assert shown.startswith("caf")
    assert "\udcff" not in shown


def test_a_file_name_cannot_command_the_terminal():
    assert printable("a\x1b[2J\r\x07b\x7f\u202e") == "a\\u001b[2J\\u000d\\u0007b\\u007f\\u202e"
    assert printable("one\n\ttwo") == "one\n\ttwo"


def test_progress_that_nobody_takes_ends_nothing(monkeypatch):
    for stream in (None, Failing(OSError(28, "No space left on device")), Failing(BrokenPipeError())):
        monkeypatch.setattr(sys, "stderr", stream)
        tell("a line")
        assert not is_terminal()
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    tell("a line")
    assert not is_terminal()


def test_a_result_that_is_lost_is_known(monkeypatch):
    full = OSError(28, "No space left on device")
    monkeypatch.setattr(sys, "stdout", Failing(full))
    assert answer("result") is full
    monkeypatch.setattr(sys, "stdout", Failing(BrokenPipeError()))
    assert answer("result") is None, "a reader that has ended has what it wants"
    monkeypatch.setattr(sys, "stdout", None)
    assert answer("result") is None, "closed before the process began"


def test_secrets_are_not_shown(capsys):
    tell("reading s3://key:hush@bucket/x")
    answer("s3://key:hush@bucket/y")
    shown = capsys.readouterr()
    assert shown.err == "reading s3://***@bucket/x\n"
    assert shown.out == "s3://***@bucket/y\n"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
@given(st.text())
def test_json_stays_json(encoding, text):
    shown = printable(json.dumps([text], ensure_ascii=False), encoding)
    assert json.loads(shown) == [text]
    shown.encode(encoding)
