r"""Read and embed on a cluster; select_subset.py with the same flags then only selects.

    ray job submit --address http://127.0.0.1:8265 --working-dir jobs -- \
        python embed.py s3://bucket/corpus/ --text body --embedder bert --batch-size 256 \
        --out s3://bucket/runs/body

Paths are seen by the cluster: URIs that pyarrow reads (``s3://``, ``gs://``) or folders that all nodes share. The nodes
must have the package, as cluster.yaml and kuberay/Dockerfile see to. Where GPU workers come only when asked for, ask:
``--workers 4 --num-gpus 1``. The flags are those of
``subsel embed``.
"""

from __future__ import annotations

import sys
from pathlib import Path

from ray_subsel.cli import main

if __name__ == "__main__":
    sys.exit(main(["embed", *sys.argv[1:]], program=Path(__file__).name))
