"""Blocks on threads: the same results, in order, and nothing left behind."""

import importlib.util
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import ModuleType

import numpy as np
import pytest
import threadpoolctl

from ray_subsel import select
from ray_subsel.core.threads import block_workers, ranges, serial


def blas_threads():
    return [pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_results_come_in_order_and_the_blas_gets_its_threads_back(threads):
    with threadpoolctl.threadpool_limits(threads, user_api="blas"):
        before = blas_threads()
        with block_workers() as workers:
            assert set(blas_threads()) == {1}
            assert workers(lambda start, stop: (start, stop), ranges(10, 4)) == [(0, 4), (4, 8), (8, 10)]
        assert blas_threads() == before


def test_libraries_are_looked_for_again_where_a_compiled_module_has_come(monkeypatch):
    looked = []

    class Controller(threadpoolctl.ThreadpoolController):
        def __init__(self):
            looked.append(self)
            super().__init__()

    monkeypatch.setattr(threadpoolctl, "ThreadpoolController", Controller)
    for name, file, wanted in [("first", "a.so", 1), ("plain", "a.py", 1), ("bare", None, 1), ("second", "b.so", 2)]:
        module = ModuleType(name)
        module.__file__ = file
        monkeypatch.setitem(sys.modules, name, module)
        with block_workers():
            assert len(looked) == wanted, name


def test_modules_that_are_loaded_when_they_are_used_stay_unloaded(monkeypatch, tmp_path):
    path = tmp_path / "lazy_one.py"
    path.write_text("raise ModuleNotFoundError('what it needs')")
    spec = importlib.util.spec_from_file_location("lazy_one", path)
    spec.loader = importlib.util.LazyLoader(spec.loader)
    lazy = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(lazy)
    monkeypatch.setitem(sys.modules, "lazy_one", lazy)
    monkeypatch.setitem(sys.modules, "no_module", object())
    with block_workers() as workers:
        assert workers(lambda start, stop: stop, [(0, 1)]) == [1]


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_in_a_block_comes_out(threads):
    def fail(start, stop):
        raise ValueError(f"block {start}")

    def run():
        with block_workers() as workers:
            workers(fail, ranges(10, 4))

    with threadpoolctl.threadpool_limits(threads, user_api="blas"):
        before = blas_threads()
        with pytest.raises(ValueError, match="block 0"):
            run()
        assert blas_threads() == before


@pytest.mark.parametrize("threads", [1, 2])
def test_a_block_within_a_block_has_its_workers_and_one_within_a_worker_none(threads):
    def within(start, stop):
        del start, stop
        with block_workers() as own:
            return own

    with threadpoolctl.threadpool_limits(threads, user_api="blas"):
        with block_workers() as outer:
            with block_workers() as inner:
                assert inner is outer
            assert set(blas_threads()) == {1}
            assert outer(within, ranges(4, 1)) == [serial] * 4
        with block_workers() as later:
            assert later is serial if threads == 1 else later is not outer


@pytest.mark.parametrize("objective", ["feature_based", "facility_location", "log_determinant", "saturated_coverage"])
def test_while_picks_are_made_one_after_the_other_the_blas_has_one_thread(objective):
    X = np.abs(np.random.default_rng(0).standard_normal((300, 8)))
    seen = set()
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        select(X, 20, objective=objective, progress=lambda done, k: seen.update(blas_threads()))
        assert blas_threads() == before
    assert seen == {1}


@pytest.mark.parametrize("total", [0, 1, 7, 8])
def test_ranges_cover_all_once(total):
    assert [i for start, stop in ranges(total, 4) for i in range(start, stop)] == list(range(total))
    assert serial(lambda start, stop: stop - start, ranges(total, 4)) == [min(4, total - s) for s in range(0, total, 4)]


@pytest.mark.parametrize("optimizer", ["greedy", "paced", "exchange"])
def test_threads_change_nothing(monkeypatch, optimizer):
    rng = np.random.default_rng(0)
    X = (rng.standard_normal((3000, 24)) + 1).astype(np.float32)
    X[1500:] = X[:1500]

    @contextmanager
    def with_threads(count):
        with ThreadPoolExecutor(count) as executor:
            yield lambda function, todo: list(executor.map(lambda some: function(*some), list(todo)))

    found = []
    for count in (1, 4):
        for module in ("greedy", "exchange"):
            monkeypatch.setattr(
                f"ray_subsel.optimizers.speculative.{module}.block_workers", lambda count=count: with_threads(count)
            )
        monkeypatch.setattr("ray_subsel.core.unit_rows.BLOCK_BYTES", 20_000 * count)
        found.append(select(X, 400, optimizer=optimizer, recipe="none"))
    assert np.array_equal(found[0].indices, found[1].indices)
    assert np.array_equal(found[0].gains, found[1].gains)
