"""Texts a CPU second and cosine to float32 of an encoder in torch, ONNX Runtime and OpenVINO, on one thread.

    pip install onnx onnxruntime onnxscript openvino
    python jobs/embedding_speed.py [--rows 256] [--rounds 3] [--model minilm] [--way "torch int8"]

Generated stories, the same batches for all; the ways take turns, and the fastest turn counts. What is not installed is
left out and told. One line of JSON a way: cosines are the least and the mean over the texts.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ray_subsel.embedders.encoder import length_batches
from ray_subsel.embedders.model_files import load_pretrained, load_tokenizer, position_limit, resolve_model
from ray_subsel.embedders.quantized import quantize_linears
from ray_subsel.synthetic.stories import make_stories

Numbers = NDArray[np.generic]
Run = Callable[[Numbers, Numbers], Numbers]
FLOAT32 = "torch float32"
OPSET = 18
OPENVINO = {"float32": "f32", "bfloat16": "bf16"}


def encoder(model: str) -> Any:
    """Return the network, in float32."""
    from transformers import AutoModel

    return load_pretrained(AutoModel, resolve_model(model)).eval()


def torch_way(model: str, precision: str) -> Run:
    """Return what runs the network in torch."""
    import torch

    network = encoder(model)
    if precision == "int8":
        quantize_linears(network)
    elif precision == "bfloat16":
        network = network.to(torch.bfloat16)

    def run(ids: Numbers, mask: Numbers) -> Numbers:
        with torch.inference_mode():
            found = network(input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask)).last_hidden_state
        return np.asarray(found.float().numpy())

    return run


@cache
def exported(model: str) -> bytes:
    """Return the network as ONNX."""
    import torch

    class Hidden(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = encoder(model)

        def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            hidden: torch.Tensor = self.network(input_ids=ids, attention_mask=mask).last_hidden_state
            return hidden

    ids, shape = torch.ones(2, 7, dtype=torch.int64), {0: "texts", 1: "tokens"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            Hidden().eval(), (ids, torch.ones_like(ids)), input_names=["ids", "mask"], output_names=["hidden"],
            opset_version=OPSET, dynamic_shapes={"ids": shape, "mask": shape}, dynamo=True, verbose=False,
        )  # fmt: skip
    assert program is not None
    return bytes(program.model_proto.SerializeToString())


def onnx_way(model: str, precision: str) -> Run:
    """Return what runs the network in ONNX Runtime; int8 by its dynamic quantization, a scale a row of weights."""
    import onnxruntime

    network = exported(model)
    if precision == "int8":
        from onnxruntime.quantization import QuantType, quantize_dynamic
        from onnxruntime.quantization.shape_inference import quant_pre_process

        with tempfile.TemporaryDirectory() as folder:
            plain, ready, found = (str(Path(folder, name)) for name in ("plain.onnx", "ready.onnx", "int8.onnx"))
            Path(plain).write_bytes(network)
            quant_pre_process(plain, ready, skip_symbolic_shape=True)
            quantize_dynamic(ready, found, weight_type=QuantType.QInt8, per_channel=True)
            network = Path(found).read_bytes()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
    return lambda ids, mask: np.asarray(session.run(None, {"ids": ids, "mask": mask})[0])


def openvino_way(model: str, precision: str) -> Run:
    """Return what runs the network in OpenVINO, told in which type to compute."""
    import openvino

    core = openvino.Core()
    told = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": OPENVINO[precision]}
    compiled = core.compile_model(core.read_model(exported(model), b""), "CPU", told)
    return lambda ids, mask: np.asarray(next(iter(compiled({"ids": ids, "mask": mask}).values())), dtype=np.float32)


WAYS: dict[str, tuple[Callable[[str, str], Run], str, tuple[str, ...]]] = {
    FLOAT32: (torch_way, "float32", ()),
    "torch bfloat16": (torch_way, "bfloat16", ()),
    "torch int8": (torch_way, "int8", ()),
    "onnxruntime float32": (onnx_way, "float32", ("onnx", "onnxscript", "onnxruntime")),
    "onnxruntime int8": (onnx_way, "int8", ("onnx", "onnxscript", "onnxruntime")),
    "openvino float32": (openvino_way, "float32", ("onnx", "onnxscript", "openvino")),
    "openvino bfloat16": (openvino_way, "bfloat16", ("onnx", "onnxscript", "openvino")),
}


def batches_of(model: str, texts: Sequence[str], size: int) -> list[tuple[NDArray[np.int64], Numbers, Numbers]]:
    """Return places, token ids and mask of each batch."""
    tokenizer, _ = load_tokenizer(resolve_model(model), 256, position_limit(encoder(model)))
    tokens = tokenizer(list(texts), truncation=True, max_length=256)["input_ids"]
    found = []
    for batch in length_batches([len(one) for one in tokens], size, 0):
        padded = tokenizer.pad({"input_ids": [tokens[i] for i in batch]}, return_tensors="np")
        found.append((batch, padded["input_ids"].astype(np.int64), padded["attention_mask"].astype(np.int64)))
    return found


def embed(run: Run, batches: Sequence[tuple[NDArray[np.int64], Numbers, Numbers]]) -> tuple[NDArray[np.float64], float]:
    """Return the unit vectors of all texts, by the mean over their tokens, and the CPU seconds of the network."""
    vectors: list[Any] = [None] * sum(batch.size for batch, _, _ in batches)
    seconds = 0.0
    for batch, ids, mask in batches:
        began = time.process_time()
        hidden = run(ids, mask)
        seconds += time.process_time() - began
        pooled = (hidden.astype(np.float64) * mask[:, :, None]).sum(axis=1)
        for place, vector in zip(batch.tolist(), pooled, strict=True):
            vectors[place] = vector / np.linalg.norm(vector)
    return np.stack(vectors), seconds


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a line of JSON for each way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", default="minilm")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--way", action="append", choices=tuple(WAYS), help="default: all")
    given = parser.parse_args(arguments)
    import torch

    torch.set_num_threads(1)
    texts = [" ".join(story.sentences) for story in make_stories(given.rows, seed=0)]
    batches = batches_of(given.model, texts, given.batch_size)
    runs = {}
    for name in dict.fromkeys([FLOAT32, *(given.way or WAYS)]):
        make, precision, needs = WAYS[name]
        missing = [one for one in needs if find_spec(one) is None]
        if missing:
            print(f"{name}: {', '.join(missing)} not installed", file=sys.stderr)
            continue
        runs[name] = make(given.model, precision)
    seconds: dict[str, float] = {}
    vectors = {}
    for _ in range(given.rounds):
        for name, run in runs.items():
            vectors[name], took = embed(run, batches)
            seconds[name] = min(took, seconds.get(name, took))
    for name, found in vectors.items():
        cosines = (found * vectors[FLOAT32]).sum(axis=1)
        line = {
            "way": name,
            "rows": given.rows,
            "texts_a_second": round(given.rows / seconds[name], 1),
            "speed_up": round(seconds[FLOAT32] / seconds[name], 2),
            "least_cosine": round(float(cosines.min()), 5),
            "cosine": round(float(cosines.mean()), 5),
        }
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
