"""Help: a screen of common flags, and every flag where that is asked for."""

import dataclasses

import pytest

from ray_subsel.cli import main, make_parser
from ray_subsel.cli.flags import command_parsers
from ray_subsel.cli.help import COMMON


def shown(capsys, *arguments):
    with pytest.raises(SystemExit) as caught:
        main(list(arguments))
    assert caught.value.code == 0
    return capsys.readouterr().out


def test_help_is_a_screen_and_says_how_many_flags_it_hides(capsys):
    short, long = shown(capsys, "select", "--help"), shown(capsys, "select", "--help-all")
    assert "--near" in short
    assert "--max-length" not in short
    assert "--max-length" in long
    assert "more flags: subsel select --help-all" in short
    assert "more flags" not in long
    assert len(short.splitlines()) <= 48 < len(long.splitlines())


def test_a_screen_tells_a_flag_in_a_few_words_and_its_short_default(capsys):
    short, long = (" ".join(shown(capsys, "select", flag).split()) for flag in ("--help", "--help-all"))
    assert "--near X collapse near copies first --quota" in short
    assert "--near X collapse near copies first; items whose cosine" in long
    assert "what is maximized; graph_cut, facility_location," in long
    assert "decides what flags leave open (default: auto)" in short
    assert "files, folders or globs; quote a glob" in short


@pytest.mark.parametrize("everything", [False, True])
def test_help_of_every_command_fits_a_terminal_of_80_columns(everything, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    parser = make_parser(everything=everything)
    commands = command_parsers(parser)
    for one in (parser, *commands.values()):
        assert [line for line in one.format_help().splitlines() if len(line) >= 80] == []
    told = " ".join(commands["select"].format_help().split())
    assert ("--objective NAME what is maximized; graph_cut, facility_location," in told) is everything


def test_examples_of_the_help_are_understood():
    import shlex

    from ray_subsel.cli.main import EXAMPLES

    commands = [line.partition(" < ")[0].strip() for line in EXAMPLES.splitlines() if line.startswith("  subsel")]
    assert len(commands) > 5
    for command in commands:
        words = shlex.split(command)[1:]
        assert make_parser().parse_args(words).command == words[0]


def test_hidden_flags_are_counted(capsys):
    flags = command_parsers(make_parser())["select"].flags()
    hidden = set(flags) - COMMON - {"help", "==SUPPRESS=="}
    assert f"{len(hidden)} more flags" in shown(capsys, "select", "--help")


def test_what_is_common_is_a_flag():
    known = {dest for parser in command_parsers(make_parser()).values() for dest in parser.flags()}
    assert known >= COMMON


def test_no_arguments_show_help(capsys):
    assert main([]) == 0
    assert "usage: subsel" in capsys.readouterr().out


def test_a_job_s_help_has_its_own_name(capsys):
    with pytest.raises(SystemExit):
        main(["select", "--help"], program="select_subset.py")
    assert capsys.readouterr().out.startswith("usage: select_subset.py DATA")


def test_every_flag_has_a_sentence():
    for parser in command_parsers(make_parser()).values():
        for action in parser._actions:
            assert action.help, action.dest


def test_fields_of_configurations_are_flags_of_their_command():
    from ray_subsel.config import SelectConfig

    flags = command_parsers(make_parser())["select"].flags()
    assert {field.name for field in dataclasses.fields(SelectConfig)} <= set(flags)
