"""Plans by hand, and refusals that say what would fit."""

import pytest

from ray_subsel.config import SelectConfig
from ray_subsel.core.errors import InputError
from ray_subsel.planning.machine import Machine
from ray_subsel.planning.memory_model import BASE, driver_bytes, reducer_bytes, solver_bytes, spread
from ray_subsel.planning.selection_plan import RANK_BYTES, plan_sizes, represented_size, with_queries, with_ranks

GIB = 1 << 30


def machine(gib=16.0, *, limit=None, cpus=2, nodes=1):
    return Machine(cpus, nodes, int(gib * GIB), None if limit is None else int(limit * GIB))


def plan(n, d, k, room, **chosen):
    return plan_sizes(SelectConfig(k=k, **chosen, recipe="none"), room, n=n, d=d, k=k)


def test_one_partition_where_it_fits():
    sizes = plan(1_000_000, 384, 10_000, machine(16))
    assert (sizes.partitions, sizes.processes, sizes.rounds) == (1, 1, 1)
    assert sizes.worker_bytes == solver_bytes(1_000_000, 384, copies=False)
    assert sizes.worker_bytes == pytest.approx(BASE + 1e6 * (384 * 4 * 1.15 + 200), abs=2)
    assert sizes.predicted_peak_bytes == sizes.worker_bytes


def test_scores_that_are_ranked_count_where_they_are_most():
    sizes = plan(50_000_000, 8, 100, machine(64), objective="graph_cut", partitions=500, fan_in=4)
    assert with_ranks(sizes).reducer_bytes > 50_000_000 * RANK_BYTES > sizes.reducer_bytes
    few = plan(1_000, 384, 900, machine(16), objective="graph_cut")
    assert with_ranks(few) == few


def test_queries_count_in_workers_and_reducers_and_many_no_more_than_a_block():
    sizes = plan(20_000, 64, 100, machine(16), objective="facility_location")
    few, many = with_queries(sizes, 10), with_queries(sizes, 100_000)
    assert sizes.worker_bytes < few.worker_bytes < sizes.worker_bytes + (2 << 20)
    assert many.worker_bytes - sizes.worker_bytes == (1 << 30) + 16 * 64 * 100_000
    assert many.reducer_bytes - sizes.reducer_bytes == many.worker_bytes - sizes.worker_bytes


def test_more_memory_asks_for_fewer_partitions():
    counts = [plan(10_000_000, 64, 100_000, machine(16, limit=limit)).partitions for limit in (0.5, 1, 2, 12)]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[-1] == 1
    assert all(count == 1 or count % 2 == 0 for count in counts)  # an even share of work for two CPUs


@pytest.mark.parametrize("limit", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("mode", ["greedi", "exact"])
def test_what_is_chosen_fits(mode, limit):
    sizes = plan(10_000_000, 64, 100_000, machine(16, limit=limit), mode=mode)
    assert sizes.worker_bytes <= limit * GIB
    assert sizes.reducer_bytes <= limit * GIB
    assert sizes.predicted_peak_bytes == max(sizes.worker_bytes, sizes.reducer_bytes)


def test_partitions_that_are_given_are_kept_and_run_as_many_at_a_time_as_fit():
    assert plan(1_000_000, 384, 1_000, machine(2.0, cpus=8), partitions=16).processes == 5
    assert plan(1_000_000, 384, 1_000, machine(30, cpus=8), partitions=16).processes == 8
    assert plan(1_000_000, 384, 1_000, machine(30, cpus=8), partitions=3).processes == 3
    assert plan(10_000, 384, 1_000, machine(30, cpus=8), partitions=16).processes == 1  # the driver does it all


def test_the_tree_grows_only_where_one_reducer_does_not_fit():
    wide = plan(10_000_000, 64, 100_000, machine(16, limit=2), partitions=64)
    assert (wide.rounds, wide.fan_in, wide.candidates) == (2, 64, 64 * 3125)
    # c k = 1,000,000 candidates, 1.1 GB to gather; the last of two levels holds 1.41 / 2 of them.
    flat, room = reducer_bytes(1_000_000, 64), reducer_bytes(720_000, 64) / GIB
    assert room * GIB < flat
    deep = plan(10_000_000, 64, 500_000, machine(16, limit=room), partitions=64)
    assert (deep.rounds, deep.fan_in) == (3, 8)
    assert deep.candidates == pytest.approx(2**0.5 * 500_000, rel=1e-3)
    assert plan(10_000_000, 64, 100_000, machine(16), partitions=64, fan_in=4).rounds == 4


def test_refusals_say_what_would_fit():
    with pytest.raises(InputError, match=r"partitions must be at least about \d+ for a worker to fit into 1.00 GiB"):
        plan(10_000_000, 384, 1_000, machine(16, limit=1), partitions=4)
    with pytest.raises(InputError, match="memory_limit must be above 180 MiB; got 102 MiB"):
        plan(1_000, 8, 10, machine(16, limit=0.1))
    with pytest.raises(InputError, match=r"candidates of the last reducer.*--mode exact"):
        plan(10_000_000, 384, 1_000_000, machine(64, limit=2))
    with pytest.raises(InputError, match=r"all vectors in mode exact.*--mode greedi"):
        plan(20_000_000, 384, 1_000, machine(16), mode="exact")


def test_the_partitions_named_in_a_refusal_do_fit():
    room = machine(16, limit=1)
    with pytest.raises(InputError) as caught:
        plan(10_000_000, 384, 1_000, room, partitions=4)
    named = int(str(caught.value).split("at least about ")[1].split()[0])
    assert plan(10_000_000, 384, 1_000, room, partitions=named).worker_bytes <= GIB


def test_exact_keeps_all_rows_in_as_many_processes_as_their_limit_asks_for():
    sizes = plan(10_000_000, 64, 1_000, machine(16, limit=3), mode="exact")
    assert (sizes.partitions, sizes.processes) == (2, 2)
    assert sizes.reducer_bytes == driver_bytes(64, 1_000)
    assert plan(10_000_000, 64, 1_000, machine(16, limit=1), mode="exact").processes >= 5
    assert plan(10_000_000, 64, 1_000, machine(16), mode="exact", partitions=1).processes == 1


def test_copies_that_stay_items_take_more():
    assert solver_bytes(1_000_000, 64, copies=True) > solver_bytes(1_000_000, 64, copies=False)
    assert spread(1_000, 1) == 1_000
    assert spread(10_000, 100) == 130


def test_the_plan_is_told_in_a_few_lines():
    lines = plan(10_000_000, 64, 100_000, machine(16, limit=1)).lines()
    assert lines[0] == "plan      100,000 of at most 10,000,000 items, 64 dimensions, mode greedi"
    assert "MiB" in lines[-1]


@pytest.mark.parametrize("n", [100_000, 10_000_000])
def test_the_rounds_of_mode_exact_follow_lambda(n):
    k = n // 10
    rounds = {lam: plan(n, 16, k, machine(64), mode="exact", lam=lam).rounds for lam in (0.0, 10.0, 1_000.0, "auto")}
    assert rounds[0.0] < rounds[10.0] < rounds[1_000.0]  # beyond n / (2 + lambda) fewer picks are accepted a round
    assert rounds["auto"] == rounds[0.0]  # n / k - 2 = 8: all of k lies below n / (2 + lambda)


def test_how_many_are_represented():
    size = represented_size
    assert size(SelectConfig(k=1, recipe="none"), 10**6, 1) == 0
    assert size(SelectConfig(k=1, objective="facility_location"), 10**6, 100) == 10_000
    assert size(SelectConfig(k=1, objective="facility_location"), 10**6, 10_000) == 40_000
    assert size(SelectConfig(k=1, objective="facility_location"), 500, 10) == 500
    assert size(SelectConfig(k=1, objective="saturated_coverage", represented=77), 500, 10) == 77
