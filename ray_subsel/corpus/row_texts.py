"""Make the text that stands for each row of a batch: of columns, a template, a chat, a question with its choices."""

from __future__ import annotations

from dataclasses import dataclass, field

from ray_subsel.core.texts import is_visible
from ray_subsel.corpus.batches import NOT_A_STRING, Batch, excerpt
from ray_subsel.corpus.chats import Message, chats_of, part_of
from ray_subsel.corpus.choices import CONTEXT, ChoiceColumns, ending_names, right_choice
from ray_subsel.corpus.reading import Reading
from ray_subsel.corpus.story_columns import story_text
from ray_subsel.corpus.template import Template


class CheckedRows:
    """The rows of one batch, with the reasons found so far; the first reason of a row stands."""

    def __init__(self, batch: Batch) -> None:
        self.columns = batch.columns
        self.n = batch.columns.rows
        self.reasons: dict[int, tuple[str, str]] = {}

    def stripped(self, path: str) -> list[str]:
        """Return values as texts without spaces around them; where nothing of one can be seen, it is empty."""
        return [text if is_visible(text) else "" for text in (one.strip() for one in self.columns.texts(path))]

    def names(self, path: str) -> list[str]:
        """Return labels, groups or ids."""
        return [text if is_visible(text) else "" for text in (one.strip() for one in self.columns.names(path))]

    def reject(self, row: int, reason: str, detail: str = "") -> None:
        """Say why a row cannot be used."""
        self.reasons.setdefault(row, (reason, excerpt(detail)))


@dataclass(frozen=True)
class RowTexts:
    """What stands for the rows of a batch.

    Attributes
    ----------
    texts : list of str or None
        What is embedded; None where rows have vectors alone.
    labels : list of str or None
        Of questions the number of the right choice.
    extra : dict of str to list of str
        Of questions the context and the choices.
    chats : list of lists of messages, or None
    """

    texts: list[str] | None = None
    labels: list[str] | None = None
    extra: dict[str, list[str]] = field(default_factory=dict)
    chats: list[list[Message]] | None = None


def texts_of_rows(rows: CheckedRows, reading: Reading) -> RowTexts:
    """Return what stands for each row; a row without is rejected."""
    config = reading.config
    if reading.choice is not None:
        return _questions(rows, reading.choice, config.story_text)
    if reading.chat is not None:
        chats = chats_of(rows.columns, reading.chat)
        return RowTexts(_parts(rows, chats, config.embed), chats=chats)
    if reading.template is not None:
        return RowTexts(_filled(rows, reading.template))
    return RowTexts(_texts(rows, reading.text)) if reading.text else RowTexts()


def _questions(rows: CheckedRows, question: ChoiceColumns, kind: str) -> RowTexts:
    """Return the context, the choices, the number of the right one (from 1) and the text of every question."""
    parts = [rows.stripped(name) for name in question.context]
    choices = [rows.stripped(name) for name in question.choices]
    answers = rows.names(question.answer)
    names = (*question.context, *question.choices)
    contexts = [" ".join(part for part in whole if part) for whole in zip(*parts, strict=True)]
    rights: list[str] = []
    texts: list[str] = []
    for row, (whole, answer) in enumerate(zip(zip(*parts, *choices, strict=True), answers, strict=True)):
        if not all(whole):
            empty = [name for name, part in zip(names, whole, strict=True) if not part]
            rows.reject(row, "empty text", ", ".join(empty))
        mine = whole[len(parts) :]
        right = right_choice(answer, question.answers, mine)
        if right is None:
            must = f"be one of {len(mine)} choices ({question.answers})"
            rows.reject(row, "wrong label", f"{question.answer} must {must}: {answer}")
        rights.append(str(right or 1))
        texts.append(story_text(kind, contexts[row], mine, rights[-1]))
    named = zip((CONTEXT, *ending_names(len(choices))), (contexts, *choices), strict=True)
    return RowTexts(texts, rights, dict(named))


def _parts(rows: CheckedRows, chats: list[list[Message]], part: str) -> list[str]:
    """Return what is embedded of each chat."""
    texts = [part_of(chat, part) for chat in chats]
    for row, (chat, text) in enumerate(zip(chats, texts, strict=True)):
        if not chat:
            rows.reject(row, "no messages")
        elif not is_visible(text):
            rows.reject(row, "empty text", f"no {part}")
    return texts


def _filled(rows: CheckedRows, template: Template) -> list[str]:
    """Return the template filled with the values of each row."""
    columns = {path: rows.stripped(path) for path in template.paths}
    texts = [template.fill(dict(zip(columns, values, strict=True))) for values in zip(*columns.values(), strict=True)]
    for row in (i for i, text in enumerate(texts) if not text):
        rows.reject(row, "empty text")
    return texts


def _texts(rows: CheckedRows, names: tuple[str, ...]) -> list[str]:
    columns = [rows.stripped(name) for name in names]
    texts = [" ".join(part for part in parts if part) for parts in zip(*columns, strict=True)]
    for row in (i for i, text in enumerate(texts) if not text):
        rows.reject(row, "empty text")
    for name in names:
        for row in rows.columns.trees(name):
            rows.reject(row, NOT_A_STRING, name)
    return texts
