"""Say which rows may not be chosen because of what they are, and which of several copies is kept."""

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

    drop_label_noise: float | None = option(
        None,
        "share of the items to drop whose --label their nearest neighbours contradict most; 0.05 is five in a hundred",
        metavar="F",
    )
    drop_outliers: float | None = option(
        None, "share of the items to drop that the fewest others come near: the lowest mean cosine", metavar="F"
    )
    keep_best: str | None = option(
        None,
        "of equal texts, and with --near of near copies, keep the one of the highest number in this column; default: "
        "the first",
        metavar="COLUMN",
    )

    @property
    def drops(self) -> bool:
        """Whether doubtful labels or outliers are dropped."""
        return self.drop_label_noise is not None or self.drop_outliers is not None

    def __post_init__(self) -> None:
        check_share(self, "against_near")
        check_share(self, "drop_label_noise")
        check_share(self, "drop_outliers")
        for name in ("against_text", "against_near"):
            if getattr(self, name) not in ((), None) and not self.against:
                raise invalid(name, "go with against", Verbatim("no --against"), "Use --against FILE.")
