"""Say what to read and what counts as an item."""

from __future__ import annotations

from dataclasses import dataclass

from ray_subsel.config.options import check_choices, check_positive, check_share, option
from ray_subsel.core.errors import invalid

TASKS = ("text", "story-cloze", "classification")
FORMATS = ("auto", "csv", "tsv", "jsonl", "parquet", "text")
STORY_TEXTS = ("context+right", "context", "everything")


@dataclass(frozen=True)
class CorpusConfig:
    """What to read and what counts as an item."""

    data: tuple[str, ...] = option((), "files, folders or globs", identity=False)
    task: str = option("text", "what a row is", choices=TASKS)
    format: str = option("auto", "file format; auto goes by the file's ending", choices=FORMATS)
    text: tuple[str, ...] = option(
        (), "column that holds the text; repeat to join several with a space", metavar="COLUMN"
    )
    vectors: str | None = option(None, "column that holds ready vectors; nothing is embedded then", metavar="COLUMN")
    label: str | None = option(None, "column that holds the class", metavar="COLUMN")
    group: str | None = option(None, "column that holds a group", metavar="COLUMN")
    cost: str | None = option(
        None, "column that holds what a row costs, such as its tokens, for --budget; a number above 0", metavar="COLUMN"
    )
    quality: str | None = option(
        None,
        "column that holds a score of each row, in any unit, higher is better; empty: none",
        metavar="COLUMN",
        later=True,
    )
    id: str | None = option(
        None, "column that holds your own id; must be unique; kept beside the row id", metavar="COLUMN"
    )
    story_text: str = option("context+right", "which part of a story is embedded", choices=STORY_TEXTS)
    copies: str | None = option(
        None,
        "equal texts: one item (collapse) or one each (keep); default: collapse, with --recipe paper keep",
        choices=("collapse", "keep"),
    )
    augment: bool = option(False, "add exact copies, as the paper does: 1 %% of the items, 100 copies of each")
    augment_share: float = option(0.01, "share of the items that --augment copies")
    augment_copies: int = option(100, "copies that --augment adds of each")
    max_rejected: float = option(0.05, "stop when more than this share of the rows cannot be used")
    seed: int = option(0, "seed of everything that is drawn")

    def __post_init__(self) -> None:
        check_choices(self)
        check_share(self, "augment_share")
        check_share(self, "max_rejected", zero=True)
        check_positive(self, "augment_copies")
        if self.vectors is not None and self.augment:
            raise invalid("augment", "be used with texts", "vectors", "Copies of vectors are rows like any other.")
        if self.task == "classification" and self.label is None:
            raise invalid("label", "name the class column when task is classification", None, "Use --label COLUMN.")
        if self.task != "story-cloze" and not self.text and self.vectors is None and self.format != "text":
            raise invalid("text", "name a column", None, "Use --text COLUMN, --vectors COLUMN, or --task story-cloze.")
