"""Fine-tune encoders on subsets and measure their accuracy."""

from __future__ import annotations

from ray_subsel.training.trainer import finetune
from ray_subsel.training.worker import TrainResult

__all__ = ["TrainResult", "finetune"]
