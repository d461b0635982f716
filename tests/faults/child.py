"""The command line, in a process of its own to which a fault happens at a known moment, not by luck.

python child.py WAY STAGE NTH ARGUMENTS-OF-SUBSEL...

The moment is when STAGE tells for the NTH time that some of its work is done, or before it writes the file STAGE. Then

driver   this process is killed, by SIGKILL;
node     the one Ray node that has CPUs is killed, by SIGKILL, and another takes its place.

With WAY ``store`` nothing happens, but Ray's object store is as small as Ray allows. What happened is written beside
the run directory, into its name with ``.json`` added.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

from ray_subsel import cli
from ray_subsel.planning.policy import Policy
from ray_subsel.runtime import progress
from ray_subsel.stages import deduplicate, embed, select_exact, select_greedi
from ray_subsel.storage import run_directory

STORE_BYTES = 78 << 20
seen = {"told": 0}


def at(stage, nth, action):
    """Arrange for ``action`` to be called at the moment."""
    advance, atomic = progress._Log.advance, run_directory.RunDir.atomic

    def told(self, amount=1):
        advance(self, amount)
        if self.label == stage and amount:
            seen["told"] += 1
            if seen["told"] == nth:
                action()

    def written(self, name):
        if name == stage:
            action()
        return atomic(self, name)

    progress._Log.advance = told
    run_directory.RunDir.atomic = written


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def slowly(function):
    """Return the function, in no hurry: when an even number's task has ended, an odd one's is in the middle."""

    def slow(*arguments):
        last = getattr(arguments[-1], "number", arguments[-1])
        time.sleep(2.0 if last % 2 else 0.3)
        return function(*arguments)

    slow.__name__ = function.__name__
    return slow


class SlowActor(embed.EmbedActor):
    """A worker of the pool that is in no hurry."""

    def ready(self):
        time.sleep(0.5)
        return super().ready()


def under_way(out):
    """Return what is under way, once something is; in mode exact, between two questions, nothing ever is."""
    deadline = time.monotonic() + (0 if "exact" in sys.argv else 20)
    while True:
        names = sorted(path.name for path in out.rglob(f"*{run_directory.BEGUN}"))
        if names or time.monotonic() >= deadline:
            return names
        time.sleep(0.01)


def start_cluster(stage, nth, out):
    import ray
    from ray.cluster_utils import Cluster

    # A node that is gone refuses the connection at once and counts as lost after two seconds; one that is slow, later.
    health = {"health_check_period_ms": 500, "health_check_failure_threshold": 4, "health_check_timeout_ms": 10_000}
    head = {"num_cpus": 0, "include_dashboard": False, "_system_config": health}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    node = cluster.add_node(num_cpus=2)
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")

    def lose():
        seen["begun"] = under_way(Path(out))
        cluster.remove_node(node, allow_graceful=False)
        cluster.add_node(num_cpus=2)

    at(stage, nth, lose)
    return cluster


def main():
    way, stage, nth, *arguments = sys.argv[1:]
    out = arguments[arguments.index("--out") + 1]
    select_exact.CHECKPOINT_SECONDS = 0.0
    on_ray = Policy(in_process_numbers=0)
    if way == "driver":
        at(stage, int(nth), die)
        return cli.main(arguments, policy=on_ray)
    import ray

    cluster = None
    if way == "node":
        select_greedi._solve_node = slowly(select_greedi._solve_node)
        deduplicate._shuffle = slowly(deduplicate._shuffle)
        embed.EmbedActor = SlowActor
        cluster = start_cluster(stage, int(nth), out)
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
