"""Run and kill at random for a time, and compare every end with a run to which nothing happens.

    python jobs/soak.py --faults 500 --out soak.json

Each round makes a run directory over one of some small corpora and settings, injects faults one after the other, each
into the same command in a process of its own, and at last lets the command end. Faults: the driver killed (SIGKILL) or
interrupted (SIGTERM) at a random file operation, a write that finds the disk full, a finished file damaged, deleted or
exchanged between two runs. With ``--ray`` some rounds leave all work to Ray and kill a worker. The ids must be those of
the undisturbed run, and every status 0, 3, 130 or that of SIGKILL.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ray_subsel.cli import main as subsel
from ray_subsel.config.options import flag_whole
from ray_subsel.planning.policy import DEFAULT_POLICY, ON_RAY

SETTINGS = (
    (),
    ("--partitions", "4"),
    ("--near", "0.95"),
    ("--near", "0.95", "--partitions", "3"),
    ("--objective", "facility_location"),
    ("--objective", "log_determinant", "--mode", "exact", "--partitions", "3"),
    ("--mode", "exact", "--partitions", "4"),
)
KILLED = -signal.SIGKILL
FINE = {0, 3, 130, KILLED}


class Fault:
    """What happens at a file operation: picklable, so that workers of Ray are told too."""

    def __init__(self, kind: str, at: int, driver: int = 0) -> None:
        self.kind, self.left, self.driver = kind, at, driver

    def __call__(self, event: str, name: str) -> None:
        """Count down, and strike."""
        self.left -= 1
        if self.left:
            return
        if self.kind == "worker":
            if os.getpid() != self.driver:
                os.kill(os.getpid(), signal.SIGKILL)
        elif self.kind == "kill":
            os.kill(self.driver or os.getpid(), signal.SIGKILL)
        elif self.kind == "term":
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.01)
        elif event == "write":
            raise OSError(28, "No space left on device", name)


def in_child(command: list[str], kind: str | None, at: int, *, on_ray: bool) -> int:
    """Run a command in a forked process, or where Ray is started in a fresh one; return its status."""
    child = os.fork()
    if child == 0:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        watch = None if kind is None else Fault(kind, at, os.getpid())
        status = 1
        try:
            status = subsel(command, watch=watch, policy=ON_RAY if on_ray else DEFAULT_POLICY)
        finally:
            os._exit(status)
    _, ended = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(ended)


def write_corpora(folder: Path) -> list[Path]:
    """Write small corpora of vectors with near copies."""
    found = []
    for number, (n, d) in enumerate(((300, 8), (500, 16), (900, 4))):
        draw = np.random.default_rng(number)
        X = np.repeat(draw.normal(size=(n // 2, d)) + 0.3, 2, axis=0) + 0.03 * draw.normal(size=(n, d))
        corpus = folder / f"corpus-{number}"
        corpus.mkdir()
        for part, rows in enumerate(np.split(X.astype(np.float32), 2)):
            column = pa.FixedSizeListArray.from_arrays(pa.array(rows.reshape(-1)), d)
            pq.write_table(pa.table({"v": column}), corpus / f"{part}.parquet")
        found.append(corpus)
    return found


def damage(out: Path, draw: random.Random) -> str | None:
    """Damage a finished file of a run directory; return how, or None where there is none."""
    stages = json.loads((out / "manifest.json").read_text())["stages"] if (out / "manifest.json").exists() else {}
    names = sorted(name for stage in stages.values() for name in stage.get("outputs", {}) if (out / name).is_file())
    if not names:
        return None
    path, kind = out / draw.choice(names), draw.choice(("deleted", "truncated", "empty", "bit", "link"))
    content = path.read_bytes()
    path.unlink()
    if kind == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif kind == "empty" or not content:
        path.write_bytes(b"")
    elif kind == "bit":
        at = draw.randrange(len(content))
        path.write_bytes(content[:at] + bytes([content[at] ^ 1 << draw.randrange(8)]) + content[at + 1 :])
    elif kind == "link":
        path.symlink_to("nowhere")
    return f"file {kind}"


def ids_of(out: Path) -> list[int]:
    """Return what a run has chosen."""
    return pq.read_table(out / "selection.parquet")["id"].to_pylist()


def soak(faults: int, seconds: float, seed: int, ray_share: float, folder: Path) -> dict[str, Any]:
    """Return the counts of a soak."""
    draw, began = random.Random(seed), time.monotonic()
    corpora, right = write_corpora(folder), {}
    subsel(
        ["select", str(corpora[0]), "--vectors", "v", "--k", "9", "--quiet", "--out", str(folder / "first")]
    )  # imports
    done: Counter[str] = Counter()
    statuses: Counter[int] = Counter()
    wrong: list[dict[str, Any]] = []
    rounds = runs = 0
    while sum(done.values()) < faults and time.monotonic() - began < seconds:
        corpus, flags = draw.choice(corpora), draw.choice(SETTINGS)
        command = ["select", str(corpus), "--vectors", "v", "--k", "20", *flags, "--out"]
        key = (corpus, flags)
        if key not in right:
            undisturbed = folder / f"right-{len(right)}"
            assert in_child([*command, str(undisturbed)], None, 0, on_ray=False) == 0, command
            right[key] = ids_of(undisturbed)
            runs += 1
        out, on_ray = folder / f"round-{rounds}", draw.random() < ray_share
        rounds += 1
        history = []
        for _ in range(draw.randint(1, 6)):
            kind = draw.choice(("kill", "kill", "term", "full", "file", *(("worker",) if on_ray else ())))
            if kind == "file":
                kind = damage(out, draw)
                status = in_child([*command, str(out)], None, 0, on_ray=on_ray)
                struck = kind is not None
            else:
                status = in_child([*command, str(out)], kind, draw.randint(1, 60), on_ray=on_ray)
                struck = status != 0 or kind == "worker"
            runs += 1
            statuses[status] += 1
            history.append([kind, status])
            if struck:
                done[kind or ""] += 1
            if status not in FINE:
                wrong.append({"command": command, "history": history, "problem": f"status {status}"})
        status = in_child([*command, str(out)], None, 0, on_ray=on_ray)
        runs += 1
        statuses[status] += 1
        left = [str(path) for path in out.rglob("*.tmp-*")]
        if status != 0 or ids_of(out) != right[key] or left:
            wrong.append({"command": command, "history": history, "problem": f"end {status}", "left": left})
        else:
            shutil.rmtree(out)
    return {
        "seed": seed, "seconds": round(time.monotonic() - began), "rounds": rounds, "runs": runs,
        "faults": sum(done.values()), "by_kind": dict(sorted(done.items())),
        "statuses": {str(key): value for key, value in sorted(statuses.items())},
        "mismatches": len(wrong), "wrong": wrong[:20],
    }  # fmt: skip


def main() -> int:
    """Soak, and write the counts; the status is 1 where an end differed."""
    parser = argparse.ArgumentParser(description="Run and kill at random; every end must be the undisturbed one.")
    parser.add_argument(
        "--faults", type=flag_whole, default=500, help="faults after which it ends (default: %(default)s)"
    )
    parser.add_argument("--seconds", type=flag_whole, default=3600, help="and the time (default: %(default)s)")
    parser.add_argument("--seed", type=flag_whole, default=0)
    parser.add_argument("--ray", type=float, default=0.0, help="share of rounds that leave all work to Ray")
    parser.add_argument("--out", help="JSON file for the counts")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        counts = soak(given.faults, given.seconds, given.seed, given.ray, Path(folder))
    text = json.dumps(counts, indent=2)
    print(text)
    if given.out:
        Path(given.out).write_text(text + "\n")
    return int(counts["mismatches"] > 0)


if __name__ == "__main__":
    sys.exit(main())
