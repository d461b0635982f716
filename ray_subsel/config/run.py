"""Say everything that a run is told."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from ray_subsel.config.cache import CacheConfig
from ray_subsel.config.corpus import CorpusConfig
from ray_subsel.config.embed import EmbedConfig
from ray_subsel.config.filters import FilterConfig
from ray_subsel.config.options import plain
from ray_subsel.config.runtime import RuntimeConfig
from ray_subsel.config.select import SelectConfig
from ray_subsel.config.train import TrainConfig


@dataclass(frozen=True)
class RunConfig:
    """Everything a run is told. Stages whose configuration is None are not run."""

    corpus: CorpusConfig
    embed: EmbedConfig
    runtime: RuntimeConfig
    select: SelectConfig | None = None
    train: TrainConfig | None = None
    filters: FilterConfig = field(default_factory=FilterConfig)
    command: str = ""
    cache: CacheConfig = field(default_factory=CacheConfig)

    def as_json(self) -> dict[str, Any]:
        """Return the settings of all stages, ready for JSON."""
        stages: dict[str, Any] = {
            "corpus": self.corpus,
            "embed": self.embed,
            "filters": self.filters,
            "select": self.select,
            "train": self.train,
        }
        return {name: None if stage is None else plain(dataclasses.asdict(stage)) for name, stage in stages.items()}
