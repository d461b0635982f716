"""``make audit`` says in one line that there is no network, and otherwise what was found."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ANSWERS = {
    "no network": ("", "Traceback (most recent call last):\\n  File x\\nConnectionError: HTTPSConnectionPool", 1),
    "found": ("Name Version ID\\njinja2 1.0 X-1", "Found 1 known vulnerability in 1 package", 1),
    "clean": ("", "No known vulnerabilities found", 0),
}


@pytest.mark.fault
@pytest.mark.parametrize("case", ANSWERS)
def test_an_audit_without_a_network_is_one_line(case, tmp_path):
    out, err, status = ANSWERS[case]
    tools = tmp_path / "tools" / "bin"
    tools.mkdir(parents=True)
    (tools / "uv").touch()
    (tools / "pip-audit").write_text(f"#!/bin/sh\nprintf '{out}\\n'\nprintf '{err}\\n' >&2\nexit {status}\n")
    os.chmod(tools / "pip-audit", 0o755)
    call = ["make", "--no-print-directory", "-C", str(ROOT), "audit", f"VENV={tmp_path}"]
    alone = {name: value for name, value in os.environ.items() if name not in ("MAKELEVEL", "MAKEFLAGS", "MFLAGS")}
    done = subprocess.run(call, capture_output=True, text=True, check=False, env=alone)
    lines = [line for line in done.stderr.splitlines() if not line.startswith("make: ***")]
    if case == "no network":
        assert lines == [
            f"Nothing was looked up: it needs the network (pypi.org). {tmp_path}/tools/audit.log tells more."
        ]
        assert "ConnectionError" in (tmp_path / "tools" / "audit.log").read_text()
    else:
        assert lines == [err]
    assert ("X-1" in done.stdout) == (case == "found")
    assert (done.returncode == 0) == (case == "clean")
