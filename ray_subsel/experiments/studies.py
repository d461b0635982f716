"""List the studies: which cells answer which question."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from ray_subsel.config import STORY_TEXTS, option
from ray_subsel.core.errors import invalid, unknown
from ray_subsel.experiments.embedder_choices import OWN, TRAINED
from ray_subsel.experiments.grid import VIAS, Cell
from ray_subsel.experiments.methods import METHODS, method_named
from ray_subsel.experiments.samples import KINDS, Redundancy

PAPER_SIZES = (0.05, 0.1, 0.25, 0.4, 0.6, 0.8)
CLAIM_SIZES = (0.05, 0.1, 0.25)
DENSITIES = (0.0, 0.25, 0.5, 0.75, 0.9)
LAMBDAS = ("0.1", "1", "10", "100", "auto")
PAPER_METHODS = tuple(name for name, method in METHODS.items() if not method.balanced)
CLAIM_METHODS = tuple(name for name in PAPER_METHODS if name != "graph-cut-doc2vec")


@dataclass(frozen=True)
class StudyConfig:
    """Which cells to compute."""

    study: str = option(
        "tables",
        "tables (the paper's), claim (does it beat what one would do else), redundancy (density x lambda), text, "
        "encoders (who chooses x how)",
        choices=("tables", "claim", "redundancy", "text", "encoders"),
    )
    via: str = option("probe", "what measures a subset: probe (seconds) or finetune (minutes)", choices=VIAS)
    seeds: int = option(3, "number of draws")
    first_seed: int = option(0, "seed of the first draw")
    methods: tuple[str, ...] = option(
        (), "method to compare; repeat for several; graph-cut-keep@L sets lambda; default: the study's", flag="method"
    )
    choosers: tuple[str, ...] = option(
        (),
        "whose vectors choose: encoder (the experiment's own), doc2vec, tfidf, or another encoder's name or folder; "
        "repeat; the learner stays. Default: encoder, or the study's",
        flag="chooser",
    )
    sizes: tuple[float, ...] = option((), "subset size as a share; repeat for several", flag="size", metavar="X")
    kinds: tuple[str, ...] = option((), "copies: none, exact, near, both; repeat for several", flag="kind")
    densities: tuple[float, ...] = option((), "share of rows that are copies; repeat", flag="density", metavar="X")
    sources: float = option(0.01, "share of the originals that are copied")
    strength: float = option(0.15, "edits a word of a near copy")
    pool: int | None = option(None, "originals drawn anew for each seed; default: all")

    def __post_init__(self) -> None:
        if self.study not in STUDIES:
            raise unknown("study", self.study, STUDIES)
        if self.via not in VIAS:
            raise unknown("via", self.via, VIAS)
        if self.seeds < 1:
            raise invalid("seeds", "be at least 1", self.seeds)
        if self.first_seed < 0:
            raise invalid("first_seed", "be at least 0", self.first_seed)
        for kind in self.kinds:
            if kind not in KINDS:
                raise unknown("kind", kind, KINDS)
        for name in self.methods:
            method_named(name)


def cells_of(config: StudyConfig, story: str = "context+right") -> list[Cell]:
    """Return a study's cells in the order in which they are worth having: draw after draw, small before large."""
    cells = list(dict.fromkeys(STUDIES[config.study](config, story)))
    return sorted(cells, key=lambda cell: cell.seed)  # stable: within a draw the study's order stays


def _cross(
    config: StudyConfig,
    methods: tuple[str, ...],
    sizes: tuple[float, ...],
    redundancies: list[Redundancy],
    stories: tuple[str, ...],
    share_of: str = "rows",
    choosers: tuple[str, ...] = (OWN,),
) -> list[Cell]:
    cells = [
        Cell(config.via, method, size, seed, redundancy, config.pool, story, share_of, chooser)
        for seed in range(config.first_seed, config.first_seed + config.seeds)
        for story in stories
        for redundancy in redundancies
        for size in config.sizes or sizes
        for chooser in config.choosers or choosers
        for method in config.methods or methods
    ]
    return [_meant(cell) for cell in cells]


def _meant(cell: Cell) -> Cell:
    """Return the one cell that stands for all that are equal: of any size, or whoever chooses."""
    if cell.method == "full":
        return replace(cell, size=1.0, chooser=OWN)
    return cell if method_named(cell.method).takes_choosers else replace(cell, chooser=OWN)


def _redundancies(
    config: StudyConfig, kinds: tuple[str, ...], densities: tuple[float, ...], sources: float | None = None
) -> list[Redundancy]:
    share = config.sources if sources is None else sources
    return [
        # without copies all kinds are one
        Redundancy("none", 0.0, share, config.strength)
        if "none" in (kind, kind if density else "none")
        else Redundancy(kind, density, share, config.strength)
        for density in config.densities or densities
        for kind in config.kinds or kinds
    ]


def _tables(config: StudyConfig, story: str) -> list[Cell]:
    return _cross(config, PAPER_METHODS, PAPER_SIZES, _redundancies(config, ("exact",), (0.5,)), (story,))


def _claim(config: StudyConfig, story: str) -> list[Cell]:
    kinds = _redundancies(config, ("exact", "near", "both"), (0.5,))
    return _cross(config, CLAIM_METHODS, CLAIM_SIZES, kinds, (story,))


def _redundancy(config: StudyConfig, story: str) -> list[Cell]:
    methods = (
        *(f"graph-cut-keep@{lam}" for lam in LAMBDAS),
        *(f"near-graph-cut@{lam}" for lam in LAMBDAS),
        "random", "random-distinct", "near-facility-location",
    )  # fmt: skip
    redundancies = _redundancies(config, ("exact", "near"), DENSITIES)
    return _cross(config, methods, (0.1,), redundancies, (story,), "originals")


def _text(config: StudyConfig, story: str) -> list[Cell]:
    del story  # this study's own question
    methods = ("random", "graph-cut", "graph-cut@auto", "near-facility-location")
    return _cross(config, methods, CLAIM_SIZES, _redundancies(config, ("none",), (0.0,)), STORY_TEXTS)


def _encoders(config: StudyConfig, story: str) -> list[Cell]:
    methods = (
        "full", "random-distinct", "semdedup-random", "k-center", "graph-cut-keep", "near-graph-cut",
        "near-facility-location",
    )  # fmt: skip
    redundancies = _redundancies(config, ("exact", "near"), (0.5,))
    return _cross(config, methods, (0.1,), redundancies, (story,), choosers=(OWN, *TRAINED))


STUDIES: dict[str, Callable[[StudyConfig, str], list[Cell]]] = {
    "tables": _tables,
    "claim": _claim,
    "redundancy": _redundancy,
    "text": _text,
    "encoders": _encoders,
}
