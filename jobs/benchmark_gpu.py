"""Seconds of selection and of encoders on a GPU and on the CPU of the same machine, side by side.

    python jobs/benchmark_gpu.py                                    # selection, on vectors half of which are copies
    python jobs/benchmark_gpu.py --encode minilm --texts 200000     # texts a second

Selections alternate between an array and the same numbers as a tensor on the GPU, each once in small before; wall
seconds are the least of --rounds, "ids" tells whether the rows are the same. For an encoder: tokens alone, the network
alone on tokens that are there already, and both as `BertEmbedder` overlaps them, in float32 and bfloat16. A machine
without a GPU says so and ends.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ray_subsel import select
from ray_subsel.embedders.encoder import GPU_TOKENS, BertEmbedder, length_batches, padded, tokens_of
from ray_subsel.embedders.model_files import load_pretrained, load_tokenizer, position_limit, resolve_model
from ray_subsel.synthetic.stories import make_stories
from ray_subsel.synthetic.vectors import n_topics, original_vectors

ROWS: dict[str, tuple[int, int, int, dict[str, Any]]] = {
    "graph_cut": (400_000, 384, 4_000, {"objective": "graph_cut"}),
    "facility_location": (16_000, 384, 1_000, {"objective": "facility_location"}),
    "facility_location by clusters": (100_000, 384, 1_000, {"objective": "facility_location"}),
    "saturated_coverage": (16_000, 384, 1_000, {"objective": "saturated_coverage"}),
    "saturated_coverage of all pairs": (200_000, 64, 500, {"objective": "saturated_coverage"}),
    "log_determinant": (100_000, 384, 500, {"objective": "log_determinant"}),
    "near copies": (100_000, 384, 1, {"objective": "graph_cut", "near": 0.9}),
    "near copies by clusters": (200_000, 384, 1, {"objective": "graph_cut", "near": 0.9}),
}
"""n, d, k and what else is asked for."""
SMALL = 2_000


def least(call: Callable[[], Any], rounds: int) -> tuple[float, Any]:
    """Return the least seconds of some calls, and what the last returned."""
    seconds, found = [], None
    for _ in range(rounds):
        began = time.perf_counter()
        found = call()
        seconds.append(time.perf_counter() - began)
    return min(seconds), found


def vectors(n: int, d: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return vectors of which every second one is a near copy of the one before."""
    half = original_vectors(np.arange(-(-n // 2)), d, 0, n_topics(n))[0].astype(np.float32)
    noise = np.random.default_rng(0).standard_normal(half.shape, dtype=np.float32) / np.float32(10.0 * d**0.5)
    return np.stack([half, half + noise], axis=1).reshape(-1, d)[:n]


def choose(names: Sequence[str], types: Sequence[str], options: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure selections."""
    import torch

    reports = []
    print(
        f"{'selection':<32}{'n':>9}{'d':>5}{'k':>7}  {'numbers':<10}{'CPU s':>9}{'GPU s':>9}{'ratio':>7}  ids",
        flush=True,
    )
    for name in names:
        n, d, k, asked = ROWS[name]
        n, k = n // options.shrink, max(1, k // options.shrink)
        whole = vectors(n, d)
        for kind in types:
            T = torch.from_numpy(whole).to(getattr(torch, kind)).to(options.device)
            X = T.float().cpu().numpy() if kind == "bfloat16" else T.cpu().numpy()
            for Y in (X, T):
                select(Y[:SMALL], min(k, 50), recipe="none", **asked)
            there, found = least(lambda: select(T, k, recipe="none", **asked), options.rounds)  # noqa: B023
            here, usual = (None, None) if options.only_gpu else least(lambda: select(X, k, recipe="none", **asked), 1)  # noqa: B023
            same = None if usual is None else bool(np.array_equal(usual.indices, found.indices))
            reports.append(
                {"name": name, "n": n, "d": d, "k": k, "type": kind, "cpu": here, "gpu": there, "same": same}
            )
            shown = ("", "") if here is None else (f"{here:.2f}", f"{here / there:.1f}")
            print(
                f"{name:<32}{n:>9,}{d:>5}{k:>7,}  {kind:<10}{shown[0]:>9}{there:>9.2f}{shown[1]:>7}  {same}",
                flush=True,
            )
    return reports


def encode(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure an encoder."""
    import torch
    from transformers import AutoModel

    stories = make_stories(min(options.texts, 2_000), seed=0)
    texts = [" ".join(one.sentences) for one in stories]
    texts = [f"{texts[i % len(texts)]} {i}" for i in range(options.texts)]
    folder, reports = resolve_model(options.encode), []
    network = load_pretrained(AutoModel, folder).eval().to(options.device)
    tokenizer, longest = load_tokenizer(folder, 256, position_limit(network))

    seconds, tokens = least(lambda: tokens_of(tokenizer, texts, longest), 1)
    lengths = [len(one) for one in tokens]
    print(f"{options.texts:,} texts of {np.mean(lengths):.0f} tokens; tokens {options.texts / seconds:,.0f} texts/s")
    batches = [padded([tokens[i] for i in one], tokenizer.pad_token_id, at_left=False)
               for one in length_batches(lengths, 64, GPU_TOKENS)]  # fmt: skip
    usual = None
    for precision in ("float32", "bfloat16"):
        network = network.to(getattr(torch, precision))

        def forward() -> None:
            with torch.inference_mode():
                for ids, mask in batches:
                    both = (torch.from_numpy(part).to(options.device) for part in (ids, mask))
                    last = network(*both).last_hidden_state  # noqa: B023
                float(last[0, 0, 0])  # waits

        forward()
        alone, _ = least(forward, options.rounds)
        embedder = BertEmbedder(options.encode, device=options.device, precision=precision)
        embedder.embed(texts[:SMALL])
        both, found = least(lambda: embedder.embed(texts), options.rounds)  # noqa: B023
        usual = found if usual is None else usual
        cosine = np.einsum("ij,ij->i", usual, found)
        reports.append(
            {"model": Path(options.encode).name, "texts": options.texts, "precision": precision, "tokens_s": seconds,
             "network_s": alone, "both_s": both, "least_cosine": float(cosine.min())}
        )  # fmt: skip
        print(
            f"{precision:<10} network {options.texts / alone:>10,.0f} texts/s, both {options.texts / both:>10,.0f}"
            f" texts/s, cosine to float32 >= {cosine.min():.5f}",
            flush=True,
        )
    return reports


def main() -> None:
    """Measure what is asked for."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS))
    parser.add_argument("--types", nargs="+", choices=["float32", "float16", "bfloat16"], default=["float32"])
    parser.add_argument("--shrink", type=int, default=1, metavar="N", help="divide n and k by this")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only-gpu", action="store_true", help="do not measure the CPU")
    parser.add_argument(
        "--encode", metavar="MODEL", help="measure this encoder instead: minilm, a folder or a hub name"
    )
    parser.add_argument("--texts", type=int, default=100_000)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--out", type=Path, metavar="FILE", help="JSON")
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        print("This machine has no GPU that torch can use.")
        return
    name = torch.cuda.get_device_name() if options.device == "cuda" else options.device
    print(f"{name}, torch {torch.__version__}, {torch.get_num_threads()} CPU threads", flush=True)
    rows = encode(options) if options.encode else choose(options.rows, options.types, options)
    if options.out:
        options.out.write_text(
            json.dumps({"device": name, "threads": torch.get_num_threads(), "rows": rows}, indent=1) + "\n"
        )


if __name__ == "__main__":
    main()
