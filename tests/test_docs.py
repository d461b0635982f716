"""The pages on structure name files that exist, and their examples run."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = ("architecture", "extending", "glossary")


@pytest.mark.parametrize("page", PAGES)
def test_files_that_are_named_exist(page):
    text = (ROOT / "docs" / f"{page}.md").read_text()
    named = set(re.findall(r"\b(?:ray_subsel|tests|docs)/[\w/.]*\w(?:\.\w+|/)", text)) - {
        "ray_subsel/objectives/NAME.py",
        "ray_subsel/embedders/NAME.py",
        "ray_subsel/stages/NAME.py",
    }
    assert not [name for name in named if not (ROOT / name).exists()]


EXAMPLES = [
    pytest.param(page, example, shown, id=f"{page}-{number}")
    for page in (
        "data.md",
        "extending.md",
        "filters.md",
        "per-group.md",
        "recipes.md",
        "stages.md",
        "streaming.md",
        "targets.md",
        "updates.md",
    )
    for number, (example, shown) in enumerate(
        re.findall(r"```python\n(.*?)```(?:\n\n((?: {4}[^\n]*\n)+))?", (ROOT / "docs" / page).read_text(), re.DOTALL)
    )
]


@pytest.mark.parametrize(("page", "example", "shown"), EXAMPLES)
def test_examples_run_and_print_what_is_shown(page, example, shown, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    exec(compile(example, f"docs/{page}", "exec"), {"__name__": "example"})
    if "print(" in example:
        assert shown
        assert capsys.readouterr().out.endswith(re.sub(r"^ {4}", "", shown, flags=re.MULTILINE))


DOCS = sorted((ROOT / "docs").glob("*.md"))


def test_every_page_has_its_place_on_the_site():
    nav = (ROOT / "mkdocs.yml").read_text().partition("\nnav:")[2]
    assert [page.name for page in DOCS if f": {page.name}\n" not in nav] == []


@pytest.mark.parametrize(
    "page", [*DOCS, ROOT / "docs/results/README.md", ROOT / "README.md"], ids=lambda page: page.name
)
def test_links_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    links = {link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link}
    assert [link for link in links if link and not (page.parent / link).exists()] == []


def test_the_python_page_runs_from_top_to_bottom():
    pytest.importorskip("imblearn")
    names = {"__name__": "example"}
    for example in re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "python.md").read_text(), re.DOTALL):
        exec(compile(example, "docs/python.md", "exec"), names)


README = (ROOT / "README.md").read_text()
PRINTED = re.findall(r"```python\n(.*?)```\n\n((?: {4}[^\n]*\n)+)", README, re.DOTALL)


@pytest.mark.parametrize(("code", "shown"), PRINTED, ids=range(len(PRINTED)))
def test_python_of_the_readme_prints_what_it_shows(code, shown, capsys):
    exec(compile(code, "README.md", "exec"), {"__name__": "example"})
    assert capsys.readouterr().out == re.sub(r"^ {4}", "", shown, flags=re.MULTILINE)


COMMANDS = [
    line.split("  ")[0].split(" #")[0].strip() for line in re.findall(r"^ {4}(subsel .*)$", README, re.MULTILINE)
]


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_of_the_readme_are_understood(command):
    import shlex

    from ray_subsel.cli import make_parser

    given = make_parser().parse_args(shlex.split(command)[1:])
    assert given.command == shlex.split(command)[1]


def test_flags_that_the_readme_names_are_there():
    from ray_subsel.cli import make_parser
    from ray_subsel.cli.flags import command_parsers

    known = {flag for parser in command_parsers(make_parser()).values() for flag in parser.flags().values()}
    named = set(re.findall(r"`[^`]*?(--[a-z][a-z-]+)", README)) - {"--extra-index-url"}
    assert named <= known


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_demo_prints_what_the_readme_shows(tmp_path):
    command = ["make", "demo", "STAMP=", f"BIN={Path(sys.executable).parent}", f"DEMO={tmp_path}"]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    check_demo(done.stdout.replace(f"{tmp_path}/", ""))


def check_demo(told):
    """Compare what the demo prints with the lines and the sentence of the README."""
    shown = re.search(r"near copies\):\n\n((?: {4}[^\n]*\n)+)", README)
    assert shown is not None
    lines = [line[4:] for line in shown[1].splitlines()]
    assert [line for line in lines if line not in told.splitlines()] == []
    (verdict,) = [line for line in told.splitlines() if line.startswith("Use ")]
    assert " ".join(verdict.split()) in " ".join(README.split())
