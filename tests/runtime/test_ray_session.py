"""What Ray's errors mean to a user, and which Ray is started."""

import os
import subprocess
import sys

import pytest

from ray_subsel.config import RuntimeConfig
from ray_subsel.core.errors import InputError
from ray_subsel.runtime.local_ray import IN_A_JOB, keep_to_this_machine
from ray_subsel.runtime.ray_session import RaySession, input_error_in


def test_the_user_s_error_is_found_however_deep_it_is_wrapped():
    outer, middle = RuntimeError("a worker failed\nat length"), ValueError("again")
    outer.__cause__, middle.__context__ = middle, InputError("k must be at least 1; got 0.")
    assert str(input_error_in(outer)) == "k must be at least 1; got 0."
    assert input_error_in(RuntimeError("a bug")) is None


@pytest.mark.usefixtures("ray_session")
def test_an_error_from_a_ray_task_is_one_line():
    import ray

    @ray.remote
    def fail():
        raise InputError("row 3 must be finite; got NaN.")

    with pytest.raises(ray.exceptions.RayTaskError) as caught:
        ray.get(fail.remote())
    assert str(input_error_in(caught.value)) == "row 3 must be finite; got NaN."


@pytest.mark.usefixtures("ray_session")
def test_a_ray_that_runs_already_is_used_and_left_running():
    import ray

    with RaySession(RuntimeConfig(out="x")) as session:
        assert session.there is session.start()
        assert session.start().cpus == 2
        assert session.resources is session.start()
    assert ray.is_initialized()


def test_no_ray_is_started_before_it_is_asked_for():
    script = (
        "import sys\n"
        "from ray_subsel.config import RuntimeConfig\n"
        "from ray_subsel.runtime.ray_session import RaySession\n"
        "with RaySession(RuntimeConfig(out='x', address='local'), [int]) as session:\n"
        "    assert session.there is None\n"
        "print('ray' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]


def test_a_ray_elsewhere_is_looked_up_and_a_missing_one_is_one_line(monkeypatch):
    asked = []
    monkeypatch.setattr(RaySession, "start", lambda session: asked.append(session))
    for address, cluster in (("1.2.3.4:5", {}), ("auto", {"RAY_ADDRESS": "x"}), ("auto", {IN_A_JOB: "{}"})):
        with monkeypatch.context() as environment:
            for name, value in cluster.items():
                environment.setenv(name, value)
            assert RaySession(RuntimeConfig(out="x", address=address)).there is None
    assert len(asked) == 3


LOCAL = [("local", {}, True), ("auto", {}, True), ("1.2.3.4:5", {}, False), ("auto", {"RAY_ADDRESS": "x"}, False)]


@pytest.mark.parametrize(("address", "cluster", "asks"), LOCAL)
def test_a_local_ray_asks_for_a_token_of_its_own(monkeypatch, address, cluster, asks):
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_ADDRESS", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.setenv(name, "to be restored")
        monkeypatch.delenv(name)
    monkeypatch.delitem(sys.modules, "ray", raising=False)
    for name, value in cluster.items():
        monkeypatch.setenv(name, value)
    keep_to_this_machine(address)
    assert (os.environ.get("RAY_AUTH_MODE") == "token") == asks
    assert (len(os.environ.get("RAY_AUTH_TOKEN", "")) == 32) == asks


def test_workers_compute_with_one_thread_each_whatever_the_driver_does():
    script = (
        "import os, ray\n"
        "from ray_subsel.config import RuntimeConfig\n"
        "from ray_subsel.runtime.ray_session import RaySession, remote\n"
        "with RaySession(RuntimeConfig(out='x', address='local')) as session:\n"
        "    session.start()\n"
        "    print(ray.get(remote(lambda: os.environ['OMP_NUM_THREADS']).remote()), os.environ['OMP_NUM_THREADS'])\n"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "2"]
