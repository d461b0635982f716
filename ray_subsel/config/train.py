"""Say what to fine-tune, on what, and how."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ray_subsel.config.embed import EmbedConfig
from ray_subsel.config.options import check_choices, check_positive, check_share, option
from ray_subsel.core.errors import invalid
from ray_subsel.embedders import model_name

ARMS = ("subset", "random", "random-dedup", "full")


@dataclass(frozen=True)
class TrainConfig:
    """What to fine-tune, on what, and how. Defaults are the paper's."""

    test: tuple[str, ...] = option((), "labelled file to measure accuracy on", metavar="FILE", identity=False)
    arms: tuple[str, ...] = option(("subset", "random"), "training sets to compare", choices=ARMS, flag="arm")
    train_model: str | None = option(
        None, "encoder to fine-tune: minilm, a hub name or a folder; default: the embedder", metavar="MODEL"
    )
    epochs: int = option(5, "passes over the training set")
    lr: float = option(2e-5, "AdamW's peak learning rate; 1e-4 serves minilm")
    train_batch_size: int = option(16, "examples a step over all workers")
    weight_decay: float = option(0.01, "AdamW's weight decay")
    warmup: float = option(0.0, "share of the steps over which the learning rate rises")
    schedule: str = option("linear", "learning rate after the warmup", choices=("linear", "constant"))
    train_max_length: int = option(128, "tokens after which a training text is cut")
    precision: str = option(
        "auto", "auto takes bf16 where the hardware is faster with it", choices=("auto", "fp32", "bf16")
    )
    checkpoint_every: int = option(1, "epochs between checkpoints; 0 keeps the last only")
    weighted_training: bool = option(
        False, "weigh each chosen row's loss by the rows that it stands for (weight, mean 1); subset arm", later=True
    )
    train_seed: int = option(0, "seed of initial head, order of batches and random arms")

    def __post_init__(self) -> None:
        check_choices(self)
        check_positive(self, "epochs", "lr", "train_batch_size", "train_max_length")
        check_share(self, "warmup", zero=True)
        if not (math.isfinite(self.weight_decay) and self.weight_decay >= 0):
            raise invalid("weight_decay", "be at least 0", self.weight_decay)
        if self.checkpoint_every < 0:
            raise invalid("checkpoint_every", "be at least 0", self.checkpoint_every)


def model_to_train(embed: EmbedConfig, train: TrainConfig) -> str:
    """Return the encoder to fine-tune: the one named, else the embedder where it is an encoder, else BERT."""
    if train.train_model is not None:
        return train.train_model
    return model_name(embed) or "bert-base-uncased"
