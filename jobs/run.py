r"""The whole way on a cluster: read, embed, select, fine-tune on the subset and on random rows, report.

    ray job submit --address http://127.0.0.1:8265 --working-dir jobs -- \
        python run.py s3://bucket/train.csv --test s3://bucket/test.csv --task story-cloze --augment \
        --fraction 0.1 --partitions 8 --lr 1e-4 --arm subset --arm random --out s3://bucket/runs/stories

Paths are seen by the cluster: URIs that pyarrow reads (``s3://``, ``gs://``) or folders that all nodes share. The nodes
must have the package, as cluster.yaml and kuberay/Dockerfile see to. Where GPU workers come only when asked for, ask:
``--workers 4 --num-gpus 1``. The flags are those of
``subsel run``. Submitted again, a run goes on after the last finished part.
"""

from __future__ import annotations

import sys
from pathlib import Path

from ray_subsel.cli import main

if __name__ == "__main__":
    sys.exit(main(["run", *sys.argv[1:]], program=Path(__file__).name))
