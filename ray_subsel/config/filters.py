"""Say which rows may not be chosen because of what they are: repeats of another set."""

from __future__ import annotations

from dataclasses import dataclass

from ray_subsel.config.options import check_share, option
from ray_subsel.core.errors import Verbatim, invalid


@dataclass(frozen=True)
class FilterConfig:
    """Which rows are left out before anything is chosen. Each is part of the identity of the stage that does it."""

    against: tuple[str, ...] = option(
        (),
        "another set, such as the test file: rows that repeat a row of it are never chosen; a file, folder or glob, "
        "repeated",
        metavar="FILE",
    )
    against_text: tuple[str, ...] = option(
        (), "column of --against that holds the text; default: that of --text", metavar="COLUMN"
    )
    against_near: float | None = option(
        None, "cosine from which a row repeats one of --against too; default: that of --near, else none is compared"
    )

    def __post_init__(self) -> None:
        check_share(self, "against_near")
        for name in ("against_text", "against_near"):
            if getattr(self, name) not in ((), None) and not self.against:
                raise invalid(name, "go with against", Verbatim("no --against"), "Use --against FILE.")
