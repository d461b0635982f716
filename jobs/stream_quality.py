"""Quality, speed and memory of selection from a stream, against the greedy that sees everything.

    python jobs/stream_quality.py quality train.csv --text text --label category --out quality.json
    python jobs/stream_quality.py speed --out speed.json           # 100,000 generated vectors, d = 384, one thread
    python jobs/stream_quality.py memory --out memory.json         # 10 million generated vectors, d = 32

``quality``: texts embedded by MiniLM come in four orders: *random* (3 draws), *sorted* by label, *worst first* (by the
value of each item alone, ascending) and *drifting* (the label's place plus noise: labels overlap, early ones never
come back). A cell tells f of the stream's answer and of random rows as shares of greedy's, all on all rows. Facility
location is evaluated on all rows while the stream represents its sample.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ray_subsel import StreamSelector, select
from ray_subsel.config import EmbedConfig
from ray_subsel.embedders.registry import build_embedder
from ray_subsel.objectives import FacilityLocation, GraphCut, LogDeterminant
from ray_subsel.objectives.represented import represent
from ray_subsel.streaming.rules import Rule, Swap, ThreeSieves
from ray_subsel.synthetic.vectors import n_topics, original_vectors

OBJECTIVES: dict[str, Any] = {one.name: one for one in (FacilityLocation(), GraphCut(), LogDeterminant())}
RULES: dict[str, Rule] = {
    "swap": Swap(),
    "swap, least rise 0.1": Swap(0.1),
    "swap, least rise 1": Swap(1.0),
    "three sieves": ThreeSieves(),
}


def orders(X: Any, labels: Any, alone: Any) -> Iterator[tuple[str, Any]]:
    """Yield orders of the rows, by name."""
    n = len(X)
    for seed in range(3):
        yield f"random {seed}", np.random.default_rng(seed).permutation(n)
    shuffled = np.random.default_rng(3).permutation(n)
    _, place = np.unique(labels, return_inverse=True)
    yield "sorted", shuffled[np.argsort(place[shuffled], kind="stable")]
    yield "worst first", np.argsort(alone, kind="stable")
    noise = np.random.default_rng(4).normal(size=n) * (place.max() + 1) / 8
    yield "drifting", np.argsort(place + noise, kind="stable")


def quality(given: argparse.Namespace) -> list[dict[str, Any]]:
    """Return a cell for each objective, k, rule and order."""
    import pandas as pd

    table = pd.read_csv(given.data)
    embedder = build_embedder(EmbedConfig())
    texts = table[given.text].astype(str).tolist()
    X = np.concatenate([embedder.embed(texts[at : at + 512]) for at in range(0, len(texts), 512)])
    labels, cells = table[given.label].to_numpy(), []
    for name, f in OBJECTIVES.items():
        alone = f.gains(f.init(X)) if name != "log_determinant" else _from_mean(X)
        for k in given.k:
            best = f.evaluate(X, select(X, k, objective=f).indices)
            draws = [f.evaluate(X, np.random.default_rng(90 + at).permutation(len(X))[:k]) for at in range(5)]
            for rule_name, rule in RULES.items():
                if name == "graph_cut" and isinstance(rule, ThreeSieves):
                    continue
                for order_name, order in orders(X, labels, alone):
                    stream = StreamSelector(k, f, rule=rule)
                    began = time.process_time()
                    decided = stream.partial_fit(X[order])
                    seconds = time.process_time() - began
                    cells.append(
                        {
                            "objective": name, "k": k, "rule": rule_name, "order": order_name, "n": len(X),
                            "share": round(f.evaluate(X, order[stream.ids]) / best, 4),
                            "random_share": round(float(np.mean(draws)) / best, 4),
                            "accepted": int(decided.accepted.size), "kept": int(stream.ids.size),
                            "items_a_second": round(len(X) / seconds),
                        }
                    )  # fmt: skip
                    print(json.dumps(cells[-1]), flush=True)
    return cells


def _from_mean(X: Any) -> Any:
    """Return for each row how unlike the others it is: the log-determinant of one item is the same for all."""
    return 1.0 - represent(X, None, None, "cosine").items.slice(0, len(X)) @ X.mean(axis=0)


def speed(given: argparse.Namespace) -> list[dict[str, Any]]:
    """Return CPU seconds for generated vectors."""
    n, cells = given.rows, []
    X = original_vectors(np.arange(n), given.d, 0, n_topics(n))[0]
    for name, f in OBJECTIVES.items():
        for k in given.k:
            stream = StreamSelector(k, f)
            began, accepted = time.process_time(), 0
            for start in range(0, n, 4096):
                accepted += stream.partial_fit(X[start : start + 4096]).accepted.size
            seconds = time.process_time() - began
            cells.append(
                {
                    "objective": name, "k": k, "n": n, "d": given.d, "cpu_s": round(seconds, 2),
                    "items_a_second": round(n / seconds), "accepted": accepted,
                }
            )  # fmt: skip
            print(json.dumps(cells[-1]), flush=True)
    return cells


def memory(given: argparse.Namespace) -> list[dict[str, Any]]:
    """Return the largest memory of this process, and the size of a saved state, after each tenth of the rows."""
    cells = []
    topics = np.random.default_rng(0).normal(size=(200, given.d))
    for name in given.objective:
        stream, began = StreamSelector(given.k[0], name), time.process_time()
        batch, tenth = 1 << 14, given.rows // 10
        for start in range(0, given.rows, batch):
            rng = np.random.default_rng((1, start))
            size = min(batch, given.rows - start)
            stream.partial_fit(topics[rng.integers(200, size=size)] + rng.normal(size=(size, given.d)))
            if (start + size) // tenth > start // tenth:
                cells.append(
                    {
                        "objective": name, "k": given.k[0], "d": given.d, "seen": stream.seen,
                        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
                        "state_kib": round(len(stream.to_bytes()) / 1024),
                        "cpu_s": round(time.process_time() - began, 1),
                    }
                )  # fmt: skip
                print(json.dumps(cells[-1]), flush=True)
    return cells


def main() -> None:
    """Measure one of the three and write its cells."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest="kind", required=True)
    one = kinds.add_parser("quality")
    one.add_argument("data")
    one.add_argument("--text", required=True)
    one.add_argument("--label", required=True)
    one.add_argument("--k", type=int, nargs="+", default=[100, 500])
    one.set_defaults(measure=quality)
    one = kinds.add_parser("speed")
    one.add_argument("--rows", type=int, default=100_000)
    one.add_argument("--d", type=int, default=384)
    one.add_argument("--k", type=int, nargs="+", default=[100, 1000])
    one.set_defaults(measure=speed)
    one = kinds.add_parser("memory")
    one.add_argument("--rows", type=int, default=10_000_000)
    one.add_argument("--d", type=int, default=32)
    one.add_argument("--k", type=int, nargs="+", default=[100])
    one.add_argument("--objective", nargs="+", default=["graph_cut", "facility_location"])
    one.set_defaults(measure=memory)
    for kind in kinds.choices.values():
        kind.add_argument("--out", type=Path)
    given = parser.parse_args()
    cells = given.measure(given)
    if given.out:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(json.dumps(cells, indent=1) + "\n")


if __name__ == "__main__":
    main()
