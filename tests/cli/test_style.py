"""Colour on a terminal alone, and never with NO_COLOR."""

import io

import pytest

from ray_subsel.cli.style import style, style_error

TEXT = "selected  3 of 9 items\nwarning   few\nreport    r.html"


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")


def test_a_terminal_gets_bold_words_and_yellow_warnings():
    shown = style(TEXT, Terminal())
    assert "\x1b[1mselected\x1b[0m  3 of 9" in shown
    assert "\x1b[33mwarning   few" in shown
    assert style_error("subsel: error: no", Terminal()) == "subsel: \x1b[31merror:\x1b[0m no"


def test_elsewhere_nothing_is_coloured(monkeypatch):
    assert style(TEXT, io.StringIO()) == TEXT
    monkeypatch.setenv("NO_COLOR", "1")
    assert style(TEXT, Terminal()) == TEXT
    assert style_error("subsel: error: no", Terminal()) == "subsel: error: no"
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert style(TEXT, Terminal()) == TEXT
