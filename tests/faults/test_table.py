"""The table of faults names the tests that inject them, and all of them."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
MARKED = re.compile(r"^@pytest\.mark\.fault\n(?:@.*\n|    .*\n|\)\n)*def (test_\w+)", re.MULTILINE)
ROW = re.compile(r"^\| (.+) \| (.+) \| (.+) \| `(tests/[\w/]+\.py)::(test_\w+)(?:\[(\w+)\])?` \|$", re.MULTILINE)
NAMED = re.compile(r"""(?:slow\(|id=)"(\w+)\"""")


def test_every_row_is_a_marked_test_and_every_marked_test_has_a_row():
    text = (ROOT / "docs" / "faults.md").read_text()
    rows = ROW.findall(text)
    assert len(rows) == text.count("`tests/"), "a row that is none"
    assert len({row[3:] for row in rows}) == len(rows), "a test with two rows"
    marked = {
        (path.relative_to(ROOT).as_posix(), name)
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in MARKED.findall(path.read_text())
    }
    assert {row[3:5] for row in rows} == marked


def test_a_test_of_several_faults_has_a_row_for_each():
    rows = ROW.findall((ROOT / "docs" / "faults.md").read_text())
    for path in {row[3] for row in rows if row[5]}:
        assert sorted(row[5] for row in rows if row[3] == path and row[5]) == sorted(
            NAMED.findall((ROOT / path).read_text())
        )
