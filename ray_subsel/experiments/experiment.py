"""Run an experiment from files to figures: read, run the missing cells, write the results and the page."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from ray_subsel.config import CacheConfig, CorpusConfig, EmbedConfig, TrainConfig, fingerprint_fields
from ray_subsel.core.errors import invalid
from ray_subsel.core.hashing import fingerprint
from ray_subsel.embedders import EMBEDDERS
from ray_subsel.experiments.embedder_choices import TRAINED, coordinate, model_label
from ray_subsel.experiments.grid import FOLDER, RESULTS, Bases, Results, read_results
from ray_subsel.experiments.labelled_rows import Labelled, check_labelled
from ray_subsel.experiments.page import figures_of, render_page
from ray_subsel.experiments.ray_runner import Spread, spread_cells
from ray_subsel.experiments.rendering import png_renderer
from ray_subsel.experiments.runner import Bench, Setup, run_cells
from ray_subsel.experiments.studies import StudyConfig, cells_of
from ray_subsel.experiments.summary import summarize
from ray_subsel.experiments.tables import as_text
from ray_subsel.runtime.progress import log_line
from ray_subsel.storage.manifest import NAME as MANIFEST
from ray_subsel.storage.run_directory import RunDir

FIGURES = "figures"
PAGE = "experiment.html"
SUMMARY = "summary.json"
TABLES = "tables.txt"


@dataclass(frozen=True)
class ExperimentConfig:
    """Everything an experiment is made of.

    Attributes
    ----------
    corpus : CorpusConfig
        ``task`` is ``story-cloze`` or ``classification``; copies are kept and none are added: the study adds its own.
    embed : EmbedConfig
    train : TrainConfig
        ``test`` names the labelled test file.
    study : StudyConfig
    out : str
        Directory, local or a URI. An experiment that was stopped goes on from its finished cells.
    threads : int
        CPU threads of the encoder.
    workers : int or None
        Ray tasks at a time. None without ``address``: this process computes cell after cell, without Ray.
    address : str or None
        Ray's; None with ``workers``: ``auto``.
    cache : CacheConfig
        Where embeddings of earlier runs and experiments are.
    """

    corpus: CorpusConfig
    embed: EmbedConfig
    train: TrainConfig
    study: StudyConfig
    out: str
    threads: int = 1
    workers: int | None = None
    address: str | None = None
    cache: CacheConfig = field(default_factory=CacheConfig)

    def __post_init__(self) -> None:
        if not self.out:
            raise invalid("out", "name a directory", self.out, "Use --out DIR.")
        check_labelled(self.corpus)
        if not self.train.test:
            raise invalid("test", "name a labelled file", self.train.test, "Use --test FILE.")
        if self.corpus.augment:
            raise invalid("augment", "be left to the study", True, "Use --kind, --density and --sources.")
        if self.threads < 1:
            raise invalid("threads", "be at least 1", self.threads)
        if self.workers is not None and self.workers < 1:
            raise invalid("workers", "be at least 1", self.workers)


def run(config: ExperimentConfig) -> str:
    """Compute the missing cells, write the results, tables, figures and the page, and return the tables.

    Notes
    -----
    Every cell is on disk when it is done; the files that gather them are written after each draw.
    """
    out = RunDir(config.out)
    out.sweep()
    rows = Labelled.of(config.corpus, "experiment")
    (train, _), (test, _) = (rows.read(data) for data in (config.corpus.data, config.train.test))
    setup = Setup(rows.task, train, test, config.embed, config.train)
    named = {coordinate(name, setup.encoder): name for name in config.study.choosers}
    setup = replace(setup, choosers=named, cache=config.cache)
    study = replace(config.study, choosers=tuple(named))
    cells = cells_of(study, config.corpus.story_text)
    about = {config.study.via: setup.about(config.study.via)}
    settings = {
        **about,
        "study": fingerprint_fields(study),
        "encoder": model_label(setup.encoder),
        "trained": model_label(setup.trained),
        "rows": train.num_rows,
        "test_rows": test.num_rows,
    }
    versions = {name: EMBEDDERS[name].version for name in TRAINED}
    results = Results(out, Bases({via: fingerprint(content) for via, content in about.items()}, versions), settings)
    if config.workers is None and config.address is None:
        run_cells(Bench(setup, out, threads=config.threads), cells, results, results.gather)
    else:
        spread = Spread(config.address or "auto", config.workers, config.threads)
        spread_cells(setup, cells, results, spread, results.gather)
    results.gather()  # with the cells that a run which was killed had finished
    return write_summary(config.out)


def is_experiment(out: str) -> bool:
    """Tell whether a directory holds cells of an experiment, and no run."""
    run = RunDir(out)
    return not run.exists(MANIFEST) and (run.exists(RESULTS) or run.exists(FOLDER))


def write_summary(out: str) -> str:
    """Write summary, tables, figures and the page from the finished cells of a directory alone; return the tables."""
    run_dir = RunDir(out)
    results, settings = read_results(out)
    summary = summarize(results, settings)
    run_dir.write_json(SUMMARY, summary)
    text = as_text(summary)
    run_dir.write_bytes(TABLES, text.encode())
    _write_figures(run_dir, figures_of(summary))
    run_dir.write_bytes(PAGE, render_page(summary).encode())
    log_line(f"experiment: {run_dir.path(PAGE)}")
    return text


def _write_figures(run: RunDir, figures: dict[str, str]) -> None:
    for ending in (".svg", ".png"):  # of an earlier writing, which may have had other figures
        for name in run.names(FIGURES, suffix=ending):
            run.delete(name)
    render, lacks = png_renderer()
    for name, svg in figures.items():
        run.write_bytes(f"{FIGURES}/{name}.svg", svg.encode())
        if render is not None:
            run.write_bytes(f"{FIGURES}/{name}.png", render(svg))
    if figures and lacks:
        log_line(f"experiment: {lacks}")
