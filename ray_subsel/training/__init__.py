"""Fine-tuning: subsets become accuracies."""

from __future__ import annotations

from ray_subsel.training.trainer import TrainResult, finetune

__all__ = ["TrainResult", "finetune"]
