"""Say what to read and what counts as an item."""

from __future__ import annotations

import codecs
import dataclasses
from dataclasses import dataclass
from typing import Any

from ray_subsel.config.options import check_choices, check_positive, check_share, option
from ray_subsel.core.errors import Verbatim, invalid

TASKS = ("text", "classification", "chat", "multiple-choice", "story-cloze")
CHOICE_TASKS = ("multiple-choice", "story-cloze")
"""Tasks of which a row is a question with several answers."""
FORMATS = (
    *("auto", "csv", "tsv", "jsonl", "json", "parquet", "arrow", "npy", "safetensors"),
    *("text", "paragraphs", "documents"),
)
PLAIN_TEXT = ("text", "paragraphs", "documents")
"""Formats of one column, whose name nobody need give: a line, a paragraph, a file each a text."""
STORY_TEXTS = ("context+right", "context", "everything")
CHAT_PARTS = ("dialogue", "prompt", "response", "system")
ANSWERS = ("auto", "0-based", "1-based", "letters", "text")
QUOTING = ("auto", "csv", "none")


@dataclass(frozen=True)
class CorpusConfig:
    """What to read and what counts as an item."""

    data: tuple[str, ...] = option((), "files, folders or globs", identity=False)
    task: str = option("text", "what a row is", choices=TASKS)
    format: str = option(
        "auto",
        "file format; auto goes by the file's ending. text, paragraphs, documents: plain text, of which a line, a "
        "paragraph (parted by empty lines) or a file is a row",
        choices=FORMATS,
    )
    text: tuple[str, ...] = option(
        (),
        "column that holds the text; or a path into a nested one (doc.text, messages.0.content); repeat to join "
        "several with a space",
        metavar="COLUMN",
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
    template: str | None = option(
        None,
        r"text made of columns, such as '{instruction}\n{output}'; in the place of --text",
        metavar="TEMPLATE",
        later=True,
    )
    embed: str = option(
        "dialogue", "which part of a chat is embedded, with --task chat", choices=CHAT_PARTS, later=True
    )
    tokenizer: str | None = option(
        None,
        "with --cost tokens: folder or hub name of the tokenizer that counts them, of chats by their template",
        metavar="FOLDER",
        identity=False,  # what it is, is part of the input
    )
    context: tuple[str, ...] = option(
        (), "with --task multiple-choice: column of the question; repeat to join several", metavar="COLUMN", later=True
    )
    choices: tuple[str, ...] = option(
        (), "with --task multiple-choice: column of a choice; repeated", flag="choice", metavar="COLUMN", later=True
    )
    answer: str | None = option(
        None, "with --task multiple-choice: column that tells which choice is right", metavar="COLUMN", later=True
    )
    answers: str = option("auto", "how --answer tells it; auto: by the values", choices=ANSWERS, later=True)
    story_text: str = option(
        "context+right", "which part of a story, or of a question, is embedded", choices=STORY_TEXTS
    )
    delimiter: str | None = option(
        None,
        "character between the fields of CSV and TSV, or tab; default: by the format",
        metavar="CHARACTER",
        later=True,
    )
    quoting: str = option(
        "auto",
        'quotes around fields: csv ("" in them is a quote), none (a quote is a character); auto: csv for CSV, for '
        "TSV what the file's fields tell",
        choices=QUOTING,
        later=True,
    )
    encoding: str = option(
        "utf-8", "characters of text files; UTF-16 with its mark is known without", metavar="NAME", later=True
    )
    copies: str | None = option(
        None,
        "equal texts: one item (collapse) or one each (keep); default: collapse, with --recipe paper keep",
        choices=("collapse", "keep"),
    )
    augment: bool = option(False, "add exact copies, as the paper does: 1 %% of the items, 100 copies of each")
    augment_share: float = option(0.01, "share of the items that --augment copies")
    augment_copies: int = option(100, "copies that --augment adds of each")
    max_rejected: float = option(
        0.05, "stop when more than this share of the rows cannot be used, or a file has no usable row; 1 never stops"
    )
    seed: int = option(0, "seed of everything that is drawn")

    def __post_init__(self) -> None:
        check_choices(self)
        check_share(self, "augment_share")
        check_share(self, "max_rejected", zero=True)
        check_positive(self, "augment_copies")
        self._check_dialect()
        if self.vectors is not None and self.augment:
            raise invalid("augment", "be used with texts", "vectors", "Copies of vectors are rows like any other.")
        if self.task == "classification" and self.label is None:
            raise invalid("label", "name the class column when task is classification", None, "Use --label COLUMN.")
        self._check_text()

    def _check_text(self) -> None:
        if self.template is not None and (self.text or self.task not in ("text", "classification")):
            given = f"--task {self.task}{', --text' if self.text else ''}"
            raise invalid("template", "stand in the place of --text", Verbatim(given))
        if self.task == "multiple-choice":
            lacks = [f"--{name}" for name in ("context", "answer") if not getattr(self, name)]
            lacks += ["--choice twice"] if len(self.choices) < 2 else []
            if lacks:
                raise invalid("task", f"come with {', '.join(lacks)} when it is multiple-choice", None)
        elif self.context or self.choices or self.answer is not None:
            raise invalid("context, choice, answer", "go with --task multiple-choice", Verbatim(f"--task {self.task}"))
        if self.tokenizer is not None and self.cost != "tokens":
            raise invalid("tokenizer", "go with --cost tokens", Verbatim(f"--cost {self.cost}"))

    def _check_dialect(self) -> None:
        if self.delimiter is not None and len(self.separator) != 1:
            raise invalid("delimiter", "be one character, or tab", self.delimiter)
        if self.separator in ("\n", "\r", '"', "\0"):
            raise invalid("delimiter", "be no line end, quote or NUL", self.delimiter)
        try:
            b"".decode(self.encoding)  # not one of bytes to bytes
            codecs.getincrementaldecoder(self.encoding)
        except (LookupError, ValueError):
            way = "Such as utf-8, latin-1, cp1252, utf-16, gb18030, shift_jis."
            raise invalid("encoding", "be one that Python knows", Verbatim(repr(self.encoding)), way) from None

    def alike(self, data: tuple[str, ...], **changes: Any) -> CorpusConfig:
        """Return how other files of such rows are read, such as a test file: without what only a choice needs."""
        unread = dict.fromkeys(("group", "cost", "id", "quality", "tokenizer"))
        kept = {"augment": False, "copies": "keep"}
        return dataclasses.replace(self, data=data, **{**unread, **kept, **changes})

    @property
    def separator(self) -> str:
        """The delimiter as a character; empty: by the format."""
        return {None: "", "tab": "\t", "\\t": "\t"}.get(self.delimiter, self.delimiter or "")
