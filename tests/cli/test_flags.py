"""Mistakes on the command line: the flag that is meant is named."""

import pytest

from ray_subsel.cli import main, make_parser
from ray_subsel.cli.flags import command_parsers, in_flags
from ray_subsel.core.errors import InputError, invalid


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["slect"], "COMMAND must be one of run, .*; got 'slect'. Did you mean 'select'?"),
        (["select", "x", "--txt", "b"], "--txt must be a flag of subsel select; there is none. Did you mean '--text'?"),
        (["select", "x", "--zzz"], "there is none. subsel select --help-all shows all."),
        (["select", "x", "--fract", "0.1"], "--fract must be a flag of subsel select"),
        (
            ["select", "x", "--text", "a", "--k", "5", "y"],
            "must be given files before its flags; got 'y'",
        ),
        (
            ["select", "x", "--text", "a", "--k", "1", "--objective", "facility"],
            "--objective must be one of .*; got 'facility'. Did you mean 'facility_location'?",
        ),
        (["embed", "x", "--text", "a", "--task", "txt"], "--task must be one of .*; got 'txt'. Did you mean 'text'?"),
    ],
)
def test_a_mistyped_word_gets_the_known_one(arguments, message, tmp_path, capsys):
    import re

    more = ["--out", str(tmp_path / "out")] if arguments[0] != "slect" else []
    assert main([*arguments, *more]) == 2
    line = capsys.readouterr().err
    assert re.search(message.replace("?", r"\?"), line), line
    assert line.count("\n") == 1


def test_a_mistyped_column_gets_the_known_one(tmp_path, capsys):
    (tmp_path / "a.csv").write_text("body,other\nx,y\n")
    call = ["select", str(tmp_path / "a.csv"), "--text", "bodi", "--k", "1", "--out", str(tmp_path / "o")]
    assert main(call) == 2
    assert "--text must be a column of" in (line := capsys.readouterr().err)
    assert "Did you mean 'body'?" in line


@pytest.mark.parametrize(
    ("parameter", "shown"),
    [
        ("near_within", "--near-within must be so"),
        ("k, fraction", "--k, --fraction must be so"),
        ("quota", "--quota must be so"),
        ("quotas", "--quota must be so"),
        ("arm", "--arm must be so"),
        ("row 7", "row 7 must be so"),
    ],
)
def test_parameters_are_told_as_flags(parameter, shown):
    parser = command_parsers(make_parser())["run"]
    assert in_flags(invalid(parameter, "be so", 1), parser, {}).startswith(shown)


def test_an_error_of_other_words_stays():
    parser = command_parsers(make_parser())["run"]
    assert in_flags(InputError("k items are gone"), parser, {}) == "k items are gone"


@pytest.mark.parametrize(
    ("given", "shown"), [({"per": "user"}, "--per"), ({"per": "user", "group": "site"}, "--group"), ({}, "--group")]
)
def test_a_column_that_per_names_is_not_told_as_another_flag(given, shown):
    parser = command_parsers(make_parser())["select"]
    assert in_flags(invalid("group", "be a column", "user"), parser, given) == f"{shown} must be a column; got 'user'."
