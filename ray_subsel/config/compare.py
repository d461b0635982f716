"""Say what to compare, and over how many draws."""

from __future__ import annotations

from dataclasses import dataclass

from ray_subsel.config.options import check_share, option
from ray_subsel.core.errors import invalid


@dataclass(frozen=True)
class CompareConfig:
    """What to compare, on what, and over how many draws."""

    out: str = option("", "directory of the comparison; the same command again goes on", metavar="DIR", identity=False)
    test: tuple[str, ...] = option(
        (),
        "labelled file to measure accuracy on; default: a share of DATA is held out, whose near copies leave the rest",
        metavar="FILE",
        identity=False,
    )
    held_out: float = option(0.2, "share of the rows that is held out where there is no --test")
    methods: tuple[str, ...] = option(
        (), "way to choose; repeat for several; default: all that are of use on such data", flag="method"
    )
    sizes: tuple[float, ...] = option(
        (0.05, 0.1, 0.25), "share of the rows to choose; repeat for several", flag="size", metavar="X"
    )
    draws: int = option(10, "how often it is done; each time on other rows and in another order")
    draw_share: float = option(0.8, "share of the rows for training that a draw may choose from")
    rows: int = option(10_000, "look at no more rows than so many; of DATA and of --test, drawn at random")
    near: float | None = option(
        None, "cosine from which rows count as near copies; default: 0.9, and 0.6 with --embedder tfidf"
    )
    threads: int = option(1, "CPU threads of an encoder", identity=False)
    workers: int | None = option(
        None, "Ray tasks at a time, each a draw; default: no Ray, or with --address as many as there are CPUs",
        identity=False,
    )  # fmt: skip
    address: str | None = option(
        None,
        "Ray: local, auto (the cluster of a submitted job, else local), or an address; nodes must see DIR",
        metavar="ADDRESS",
        identity=False,
    )

    def __post_init__(self) -> None:
        if not self.out:
            raise invalid("out", "name a directory", self.out, "Use --out DIR.")
        for size in self.sizes:
            if not 0 < size < 1:
                raise invalid("size", "lie between 0 and 1; everything is measured anyway", size)
        if not self.sizes:
            raise invalid("size", "be given at least once", None, "Say --size 0.1.")
        if not 0 < self.held_out < 1:
            raise invalid("held_out", "lie between 0 and 1", self.held_out)
        check_share(self, "draw_share", "near")
        for name, least in (("draws", 1), ("rows", 20), ("threads", 1), ("workers", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise invalid(name, f"be at least {least}", value)
