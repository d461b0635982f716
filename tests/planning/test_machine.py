"""What there is to run on: the CPUs that this process may use, or a Ray's."""

import os

from ray_subsel.planning.machine import Machine, machine_of, usable_cpus
from ray_subsel.runtime.ray_session import Resources


def test_the_machine_is_ray_s_or_this_one():
    here, connected = machine_of(None, "3GiB"), machine_of(Resources(4.0, 0.0, 1, True), None)
    assert (here.cpus, here.limit, here.nodes) == (usable_cpus(), 3 << 30, 1)
    assert (connected.cpus, connected.limit) == (4, None)
    assert connected.for_one > 0
    assert (here.ray_runs, connected.ray_runs) == (False, True)


def test_cpus_of_a_container_count_not_those_of_its_machine(tmp_path):
    (tmp_path / "cpu.max").write_text("250000 100000\n")
    (tmp_path / "one").write_text("50000 100000\n")
    (tmp_path / "free").write_text("max 100000\n")
    every = len(os.sched_getaffinity(0))
    assert usable_cpus(tmp_path / "cpu.max") == min(every, 2)
    assert usable_cpus(tmp_path / "one") == 1
    assert usable_cpus(tmp_path / "free") == usable_cpus(tmp_path / "none") == every


def test_processes_share_what_is_left():
    machine = Machine(cpus=4, nodes=2, available=1000, limit=300)
    assert machine.for_one == 300
    assert machine.for_each(4) == 200
