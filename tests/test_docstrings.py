"""The examples in docstrings run and give what they show."""

import doctest
import importlib
import importlib.util
import pkgutil

import pytest

import ray_subsel

MODULES = ["ray_subsel", *sorted(found.name for found in pkgutil.walk_packages(ray_subsel.__path__, "ray_subsel."))]
WITH_EXAMPLES = []
for name in MODULES:
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    with open(spec.origin, encoding="utf-8") as source:
        if ">>> " in source.read():
            WITH_EXAMPLES.append(name)


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_of_docstrings_run(name):
    found = doctest.testmod(importlib.import_module(name))
    assert found.attempted > 0
    assert found.failed == 0
