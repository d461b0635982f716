"""Name the columns of a corpus that constraints read, and check that they are there."""

from __future__ import annotations

from ray_subsel.config import CorpusConfig, FilterConfig, SelectConfig
from ray_subsel.config.corpus import CHOICE_TASKS
from ray_subsel.core.errors import Verbatim, invalid
from ray_subsel.corpus.row_values import check_number_column
from ray_subsel.objectives import GraphCut


def check_corpus(corpus: CorpusConfig, config: SelectConfig) -> None:
    """Refuse constraints for which the corpus names no column, and vectors that the objective cannot take.

    Raises
    ------
    InputError
    """
    config.objective_class.check_input(embedded=corpus.vectors is None)
    if config.per is not None:
        if corpus.group != config.per:
            way = "Use --group for nothing else; quotas and floors within a group go by --label."
            raise invalid("per", "be the column of --group where that is given", config.per, way)
        if config.grouped and corpus.label is None:
            way = "Use --label COLUMN."
            raise invalid("label", "name the column of quotas and floors within a group", None, way)
    elif config.grouped:
        group_column(corpus)
    if config.budget is not None:
        cost_column(corpus)
    near_column(corpus, config)
    if config.quality_weight is not None and corpus.quality is None:
        raise invalid("quality_weight", "go with quality", Verbatim("no --quality"), "Use --quality COLUMN.")
    if corpus.quality is not None and config.mode == "exact" and config.objective_name != GraphCut.name:
        raise invalid("mode", f"be greedi with a quality unless objective is {GraphCut.name}", config.mode)


def check_filters(corpus: CorpusConfig, filters: FilterConfig, config: SelectConfig) -> None:
    """Refuse filters for which the corpus has no column, and those that do not go with what is chosen.

    Raises
    ------
    InputError
    """
    if filters.drop_label_noise is not None and corpus.label is None:
        raise invalid("drop_label_noise", "go with label", Verbatim("no --label"), "Use --label COLUMN.")
    if filters.keep_best is not None:
        check_number_column(corpus, filters.keep_best, "keep_best")
        if config.per is not None:
            raise invalid(
                "keep_best", "be left out with per", Verbatim("both"), "Copies are told apart by group there."
            )


def near_column(corpus: CorpusConfig, config: SelectConfig) -> str | None:
    """Return the column of rows that tells the labels of near copies: what ``near_within`` names, else ``label``."""
    if config.near_within is None:
        return None if corpus.label is None else "label"
    if config.near_within == corpus.label:
        return "label"
    if config.near_within == corpus.group:
        return "group"
    way = f"Use --group {config.near_within} too."
    raise invalid("near_within", "be the column of --label or --group", config.near_within, way)


def group_column(corpus: CorpusConfig) -> str:
    """Return the column of rows that holds the group of quotas and floors: ``group``, else ``label``."""
    if corpus.group is not None:
        return "group"
    if corpus.label is not None or corpus.task in CHOICE_TASKS:
        return "label"
    raise invalid("group", "name a column where quotas or floors are given", None, "Use --group COLUMN.")


def cost_column(corpus: CorpusConfig) -> str:
    """Return the column of rows from which costs are taken: ``cost``, else ``text``, whose words are counted."""
    if corpus.cost is not None:
        return "cost"
    if corpus.vectors is not None and not corpus.text:
        raise invalid("cost", "name a column where there is a budget and no text", None, "Use --cost COLUMN.")
    return "text"
