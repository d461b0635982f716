"""Standard output and error that cannot take what is written, in processes of their own."""

import os
import subprocess
import sys

import pytest

SUBSEL = f"{sys.executable} -m ray_subsel.cli"
DONE = "done"

CASES = {
    "full output": ("{run} > /dev/full", 0, "the work is done, see"),
    "full output of a plan": ("{plan} > /dev/full", 3, "standard output could not be written"),
    "full error": ("{run} 2> /dev/full", 0, ""),
    "both closed": ("{run} >&- 2>&-", 0, ""),
    "a reader that ends": ("{help} | head -n 1; exit ${{PIPESTATUS[0]}}", 0, ""),
    "ascii": ("PYTHONIOENCODING=ascii {run}", 0, ""),
}


@pytest.mark.fault
def test_streams_that_fail(tmp_path):
    (tmp_path / "caf\u00e9.csv").write_text("body\n" + "".join(f"text {i}\n" for i in range(9)))
    flags = f"'{tmp_path}/caf\u00e9.csv' --text body --embedder tfidf --k 2"
    started = []
    for number, (case, (command, status, said)) in enumerate(CASES.items()):
        out = tmp_path / f"caf\u00e9-{number}"
        line = command.format(
            run=f"{SUBSEL} select {flags} --out '{out}'", plan=f"{SUBSEL} plan {flags}", help=f"{SUBSEL} run --help-all"
        )
        environment = {**os.environ, "PYTHONUTF8": "0"}
        child = subprocess.Popen(["bash", "-c", line], stderr=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        started.append((case, out, status, said, child))
    for case, out, status, said, child in started:
        output, error = child.communicate(timeout=200)
        assert child.returncode == status, (case, error)
        assert said in error.decode(), case
        assert b"Traceback" not in error + output, case
        assert (out / "selection.parquet").exists() == (case not in ("full output of a plan", "a reader that ends"))
    assert b"caf\\u00e9" in output, "the last is that of ascii"
