r"""Read, embed and select on a cluster, without training.

    ray job submit --address http://127.0.0.1:8265 --working-dir jobs -- \
        python select_subset.py s3://bucket/corpus/ --text body --fraction 0.05 --partitions 64 \
        --out s3://bucket/runs/body

Paths are seen by the cluster: URIs that pyarrow reads (``s3://``, ``gs://``) or folders that all nodes share. The nodes
must have the package, as cluster.yaml and kuberay/Dockerfile see to. Where GPU workers come only when asked for, ask:
``--workers 4 --num-gpus 1``. The flags are those of
``subsel select``; ``--vectors COLUMN`` selects from ready vectors. (A file named select.py here would stand before
Python's own ``select``.)
"""

from __future__ import annotations

import sys
from pathlib import Path

from ray_subsel.cli import main

if __name__ == "__main__":
    sys.exit(main(["select", *sys.argv[1:]], program=Path(__file__).name))
