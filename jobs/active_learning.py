"""Ten rounds of labelling: the loop against random rows and against uncertainty alone, by the area under the curve.

    python jobs/active_learning.py train.csv test.csv --text text --label category --out active.json

Texts are embedded by MiniLM. From the same random rows on, each way asks for ``--batch`` rows
a round of a pool of ``--rows``; a logistic regression on the embeddings is trained on what is labelled and tested on
the test file. A cell has the accuracy after each round and their mean, the area under the curve.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from ray_subsel import ActiveLoop
from ray_subsel.config import EmbedConfig
from ray_subsel.embedders.registry import build_embedder
from ray_subsel.selection.active import margin_uncertainty

WAYS = ("random", "uncertainty", "coverage", "loop")


def batch_of(way: str, loop: ActiveLoop, size: int, doubt: Any, rng: np.random.Generator) -> Any:
    """Return the next rows to label."""
    if way == "random":
        return rng.choice(loop.open, size, replace=False)
    if way == "uncertainty":
        return loop.open[np.argsort(-doubt[loop.open], kind="stable")[:size]]
    return loop.next_batch(size, None if way == "coverage" else doubt)


def main() -> None:
    """Write a cell for each way and seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train")
    parser.add_argument("test")
    parser.add_argument("--text", required=True)
    parser.add_argument("--label", required=True)
    parser.add_argument("--rows", type=int, default=3000)
    parser.add_argument("--batch", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    embedder = build_embedder(EmbedConfig())
    tables = [pd.read_csv(path) for path in (given.train, given.test)]
    (pool, y), (Q, answers) = (
        (
            np.concatenate(
                [embedder.embed(table[given.text].astype(str).tolist()[a : a + 512]) for a in range(0, len(table), 512)]
            ),
            table[given.label].to_numpy(),
        )
        for table in tables
    )
    cells = []
    for seed in range(given.seeds):
        drawn = np.random.default_rng(seed).permutation(len(pool))[: given.rows]
        for way in WAYS:
            rng, asking = np.random.default_rng(1000 + seed), 0.0
            loop, curve = ActiveLoop(pool[drawn], np.arange(given.batch)), []
            for turn in range(given.rounds):
                model = LogisticRegression(C=20, max_iter=200)
                model.fit(pool[drawn][loop.labelled], y[drawn][loop.labelled])
                curve.append(round(float((model.predict(Q) == answers).mean()), 4))
                if turn + 1 < given.rounds:
                    doubt = margin_uncertainty(model.predict_proba(pool[drawn]))
                    began = time.process_time()
                    loop.label(batch_of(way, loop, given.batch, doubt, rng))
                    asking += time.process_time() - began
            cells.append(
                {
                    "way": way, "seed": seed, "rows": given.rows, "batch": given.batch,
                    "area": round(float(np.mean(curve)), 4), "accuracy": curve, "asking_cpu_s": round(asking, 2),
                }
            )  # fmt: skip
            print(json.dumps(cells[-1]), flush=True)
    if given.out:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(json.dumps(cells, indent=1) + "\n")


if __name__ == "__main__":
    main()
