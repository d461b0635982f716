"""Count the packages that each extra installs, and their megabytes, from what is installed here: no download.

python jobs/install_sizes.py [--extra embed]

Run it where ``.[all]`` is installed, with Python 3.11 or later. A package counts with all files that its installer
recorded, compiled ones left out; one that several packages need counts once. One line of JSON an extra, each with what
the first has.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import tomllib
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PACKAGE = "ray-subsel"
PROJECT = Path(__file__).parents[1] / "pyproject.toml"
EXTRAS = ("", "embed", "doc2vec", "ray", "all")


def declared(extra: str) -> list[str]:
    """Return what pyproject.toml says that an extra needs; "" stands for none."""
    project = tomllib.loads(PROJECT.read_text())["project"]
    return list(project["optional-dependencies"][extra] if extra else project["dependencies"])


def required(name: str, extra: str) -> list[str]:
    """Return what a package says that it needs with an extra; nothing where it is not installed."""
    if name == PACKAGE:
        return declared(extra)
    try:
        lines = distribution(name).requires or []
    except PackageNotFoundError:
        return []
    return [line for line in lines if (mark := Requirement(line).marker) is None or mark.evaluate({"extra": extra})]


def needed(name: str, extra: str, seen: set[tuple[str, str]]) -> Iterator[str]:
    """Yield all that a package needs with an extra here; each pair is looked at once."""
    if (name, extra) in seen:
        return
    seen.add((name, extra))
    for line in required(name, extra):
        requirement = Requirement(line)
        other = canonicalize_name(requirement.name)
        if other != PACKAGE:
            yield other
        for inner in ("", *requirement.extras):
            yield from needed(other, inner, seen)


def megabytes(name: str) -> float:
    """Return what the files of a package take."""
    files = [file for file in distribution(name).files or () if file.suffix != ".pyc"]
    return sum(path.stat().st_size for file in files if (path := file.locate()).is_file()) / 1e6


def of_extra(extra: str) -> dict[str, object]:
    """Return what an extra brings, with what comes without any."""
    seen: set[tuple[str, str]] = set()
    names = sorted({*needed(PACKAGE, "", seen), *needed(PACKAGE, extra, seen)})
    missing = []
    total = 0.0
    for name in names:
        try:
            total += megabytes(name)
        except PackageNotFoundError:
            missing.append(name)
    return {"extra": extra or "none", "packages": len(names), "megabytes": round(total), "missing": missing}


def seconds_to_import() -> float:
    """Return the CPU seconds of a process that imports the package and ends, the least of five."""
    script = "import resource, ray_subsel; used = resource.getrusage(resource.RUSAGE_SELF); print(sum(used[:2]))"
    return min(float(subprocess.check_output([sys.executable, "-c", script])) for _ in range(5))


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the sizes, and the seconds of an import."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--extra", action="append", choices=EXTRAS[1:], help="these alone; may be given again")
    given = parser.parse_args(arguments)
    for extra in given.extra or EXTRAS:
        print(json.dumps(of_extra(extra)), flush=True)
    print(json.dumps({"import ray_subsel": round(seconds_to_import(), 2)}))


if __name__ == "__main__":
    main()
