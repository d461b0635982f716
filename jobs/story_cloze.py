r"""The experiment on Story Cloze: the paper's tables, and whether submodular selection beats what one would do else.

    ray job submit --address http://127.0.0.1:8265 --working-dir jobs -- \
        python story_cloze.py s3://bucket/train.csv --test s3://bucket/test.csv --study tables --via finetune \
        --lr 1e-4 --seeds 2 --size 0.05 --size 0.1 --out s3://bucket/experiments/tables

The flags are those of ``subsel experiment``. Draws of the probe, and single fine-tunings, are Ray tasks: as many at a
time as the cluster has CPUs, or ``--workers``; each writes its cells into ``--out``, which all nodes must see.
Submitted again, an experiment goes on from its finished cells.
"""

from __future__ import annotations

import sys
from pathlib import Path

from ray_subsel.cli import main

if __name__ == "__main__":
    # before the files: an --address of one's own comes later and wins
    sys.exit(main(["experiment", "--address", "auto", "story-cloze", *sys.argv[1:]], program=Path(__file__).name))
