"""Say how a selection is brought up to date with rows that came and rows that are withdrawn."""

from __future__ import annotations

from dataclasses import dataclass

from ray_subsel.config.options import option
from ray_subsel.core.errors import invalid
from ray_subsel.core.numeric import finite_number, whole_number


@dataclass(frozen=True)
class UpdateConfig:
    """What an update is told. What is None stays as it was."""

    data: tuple[str, ...] = option((), "files, folders or globs of new rows, read as those of DIR were", identity=False)
    k: int | None = option(None, "number of rows to have chosen then; default: as many as before")
    remove: str | None = option(
        None,
        "rows to withdraw, with all their copies; a text file with an id a line, or a Parquet file with a column id",
        metavar="FILE",
        identity=False,  # what it holds is
    )
    least_rise: float = option(
        1e-4, "exchange a chosen row for a new one only where f rises by more than this share of itself"
    )

    def __post_init__(self) -> None:
        if not self.data and self.k is None and self.remove is None:
            way = "Give files of new rows, --k N or --remove FILE."
            raise invalid("data", "name new rows where neither k nor remove is given", None, way)
        if self.k is not None:
            whole_number(self.k, "k", "be at least 1", least=1)
        finite_number(self.least_rise, "least_rise", "be a finite number >= 0", least=0.0)
