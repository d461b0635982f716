"""Build the network that is fine-tuned, its precision, its optimizer and its learning rate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ray_subsel.config import TrainConfig
from ray_subsel.config.corpus import CHOICE_TASKS
from ray_subsel.embedders.model_files import load_pretrained, load_tokenizer, position_limit, resolve_model


@dataclass(frozen=True)
class Loaded:
    """A network with a fresh head, and its tokenizer."""

    network: Any
    tokenizer: Any
    max_length: int


def load_trainable(task: str, model: str, classes: Sequence[str], config: TrainConfig, device: str) -> Loaded:
    """Load an encoder with a seeded head for the task, float32, on ``device``.

    Multiple choice for questions and stories, sequence classification for ``classification``. Safetensors only, no
    remote code. On CPUs attention is written out ("eager"): with dropout it is 5-25 % faster there than the fused form.

    Raises
    ------
    InputError
        When the model cannot be had or lacks weights.
    """
    import torch
    from transformers import AutoModelForMultipleChoice, AutoModelForSequenceClassification

    settings: dict[str, Any] = {} if device.startswith("cuda") else {"attn_implementation": "eager"}
    if task not in CHOICE_TASKS:
        settings["num_labels"] = len(classes)
        settings["id2label"] = dict(enumerate(classes))
        settings["label2id"] = {label: position for position, label in enumerate(classes)}
    folder = resolve_model(model)
    auto_class = AutoModelForMultipleChoice if task in CHOICE_TASKS else AutoModelForSequenceClassification
    torch.manual_seed(config.train_seed)
    network = load_pretrained(auto_class, folder, **settings)
    tokenizer, max_length = load_tokenizer(folder, config.train_max_length, position_limit(network))
    return Loaded(network.to(device), tokenizer, max_length)


def resolve_precision(precision: str, device: str) -> str:
    """Return ``fp32`` or ``bf16``.

    ``auto`` is bf16 on GPUs that compute in it (compute capability 8.0 or more) and on CPUs that multiply in it (AMX
    tiles, or AVX-512 with bfloat16), where a step takes half the time; everywhere else fp32. bf16 means autocast:
    weights, gradients, optimizer and loss stay float32, matrix products run in bfloat16.
    """
    import torch

    if precision != "auto":
        return precision
    if device.startswith("cuda"):
        return "bf16" if torch.cuda.get_device_capability(device) >= (8, 0) else "fp32"
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return "bf16" if capabilities.get("amx_bf16", False) or capabilities.get("avx512_bf16", False) else "fp32"


def make_optimizer(network: Any, config: TrainConfig) -> Any:
    """Return AdamW, fused where the device has it; biases and norms (one-dimensional weights) do not decay."""
    import torch

    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.lr, fused=True)


def learning_rate(config: TrainConfig, step: int, total: int) -> float:
    """Return the rate of step ``step`` of ``total``, counted from 0.

    Rises linearly over the first ``warmup`` share, then falls linearly to 0 at the end, or stays.
    """
    rising = round(config.warmup * total)
    if step < rising:
        return config.lr * (step + 1) / rising
    if config.schedule == "constant":
        return config.lr
    return config.lr * (total - step) / max(1, total - rising)


def autocast(precision: str, device: str) -> Any:
    """Return the context in which a forward pass runs."""
    import torch

    return torch.autocast(device.split(":")[0], torch.bfloat16, enabled=precision == "bf16")
