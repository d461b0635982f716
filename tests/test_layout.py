"""The layout of the package: which folder may import which, and where ray, torch and transformers may be imported."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "ray_subsel"
TESTS = Path(__file__).parent

FLOORS = (
    ("core",),
    ("objectives", "constraints", "dedup", "storage", "report"),
    ("optimizers", "embedders", "filters"),
    ("config",),
    ("runtime",),
    ("partitioned", "streaming", "corpus", "baselines"),
    ("selection", "decisions", "planning", "training", "synthetic"),
    ("stages", "experiments", "api"),
    ("pipeline",),
    ("cli",),
)
"""From the lowest up; a module imports from its own folder and from lower floors only."""

FLOOR = {folder: number for number, folders in enumerate(FLOORS) for folder in folders}
MATHEMATICS = (
    *("core", "objectives", "constraints", "dedup", "filters", "optimizers", "partitioned", "streaming", "selection"),
    "baselines",
)
ALLOWED = {
    "ray": (
        *("runtime/", "stages/", "planning/machine.py"),
        *("training/ray_train.py", "experiments/ray_runner.py", "api/ray_rows.py"),
    ),
    "torch": ("embedders/", "training/"),
    "transformers": ("embedders/", "training/"),
}  # fmt: skip


def modules() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


def imports_of(path: Path, *, for_types: bool = True) -> set[str]:
    """Return the dotted names that a module imports, also inside functions; of ours, down to the module.

    ``for_types``: those under ``if TYPE_CHECKING`` too.
    """
    found: set[str] = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if not for_types:
        tree.body = [
            node for node in tree.body if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test))
        ]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            assert node.module is not None
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if module_file(inner) is not None else node.module)
    return found


def module_file(dotted: str) -> Path | None:
    """Return the file of one of our modules or packages, or None."""
    if dotted.split(".")[0] != ROOT.name:
        return None
    place = ROOT.parent.joinpath(*dotted.split("."))
    for path in (place.with_suffix(".py"), place / "__init__.py"):
        if path.is_file():
            return path
    return None


def folder_of(path: Path) -> str:
    """Return the folder of a module, or the name of one that lies directly in the package."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def test_every_folder_has_its_floor():
    assert {folder_of(path) for path in modules()} == {*FLOOR, "__init__"}
    assert len(FLOORS) <= 10


def test_at_most_five_modules_lie_directly_in_the_package():
    assert len(list(ROOT.glob("*.py"))) <= 5


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_from_lower_floors(path):
    if path == ROOT / "__init__.py":
        return  # the face of the package shows what lies in it
    for name in imports_of(path):
        target = module_file(name)
        if target is None or target == ROOT / "__init__.py" or folder_of(target) == folder_of(path):
            continue
        assert FLOOR[folder_of(target)] < FLOOR[folder_of(path)], f"{path.relative_to(ROOT)} imports {name}"


def test_no_circle_between_modules():
    graph = {}
    for path in modules():
        targets = (module_file(name) for name in imports_of(path, for_types=False))
        graph[path] = {target for target in targets if target is not None and target.name != "__init__.py"} - {path}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(str(path.relative_to(ROOT)) for path in error.args[1]))


@pytest.mark.parametrize("library", ALLOWED)
def test_where_a_library_may_be_imported(library):
    for path in modules():
        if library in {name.split(".")[0] for name in imports_of(path)}:
            assert str(path.relative_to(ROOT)).startswith(ALLOWED[library]), f"{path} imports {library}"


def test_the_mathematics_imports_neither_ray_nor_torch_nor_transformers():
    names = [f"ray_subsel.{folder}" for folder in MATHEMATICS]
    names += [
        ".".join(path.with_suffix("").relative_to(ROOT.parent).parts)
        for path in modules()
        if folder_of(path) in MATHEMATICS and path.name != "__init__.py"
    ]
    script = (
        f"import importlib, sys\nfor name in {['ray_subsel', *names]!r}: importlib.import_module(name)\n"
        "print([name for name in ('ray', 'torch', 'transformers', 'gensim') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


ACROSS = {
    *("test_ways_out", "test_fuzz"),
    *("test_layout", "test_docs", "test_docstrings", "test_outside_classes", "test_cluster_files"),
    *("test_baselines", "test_laws", "test_similarity_objectives", "test_constraints", "test_paced_and_exchange"),
}
"""Tests of more than one module, beside those of whole folders below."""


def test_tests_mirror_the_package():
    astray = []
    for path in sorted(TESTS.rglob("test_*.py")):
        place = path.relative_to(TESTS)
        if place.parts[0] in ("faults", "jobs", "golden", "replay") or path.stem in ACROSS:
            continue
        source = ROOT / place.parent / f"{path.stem.removeprefix('test_')}.py"
        if not source.is_file():
            astray.append(str(place))
    assert astray == []
