r"""Fine-tune on what a run has selected, and on other training sets beside it, on a cluster.

    ray job submit --address http://127.0.0.1:8265 --working-dir jobs -- \
        python finetune.py s3://bucket/runs/stories --test s3://bucket/test.csv --arm full --train-workers 4

Paths are seen by the cluster: URIs that pyarrow reads (``s3://``, ``gs://``) or folders that all nodes share. The nodes
must have the package, as cluster.yaml and kuberay/Dockerfile see to. Where GPU workers come only when asked for, ask:
``--workers 4 --num-gpus 1``. The flags are those of
``subsel finetune``. Arms that have a result are not trained again.
"""

from __future__ import annotations

import sys
from pathlib import Path

from ray_subsel.cli import main

if __name__ == "__main__":
    sys.exit(main(["finetune", *sys.argv[1:]], program=Path(__file__).name))
