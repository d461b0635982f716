"""Say where embeddings are kept from one question to the next."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ray_subsel.config.options import option
from ray_subsel.core.byte_sizes import parse_bytes
from ray_subsel.core.errors import Verbatim, invalid

DEFAULT_SIZE = "5GiB"


@dataclass(frozen=True)
class CacheConfig:
    """Where embeddings are kept. Nothing here changes a result."""

    cache: str | None = option(
        None,
        "local folder that keeps embeddings for the next run; default: ray_subsel in $XDG_CACHE_HOME or ~/.cache",
        metavar="DIR",
        identity=False,
    )
    no_cache: bool = option(False, "neither use nor keep embeddings", identity=False)
    cache_size: str = option(
        DEFAULT_SIZE,
        "what kept embeddings may take; those not used for longest are deleted",
        metavar="BYTES",
        identity=False,
    )

    def __post_init__(self) -> None:
        if self.cache is not None and self.no_cache:
            raise invalid("cache", "be left out with no_cache", self.cache, "Give one of them.")
        if self.cache is not None and ("://" in self.cache or not self.cache):
            raise invalid("cache", "be a local folder", self.cache, "Nodes of a cluster may share a mounted one.")
        if self.cache is not None and Path(self.cache).expanduser().is_file():
            raise invalid("cache", "be a folder", Verbatim(f"the file {self.cache}"))
        parse_bytes(self.cache_size, "cache_size")

    @property
    def folder(self) -> Path | None:
        """The folder of the vectors in this process' environment, or None where nothing is kept."""
        if self.no_cache:
            return None
        return self.place / "embeddings"

    @property
    def place(self) -> Path:
        """The folder that was named, or the default one."""
        if self.cache is not None:
            return Path(self.cache).expanduser().absolute()
        base = os.environ.get("XDG_CACHE_HOME", "")  # as the XDG rules want it: a relative one does not count
        return (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "ray_subsel"

    @property
    def limit(self) -> int:
        """Bytes that may be kept."""
        return parse_bytes(self.cache_size, "cache_size")
