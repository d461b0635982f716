"""Configure a run: one frozen dataclass a stage, checked once, each field its own command-line flag."""

from __future__ import annotations

from ray_subsel.config.cache import CacheConfig
from ray_subsel.config.compare import CompareConfig
from ray_subsel.config.corpus import FORMATS, STORY_TEXTS, TASKS, CorpusConfig
from ray_subsel.config.embed import EmbedConfig
from ray_subsel.config.filters import FilterConfig
from ray_subsel.config.options import fingerprint_fields, option
from ray_subsel.config.run import RunConfig
from ray_subsel.config.runtime import RuntimeConfig
from ray_subsel.config.select import SelectConfig
from ray_subsel.config.settle import settle, settle_run
from ray_subsel.config.train import ARMS, TrainConfig, model_to_train

__all__ = [
    "ARMS",
    "FORMATS",
    "STORY_TEXTS",
    "TASKS",
    "CacheConfig",
    "CompareConfig",
    "CorpusConfig",
    "EmbedConfig",
    "FilterConfig",
    "RunConfig",
    "RuntimeConfig",
    "SelectConfig",
    "TrainConfig",
    "fingerprint_fields",
    "model_to_train",
    "option",
    "settle",
    "settle_run",
]
