"""What the page on installing says of packages is what the metadata of today say."""

import re
import runpy
from pathlib import Path

import pytest

pytest.importorskip("tomllib")  # of Python 3.11
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("extra", ["none", "doc2vec"])  # torch and Ray bring others on other machines
def test_the_page_has_the_number_of_packages(extra):
    """The number moves with what others need: where it does, run the job and write what it says."""
    job = runpy.run_path(str(ROOT / "jobs" / "install_sizes.py"))
    found = job["of_extra"]("" if extra == "none" else extra)
    assert found["missing"] == []
    page = (ROOT / "docs" / "install.md").read_text()
    row = re.search(rf"^\| `?{extra}`? \|.*\| (\d+) \| ([\d,]+) \|$", page, re.MULTILINE)
    assert abs(int(row[1]) - found["packages"]) <= 3
    assert int(row[2].replace(",", "")) == pytest.approx(found["megabytes"], rel=0.2)
