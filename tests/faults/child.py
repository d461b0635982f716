"""The command line, in a process of its own to which a fault happens at a known moment, not by luck.

MOMENTS=FOLDER python child.py WAY MOMENT NTH ARGUMENTS-OF-SUBSEL...

MOMENT is an event and a pattern of file names, as ``written:candidates/part-*.parquet``; the fault happens when it is
seen for the NTH time, over all processes of the run, which count it in FOLDER. Then

driver   this process is killed, by SIGKILL;
alone    this process is killed, by SIGKILL, and has started no Ray;
node     the one Ray node that has CPUs is killed, by SIGKILL, and another takes its place;
gcs_server, raylet
         this process of the command's own Ray is killed, by SIGKILL, and whatever is done then takes long;
busy     whatever writes lasts from then on, until a signal comes from outside.

With WAY ``monitor`` the worker that comes to MOMENT takes memory, each time, until Ray's memory monitor kills it. With
``store`` nothing happens, but Ray's object store is as small as Ray allows. What happened is written beside the run
directory, into its name with ``.json`` added.
"""

import dataclasses
import json
import os
import re
import signal
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatch
from functools import partial
from pathlib import Path

from ray_subsel import cli
from ray_subsel.planning.policy import DEFAULT_POLICY, ON_RAY
from ray_subsel.runtime.local_ray import bound_retries
from ray_subsel.runtime.ray_output import ray_prints_apart, shut_down_ray
from ray_subsel.storage.run_directory import BEGUN

STORE_BYTES, STEP_BYTES = 78 << 20, 64 << 20
seen = {}


class Moment:
    """Tells, in whichever process sees it, when an event has happened so many times over all processes."""

    def __init__(self, moment, nth):
        self.event, self.pattern = moment.split(":")
        self.nth, self.folder = nth, os.environ["MOMENTS"]

    def is_now(self, event, name):
        if event != self.event or not fnmatch(name, self.pattern):
            return False
        number = 1
        while True:
            try:
                (Path(self.folder) / str(number)).touch(exist_ok=False)
            except FileExistsError:
                number += 1
            else:
                return number == self.nth

    def has_come(self):
        return (Path(self.folder) / str(self.nth)).exists()


def killing_driver(moment):
    """Return a watch that kills this process at the moment, from whichever process sees it."""
    driver = os.getpid()

    def watch(event, name):
        if moment.is_now(event, name):
            os.kill(driver, signal.SIGKILL)

    return watch


def keeping_busy(moment, out, lost=""):
    """Return a watch that keeps the run busy from a moment on, and may kill a process of Ray by its name then."""
    driver = os.getpid()

    def watch(event, file):
        if moment.is_now(event, file):
            import psutil  # Ray brings it

            found = psutil.Process(driver).children(recursive=True)
            write_whole(Path(f"{out}.json"), {"processes": [one.pid for one in found]})
            for one in found:
                if one.name() == lost:
                    one.kill()
        if moment.has_come() and event == "write":
            time.sleep(1.0 if os.getpid() == driver else 60.0)

    return watch


def write_whole(path, content):
    """Write JSON such that whoever sees the file sees all of it."""
    new = path.with_suffix(".new")
    new.write_text(json.dumps(content))
    new.rename(path)


def filling_memory(moment, most):
    """Return a watch that lets the worker that writes such a file take memory until it is killed, or has so much."""
    driver = os.getpid()

    def watch(event, name):
        if os.getpid() == driver or event != moment.event or not fnmatch(name, moment.pattern):
            return
        taken = []
        while len(taken) * STEP_BYTES < most:
            taken.append(b"x" * STEP_BYTES)
            time.sleep(0.01)
        raise RuntimeError(f"{most} bytes were taken and nobody minds")

    return watch


def run_short_of_memory(arguments, policy, moment):
    """Run a command on a Ray whose memory monitor minds what is taken beyond now; return the status."""
    bound_retries()
    import ray
    import psutil  # isort: skip - Ray brings it

    free = psutil.virtual_memory().available
    settings = {
        "memory_usage_threshold": 0.0, "min_memory_free_bytes": free - free // 8, "memory_monitor_refresh_ms": 50,
        "task_oom_retry_delay_base_ms": 20,
    }  # fmt: skip
    # As with a Ray of the command's own, what Ray prints is no answer until it is shut down.
    with ray_prints_apart(), tempfile.TemporaryDirectory(dir="/tmp", prefix="m", ignore_cleanup_errors=True) as folder:
        ray.init(
            address="local", num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR",
            _temp_dir=folder, _system_config=settings,
        )  # fmt: skip
        status = cli.main(arguments, policy=policy, watch=filling_memory(moment, free // 3))
        said = Path(folder, "session_latest", "logs", "raylet.out").read_text(errors="replace")
        seen["killed"] = re.findall(r"Selected to kill: \(Task: .*?task name=([^,]+),.*?pid=(\d+)", said)
        shut_down_ray()
    return status


def slowed(moment):
    """Return a watch that only slows tasks: when an even number's has ended, an odd one's is in the middle."""

    def watch(event, name):
        if event == "write" and name.endswith(".parquet"):
            if name.startswith(("candidates/part-", "near/pieces/part-")):
                time.sleep(2.0 if int(name.removesuffix(".parquet")[-5:]) % 2 else 0.3)
            elif name.startswith("embeddings/part-"):
                time.sleep(0.5)
        moment.is_now(event, name)

    return watch


def under_way(out):
    """Return what is under way, once something is; in mode exact, between two questions, nothing ever is."""
    deadline = time.monotonic() + (0 if "exact" in sys.argv else 20)
    while True:
        names = sorted(path.name for path in out.rglob(f"*{BEGUN}"))
        if names or time.monotonic() >= deadline:
            return names
        time.sleep(0.01)


def start_cluster():
    """Start a cluster whose head has no CPUs; return it and its one working node."""
    import ray
    from ray.cluster_utils import Cluster

    # A node that is gone refuses the connection at once and counts as lost after two seconds; one that is slow, later.
    health = {"health_check_period_ms": 500, "health_check_failure_threshold": 4, "health_check_timeout_ms": 10_000}
    head = {"num_cpus": 0, "include_dashboard": False, "_system_config": health}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    node = cluster.add_node(num_cpus=2)
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    return cluster, node


def run_while_a_node_is_lost(cluster, node, moment, out, command):
    """Return the status of a command that runs beside the main thread, which alone may start a Ray node."""
    with ThreadPoolExecutor(1) as beside:
        status = beside.submit(command)
        while not (moment.has_come() or status.done()):
            time.sleep(0.005)
        if moment.has_come():
            seen["begun"] = under_way(Path(out))
            cluster.remove_node(node, allow_graceful=False)
            cluster.add_node(num_cpus=2)
        return status.result()


def main():
    way, event, nth, *arguments = sys.argv[1:]
    on_ray = dataclasses.replace(ON_RAY, checkpoint_seconds=0.0)
    if way in ("driver", "alone"):
        policy = on_ray if way == "driver" else DEFAULT_POLICY
        return cli.main(arguments, policy=policy, watch=killing_driver(Moment(event, int(nth))))
    out = arguments[arguments.index("--out") + 1] if "--out" in arguments else arguments[-1]
    moment = None if way == "store" else Moment(event, int(nth))
    if way in ("gcs_server", "raylet"):
        return cli.main(arguments, policy=on_ray, watch=keeping_busy(moment, out, lost=way))
    if way == "busy":
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # a shell's background ignores some
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        sys.argv[1:] = arguments
        return cli.main(policy=on_ray, watch=keeping_busy(moment, out))
    if way == "monitor":
        status = run_short_of_memory(arguments, on_ray, moment)
        write_whole(Path(f"{out}.json"), seen)
        return status
    import ray

    cluster = None
    if way == "node":
        cluster, node = start_cluster()
        command = partial(cli.main, arguments, policy=on_ray, watch=slowed(moment))
        status = run_while_a_node_is_lost(cluster, node, moment, out, command)
    else:
        ray.init(
            address="local", num_cpus=2, object_store_memory=STORE_BYTES, include_dashboard=False,
            log_to_driver=False, logging_level="ERROR",
        )  # fmt: skip
        seen["store"] = ray.cluster_resources()["object_store_memory"]
        status = cli.main(arguments, policy=on_ray)
    seen["lost"] = sum(not node["Alive"] for node in ray.nodes())
    Path(f"{out}.json").write_text(json.dumps(seen))
    ray.shutdown()
    if cluster is not None:
        cluster.shutdown()
    return status


if __name__ == "__main__":
    sys.exit(main())
