"""Run Python as it is where some packages are not installed."""

import subprocess
import sys

BLOCK = """
import sys


class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)


sys.meta_path.insert(0, Missing())
"""


def run_without(names, script, check=True):
    """Run a script in a process that cannot import these packages."""
    command = [sys.executable, "-c", BLOCK.format(names=tuple(names)) + script]
    return subprocess.run(command, capture_output=True, text=True, check=check)
