"""What errors and help tell users to type is there: every flag and file format that is named."""

from __future__ import annotations

import argparse
import ast
import re
from pathlib import Path

import ray_subsel
from ray_subsel.cli.main import make_parser
from ray_subsel.config import FORMATS
from ray_subsel.corpus.files import ENDINGS
from ray_subsel.corpus.formats import FILE_FORMATS

ROOT = Path(ray_subsel.__file__).parent
OTHERS = {"--no-index", "--find-links", "--num-cpus", "--head", "--block", "--skew", "--classes"}
"""Flags of other programs, and of jobs."""


def flags(parser: argparse.ArgumentParser) -> set[str]:
    found = set(parser._option_string_actions)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                found |= flags(inner)
    return found


def words_of(path: Path) -> set[str]:
    """Return the flags in the texts of a module, docstrings left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    told = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    texts = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told
    ]
    return {word for text in texts for word in re.findall(r"(?<![\w-])--[a-z][a-z-]*[a-z]", text)}


def test_every_flag_that_a_message_names_exists():
    known = flags(make_parser()) | OTHERS
    assert {str(path): unknown for path in ROOT.rglob("*.py") if (unknown := words_of(path) - known)} == {}


def test_every_format_can_be_named_and_read():
    assert set(FORMATS) - {"auto"} == set(FILE_FORMATS)
    assert set(ENDINGS.values()) <= set(FILE_FORMATS)
