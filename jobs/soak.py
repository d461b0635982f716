"""Run and kill at random for a time, and compare every end with a run to which nothing happens.

    python jobs/soak.py --faults 500 --ray 0.1 --out soak.json

Each round makes a run directory over one of some small corpora and settings. Faults strike it one after the other, each
in the same command in a process of its own, until the command ends. Faults: the driver killed (SIGKILL) or interrupted
(SIGINT, SIGTERM, SIGHUP) at a random file operation, a write that finds the disk full, a finished file damaged, deleted
or exchanged between two runs. Rounds on Ray leave all work to a cluster of one head and one node: there workers are
killed in the middle of their work as well, and the whole node, for which another comes. The end must be that of the
undisturbed run, and every status 0, 3, 130 or that of SIGKILL.

The counts are written after each round; the same ``--out`` and ``--seed`` go on after the last one.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import uuid
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from soak_inputs import ON_CLUSTER, SETTINGS, Setting, write_inputs

from ray_subsel.cli import main as subsel
from ray_subsel.config.options import flag_whole
from ray_subsel.planning.policy import DEFAULT_POLICY, ON_RAY

STRIKES = {"kill": signal.SIGKILL, "int": signal.SIGINT, "term": signal.SIGTERM, "hup": signal.SIGHUP}
ALONE = ("kill", "kill", "kill", "int", "term", "hup", "full", "file")
CLUSTER = ("kill", "term", "full", "file", "worker", "worker", "worker", "node", "node")
KILLED = -signal.SIGKILL
FINE = {0, 3, 130, KILLED}
MOST, NEAR = 16, 0.3
"""Faults in one command, and among which share of its file operations, from its start on, each strikes."""


class Fault:
    """What happens at a file operation, counted over all processes of a run. Workers of Ray get it by pickle."""

    def __init__(self, folder: Path, kind: str, at: list[int]) -> None:
        self.folder, self.kind, self.at, self.driver = folder, kind, at, os.getpid()
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()

    def __call__(self, event: str, name: str) -> None:
        """Count, and strike where it is time and no other process has done so."""
        with open(self.folder / "count", "ab", buffering=0) as file:
            file.write(b".")
            number = file.tell()
        for strike, at in enumerate(self.at):
            if number >= at and self._fits(event):
                with contextlib.suppress(FileExistsError):
                    (self.folder / f"struck-{strike}").touch(exist_ok=False)
                    return self._strike(name)
        return None

    def _fits(self, event: str) -> bool:
        if self.kind == "worker":
            return os.getpid() != self.driver
        return self.kind != "full" or event == "write"

    def _strike(self, name: str) -> None:
        if self.kind == "full":
            raise OSError(28, "No space left on device", name)
        if self.kind == "node":
            (self.folder.parent / "lose").touch()
            time.sleep(1.0)  # so that something is under way there
        elif self.kind == "worker":
            os.kill(os.getpid(), signal.SIGKILL)
        else:
            os.kill(self.driver, STRIKES[self.kind])
            time.sleep(0.01)  # the handler runs here

    @property
    def operations(self) -> int:
        """File operations that were seen."""
        count = self.folder / "count"
        return count.stat().st_size if count.exists() else 0

    @property
    def struck(self) -> int:
        """How often it happened."""
        return len(list(self.folder.glob("struck-*")))


def in_child(command: list[str], folder: Path, kind: str, at: list[int], address: str | None) -> tuple[int, Fault]:
    """Run a command in a forked process, on a cluster where one is named; return its status and what struck it."""
    fault = Fault(folder, kind, at)
    child = os.fork()
    if child == 0:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # a shell's background ignores some
            signal.signal(number, signal.default_int_handler)
        fault.driver = os.getpid()
        policy = DEFAULT_POLICY if address is None else replace(ON_RAY, checkpoint_seconds=0.0)
        status = 1
        try:
            where = [] if address is None else ["--address", address]
            status = subsel([*command, *where], watch=fault, policy=policy)
        finally:
            os._exit(status)
    _, ended = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(ended), fault


class Cluster:
    """A head without CPUs and a node with two, in a process of their own that nothing is forked from."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.address = folder, ""
        self._process: Any = None

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            (self.folder / "end").touch()
            self._process.join()

    def start(self) -> str:
        """Return the cluster's address; the first call starts it."""
        if self._process is None:
            os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=uuid.uuid4().hex, RAY_USAGE_STATS_ENABLED="0")
            self._process = multiprocessing.get_context("fork").Process(target=self._keep, args=(os.getpid(),))
            self._process.start()
            self._until(lambda: (self.folder / "address").exists())
            self.address = (self.folder / "address").read_text()
        return self.address

    def settle(self) -> None:
        """Wait until a node has come for one that was lost."""
        self._until(lambda: not (self.folder / "lose").exists())

    def _until(self, condition: Any) -> None:
        while not condition():
            if not self._process.is_alive():
                raise RuntimeError("the cluster ended")
            time.sleep(0.02)

    def _keep(self, parent: int) -> None:
        from ray.cluster_utils import Cluster as RayCluster

        health = {"health_check_period_ms": 500, "health_check_failure_threshold": 4, "health_check_timeout_ms": 10_000}
        head = {"num_cpus": 0, "include_dashboard": False, "_system_config": health, "temp_dir": str(self.folder)}
        os.environ["RAY_TMPDIR"] = str(self.folder)  # the file that tells others of this cluster stays here, too
        (self.folder / "ray").mkdir()
        cluster = RayCluster(initialize_head=True, head_node_args=head)
        node = cluster.add_node(num_cpus=2)
        (self.folder / "address.new").write_text(cluster.address)
        (self.folder / "address.new").rename(self.folder / "address")
        while os.getppid() == parent and not (self.folder / "end").exists():
            if (self.folder / "lose").exists():
                cluster.remove_node(node, allow_graceful=False)
                node = cluster.add_node(num_cpus=2)
                (self.folder / "lose").unlink()
            time.sleep(0.02)
        cluster.shutdown()


def damage(out: Path, draw: random.Random) -> str | None:
    """Damage a finished file of a run directory; return how, or None where there is none."""
    stages = json.loads((out / "manifest.json").read_text())["stages"] if (out / "manifest.json").exists() else {}
    names = sorted(name for stage in stages.values() for name in stage.get("outputs", {}) if (out / name).is_file())
    if not names:
        return None
    path, kind = out / draw.choice(names), draw.choice(("deleted", "truncated", "empty", "bit", "exchanged", "link"))
    content = path.read_bytes()
    path.unlink()
    if kind == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif kind == "empty" or not content:
        path.write_bytes(b"")
    elif kind == "bit":
        at = draw.randrange(len(content))
        path.write_bytes(content[:at] + bytes([content[at] ^ 1 << draw.randrange(8)]) + content[at + 1 :])
    elif kind == "exchanged":
        others = [name for name in names if out / name != path]
        path.write_bytes((out / draw.choice(others)).read_bytes() if others else b"")
    elif kind == "link":
        path.symlink_to("nowhere")
    return f"file {kind}"


def end_of(out: Path) -> dict[str, str]:
    """Return what a round has ended with: what was chosen, by the run and its updates, and what was predicted."""
    found = {}
    for path in sorted(out.rglob("*.parquet")):
        if path.name in ("selection.parquet", "changes.parquet", "predictions.parquet"):
            table = pq.read_table(path)
            columns = [
                name for name in ("rank", "id", "instead_of", "predicted", "right") if name in table.schema.names
            ]
            content = repr(table.select(columns or table.schema.names).to_pydict()).encode()
            found[str(path.relative_to(out))] = hashlib.sha256(content).hexdigest()[:16]
    return found


@dataclass
class Undisturbed:
    """How a setting ends to which nothing happens, and the file operations of each of its commands."""

    end: dict[str, str]
    operations: list[int]


class Soak:
    """Rounds and their counts; each round draws from the seed and its own number."""

    def __init__(self, folder: Path, seed: int, ray: float, counts: dict[str, Any]) -> None:
        self.folder, self.seed, self.ray = folder, seed, ray
        self.inputs = folder / "in"
        self.inputs.mkdir()
        write_inputs(self.inputs)
        self.rounds, self.runs = counts.get("rounds", 0), counts.get("runs", 0)
        self.done = Counter(counts.get("by_kind", {}))
        self.on_ray = Counter(counts.get("by_kind_on_ray", {}))
        self.statuses = Counter(counts.get("statuses", {}))
        self.wrong: list[dict[str, Any]] = counts.get("wrong", [])
        self.right: dict[Setting, Undisturbed] = {}

    def counts(self) -> dict[str, Any]:
        """Return what is written."""
        return {
            "rounds": self.rounds, "runs": self.runs, "faults": sum(self.done.values()),
            "by_kind": dict(sorted(self.done.items())), "by_kind_on_ray": dict(sorted(self.on_ray.items())),
            "statuses": dict(sorted(self.statuses.items())), "mismatches": len(self.wrong), "wrong": self.wrong[:20],
        }  # fmt: skip

    def _run(
        self, command: list[str], kind: str = "none", at: list[int] | None = None, address: str | None = None
    ) -> tuple[int, Fault]:
        self.runs += 1
        return in_child(command, self.folder / "fault", kind, at or [], address)

    def _undisturbed(self, setting: Setting) -> Undisturbed:
        if setting not in self.right:
            out = self.folder / f"right-{len(self.right)}"
            operations = []
            for command in setting.commands(self.inputs, out):
                status, fault = self._run(command)
                if status:
                    raise RuntimeError(f"{command}: status {status}")
                operations.append(fault.operations)
            self.right[setting] = Undisturbed(end_of(out), operations)
        return self.right[setting]

    def round(self, cluster: Cluster) -> None:
        """Make one run directory, whatever happens to it."""
        draw = random.Random(f"{self.seed} {self.rounds}")
        address = cluster.start() if draw.random() < self.ray else None
        setting = draw.choice(SETTINGS if address is None else ON_CLUSTER)
        right, out, history = self._undisturbed(setting), self.folder / "out", []
        kinds = ALONE if address is None else CLUSTER
        for number, command in enumerate(setting.commands(self.inputs, out)):
            status: int | None = None
            for _ in range(draw.randint(2, MOST)):
                kind, most = draw.choice(kinds), max(1, int(NEAR * right.operations[number]))
                if kind == "file":
                    kind = damage(out, draw) if number == 0 else None
                    if kind is None:
                        continue
                    status, _ = self._run(command, address=address)
                    struck = 1
                elif status == 0:  # little is left that could be struck
                    break
                else:
                    at = sorted(draw.sample(range(1, most + 2), min(most, 3 if kind == "worker" else 1)))
                    status, fault = self._run(command, kind, at, address)
                    struck = fault.struck
                    if kind == "node" and struck:
                        cluster.settle()
                self.statuses[str(status)] += 1
                history.append([kind, struck, status])
                for counter in (self.done, *([self.on_ray] if address else [])):
                    counter[kind] += struck
                if status not in FINE:
                    self._differs(setting, history, f"status {status}", address)
            status, _ = self._run(command, address=address)
            if status == 3 and address:  # the last worker to die was the fourth of its task
                status, _ = self._run(command, address=address)
            self.statuses[str(status)] += 1
            if status != 0:
                self._differs(setting, history, f"end {status}", address)
        left = [str(path) for path in out.rglob("*") if ".tmp-" in path.name or path.name.endswith(".begun")]
        if left or end_of(out) != right.end:
            self._differs(setting, history, f"left {left}" if left else "another end", address)
        shutil.rmtree(out)
        self.rounds += 1

    def _differs(self, setting: Setting, history: list[Any], problem: str, address: str | None) -> None:
        self.wrong.append(
            {
                "round": self.rounds, "setting": " ".join([*setting.data, *setting.flags]), "ray": bool(address),
                "history": list(history), "problem": problem,
            }
        )  # fmt: skip


def main() -> int:
    """Soak, and write the counts; the status is 1 where an end differed."""
    parser = argparse.ArgumentParser(description="Run and kill at random; every end must be the undisturbed one.")
    parser.add_argument(
        "--faults", type=flag_whole, default=500, help="faults after which it ends (default: %(default)s)"
    )
    parser.add_argument("--seconds", type=flag_whole, default=3600, help="and the time (default: %(default)s)")
    parser.add_argument("--seed", type=flag_whole, default=0)
    parser.add_argument("--ray", type=float, default=0.0, help="share of rounds that leave all work to Ray")
    parser.add_argument("--out", help="JSON file of the counts, one entry a seed; the same file goes on")
    given = parser.parse_args()
    written = json.loads(Path(given.out).read_text()) if given.out and Path(given.out).exists() else {}
    name, began = f"seed {given.seed}", time.monotonic()
    before = written.get(name, {})
    with tempfile.TemporaryDirectory(prefix="soak-") as folder, Cluster(Path(folder)) as cluster:
        soak = Soak(Path(folder), given.seed, given.ray, before)
        while True:
            seconds = round(time.monotonic() - began)
            written[name] = {"ray": given.ray, "seconds": before.get("seconds", 0) + seconds} | soak.counts()
            if given.out:
                new = Path(f"{given.out}.new")
                new.write_text(json.dumps(written, indent=2) + "\n")
                new.rename(given.out)
            if written[name]["faults"] >= given.faults or seconds >= given.seconds:
                break
            soak.round(cluster)
    print(json.dumps(written[name], indent=2))
    return int(written[name]["mismatches"] > 0)


if __name__ == "__main__":
    sys.exit(main())
