"""Keep the state of training on disk: safetensors weights, the optimizer's tensors, and a note written last.

``<name>/checkpoint-<epoch>/`` holds ``model.safetensors``, ``optimizer.pt`` (of the newest checkpoint only) and
``state.json``, whose presence makes it whole. ``<name>/model/`` is the result, which ``from_pretrained`` reads, with
``<name>/trained.json`` as its note.
"""

from __future__ import annotations

import io
import json
import pickle
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ray_subsel.core.errors import InputError
from ray_subsel.storage.run_directory import RunDir


@dataclass(frozen=True)
class Progressed:
    """How far a training run has come.

    Attributes
    ----------
    key : str
        Fingerprint of everything that decides the outcome; a checkpoint of another key is not taken up.
    epochs : int
        Finished epochs.
    steps : int
    seconds : float
        Training time so far, over all interruptions.
    losses : tuple of float
        Mean training loss of each epoch.
    """

    key: str
    epochs: int = 0
    steps: int = 0
    seconds: float = 0.0
    losses: tuple[float, ...] = ()


def _folder(name: str, epochs: int) -> str:
    return f"{name}/checkpoint-{epochs}"


def _read(run: RunDir, name: str, key: str) -> Progressed | None:
    if not run.exists(name):
        return None
    content = run.read_json(name)
    return Progressed(**{**content, "losses": tuple(content["losses"])}) if content.get("key") == key else None


def latest(run: RunDir, name: str, key: str, epochs: int) -> Progressed | None:
    """Return the newest whole checkpoint of this key that can be continued, or None."""
    for epoch in range(epochs, 0, -1):
        folder = _folder(name, epoch)
        if run.exists(f"{folder}/optimizer.pt"):
            found = _read(run, f"{folder}/state.json", key)
            if found is not None:
                return found
    return None


def finished(run: RunDir, name: str, key: str) -> Progressed | None:
    """Return the note of the finished model of this key, or None."""
    return _read(run, f"{name}/trained.json", key)


def clear(run: RunDir, name: str) -> None:
    """Delete what another configuration left under ``name``."""
    for info in run.filesystem.get_file_info(_selector(run, name)):
        if info.base_name.startswith("checkpoint-") or info.base_name in ("model", "trained.json"):
            run.delete(f"{name}/{info.base_name}")


def _selector(run: RunDir, name: str) -> Any:
    from pyarrow import fs

    return fs.FileSelector(run.path(name), allow_not_found=True)


def save(run: RunDir, name: str, state: Progressed, network: Any, optimizer: Any) -> None:
    """Write a checkpoint, then drop the optimizer's part of the one before, which nothing will continue from."""
    import torch

    folder = _folder(name, state.epochs)
    run.write_bytes(f"{folder}/model.safetensors", weights_of(network))
    stream = io.BytesIO()
    torch.save(optimizer.state_dict(), stream)
    run.write_bytes(f"{folder}/optimizer.pt", stream.getvalue())
    run.write_json(f"{folder}/state.json", asdict(state))
    for epoch in range(1, state.epochs):
        run.delete(f"{_folder(name, epoch)}/optimizer.pt")


def restore(run: RunDir, name: str, state: Progressed, network: Any, optimizer: Any) -> None:
    """Load a checkpoint into a network and its optimizer.

    Raises
    ------
    InputError
        When a file of the checkpoint is damaged.
    """
    import torch

    folder = _folder(name, state.epochs)
    load_weights(run, f"{folder}/model.safetensors", network)
    try:
        stream = io.BytesIO(run.read_bytes(f"{folder}/optimizer.pt"))
        optimizer.load_state_dict(torch.load(stream, map_location="cpu", weights_only=True))
    except (RuntimeError, ValueError, KeyError, EOFError, OSError, pickle.UnpicklingError) as error:
        raise _damaged(run, f"{folder}/optimizer.pt") from error


def weights_of(network: Any) -> bytes:
    """Return a network's weights as a safetensors file; tied weights are written once."""
    from safetensors.torch import save as to_bytes

    tensors: dict[str, Any] = {}
    seen: set[int] = set()
    for key, tensor in network.state_dict().items():
        if tensor.data_ptr() not in seen:
            seen.add(tensor.data_ptr())
            tensors[key] = tensor.detach().cpu().contiguous()
    return to_bytes(tensors, metadata={"format": "pt"})


def load_weights(run: RunDir, name: str, network: Any) -> None:
    """Load a safetensors file of the run directory into a network of the same make."""
    from safetensors import SafetensorError
    from safetensors.torch import load as from_bytes

    try:
        found = from_bytes(run.read_bytes(name))
        network.load_state_dict(found, strict=False)
    except (SafetensorError, RuntimeError, ValueError, OSError) as error:
        raise _damaged(run, name) from error
    own = network.state_dict()
    written = {own[key].data_ptr() for key in found if key in own}
    if any(tensor.data_ptr() not in written for tensor in own.values()):
        raise _damaged(run, name)


def save_model(run: RunDir, name: str, state: Progressed, network: Any, tokenizer: Any) -> None:
    """Write the finished model where ``from_pretrained`` finds it whole, and drop what only served to resume."""
    run.write_bytes(f"{name}/model/model.safetensors", weights_of(network))
    with tempfile.TemporaryDirectory() as folder:
        network.config.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        for path in sorted(Path(folder).iterdir()):
            content = path.read_bytes()
            if path.name == "config.json":
                content = json.dumps(
                    {**json.loads(content), "architectures": [type(network).__name__]}, indent=2
                ).encode()
            run.write_bytes(f"{name}/model/{path.name}", content)
    run.write_json(f"{name}/trained.json", asdict(state))
    for epoch in range(1, state.epochs + 1):
        run.delete(f"{_folder(name, epoch)}/optimizer.pt")


def _damaged(run: RunDir, name: str) -> InputError:
    folder = name.rsplit("/", 2)[0]
    return InputError(
        f"{run.path(name)} must be a whole checkpoint file; it is missing or damaged. "
        f"Delete {run.path(folder)} and run again."
    )
