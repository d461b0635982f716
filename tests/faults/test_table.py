"""The table of faults names the tests that inject them, and all of them."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
MARKED = re.compile(r"^@pytest\.mark\.fault\n(?:@.*\n|    .*\n|\)\n)*def (test_\w+)", re.MULTILINE)


def test_every_row_is_a_marked_test_and_every_marked_test_has_a_row():
    rows = re.findall(r"`(tests/[\w/]+\.py::test_\w+)`", (ROOT / "docs" / "faults.md").read_text())
    marked = [
        f"{path.relative_to(ROOT).as_posix()}::{name}"
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        for name in MARKED.findall(path.read_text())
    ]
    assert sorted(rows) == sorted(marked)
    assert rows
