r"""Write a synthetic corpus with exact and near copies whose origin is known, of any size, in parallel.

    python jobs/make_corpus.py --rows 1000000 --redundancy 0.9 --near-share 0.5 --out corpora/million
    subsel select corpora/million --text text --embedder tfidf --near 0.9 --k 10000 --out runs/million

    python jobs/make_corpus.py --rows 10000000 --vectors 64 --redundancy 0.5 --out corpora/vectors
    subsel select corpora/vectors --vectors vector --k 100000 --out runs/vectors

The files hold ``row``, ``text`` (or ``vector``), ``topic``, ``origin`` (the row of the original) and ``kind``
(original, exact, near).
The same flags give the same files for any number of workers; a run that was stopped goes on after its last finished
file.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time

from ray_subsel.config import RuntimeConfig
from ray_subsel.config.options import flag_number, flag_whole
from ray_subsel.core.errors import InputError
from ray_subsel.runtime.ray_session import RaySession
from ray_subsel.synthetic import Recipe, make_corpus

HELP = {
    "rows": "rows of the corpus",
    "redundancy": "share of the rows that are copies",
    "near_share": "share of the copies that are near copies; the others are exact",
    "strength": "edits a word of a near copy; of vectors, the length of its noise",
    "skew": "the original of rank r has about 1 / r^skew of the copies",
    "copied_share": "share of the originals that are copied at all; the paper's is 0.01",
    "shard_rows": "rows a file",
    "seed": "seed of everything that is drawn",
    "vectors": "write unit vectors of this dimension instead of texts; 0 writes texts",
}


def main() -> int:
    """Write the corpus and print what it holds."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    for field in dataclasses.fields(Recipe):
        required = field.default is dataclasses.MISSING
        parser.add_argument(
            "--" + field.name.replace("_", "-"),
            type=flag_whole if field.type == "int" else flag_number,
            required=required,
            default=None if required else field.default,
            help=HELP[field.name] + ("" if required else " (default: %(default)s)"),
        )
    parser.add_argument("--out", required=True, help="folder to write: a local path or a URI that pyarrow writes")
    parser.add_argument("--address", default="auto", help="Ray: local, auto or an address (default: %(default)s)")
    given = vars(parser.parse_args())
    out, address = given.pop("out"), given.pop("address")
    began = time.perf_counter()
    try:
        recipe = Recipe(**given)
        with RaySession(RuntimeConfig(out=out, address=address)) as session:
            if recipe.shards > 1:
                session.start()
            facts = make_corpus(recipe, out)
    except InputError as error:
        parser.error(str(error))
    print(json.dumps({**facts, "seconds": round(time.perf_counter() - began, 1)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
