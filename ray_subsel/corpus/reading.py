"""Say how the rows of a file or table are read, and check that the columns asked for are there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from ray_subsel.config import CorpusConfig
from ray_subsel.core.errors import InputError, Verbatim, invalid
from ray_subsel.core.suggest import did_you_mean
from ray_subsel.corpus.chats import ChatForm, chat_form
from ray_subsel.corpus.choices import ChoiceColumns
from ray_subsel.corpus.columns import Columns, steps_of, type_at
from ray_subsel.corpus.formats.plain_text import TEXT_COLUMN
from ray_subsel.corpus.story_columns import SCHEMES, StoryColumns
from ray_subsel.corpus.template import Template
from ray_subsel.corpus.vector_columns import holds_vectors, vector_lists

CHATS = "Those are messages, conversations, instruction and output, prompt and completion; or use --template."


@dataclass(frozen=True)
class Reading:
    """How the rows of one file are read.

    Attributes
    ----------
    config : CorpusConfig
    text : tuple of str
        The columns that are joined to the text; empty where something else is, and for bare vectors.
    choice : ChoiceColumns or None
        Where questions lie.
    chat : ChatForm or None
        Where chats lie.
    template : Template or None
        What makes a text of several columns.
    dimension : int or None
        The length that vectors must have; None where there are none.
    """

    config: CorpusConfig
    text: tuple[str, ...]
    dimension: int | None = None
    choice: ChoiceColumns | None = None
    chat: ChatForm | None = None
    template: Template | None = None


def reading_of(
    schema: pa.Schema | None, config: CorpusConfig, where: str, dimension: int | None = None, *, judged: bool = False
) -> Reading:
    """Return how rows of a schema are read, once the columns asked for are known to be there.

    Parameters
    ----------
    schema : pa.Schema or None
        None where there is no row to tell it by.
    config : CorpusConfig
    where : str
        The file or table, for messages.
    dimension : int or None
        The length that vectors must have.
    judged : bool
        Types below columns are those of a few rows, and say nothing of the rest: each row is judged by itself.

    Raises
    ------
    InputError
        For a column that is not there, or cannot be what it is asked to be.
    """
    names = None if schema is None else list(schema.names)
    if names is not None and (twice := sorted({name for name in names if names.count(name) > 1})):
        raise InputError(f"{where} must name each column once; got {', '.join(twice)} more than once.")
    reading = _of_task(schema, config, where)
    vectors = config.vectors
    asked: dict[str, tuple[str | None, ...]] = {
        "text": reading.text,
        "vectors": (vectors,),
        "label": (config.label,),
        "group": (config.group,),
        "cost": (None if config.tokenizer is not None else config.cost,),
        "quality": (config.quality,),
        "id": (config.id,),
        "template": () if reading.template is None else reading.template.paths,
        "context, choice, answer": () if reading.choice is None else reading.choice.columns,
    }
    for option, columns in asked.items() if schema is not None else ():
        for name in columns:
            if name is not None and schema is not None and not _is_there(schema, name, judged=judged):
                way = f"{did_you_mean(name, schema.names)} Its columns: {_shown(schema.names)}."
                raise invalid(option, f"be a column of {where}", name, way)
    if vectors is not None and schema is not None and not judged:
        kind = _type_of(schema, vectors)
        if kind is None or not holds_vectors(kind):
            raise invalid("vectors", "be a column of lists of numbers", f"{vectors}: {kind}", f"See {where}.")
    return replace(reading, dimension=dimension)


def _of_task(schema: pa.Schema | None, config: CorpusConfig, where: str) -> Reading:
    """Return what is read as the text of a row."""
    names = None if schema is None else list(schema.names)
    if config.task == "story-cloze":
        if config.text or config.label is not None:
            given = "text" if config.text else "label"
            value = ", ".join(config.text) if config.text else config.label
            raise invalid(
                given, "be left out when task is story-cloze, whose columns are known", value, "Or use --task text."
            )
        return Reading(config, (), choice=SCHEMES[0].choice if names is None else _story_columns(where, names).choice)
    if config.task == "multiple-choice":
        if config.text or config.label is not None:
            raise invalid("text, label", "be left out when task is multiple-choice", Verbatim("one of them"))
        answer = config.answer or ""
        return Reading(config, (), choice=ChoiceColumns(config.context, config.choices, answer, config.answers))
    if config.template is not None:
        return Reading(config, (), template=Template.parse(config.template))
    if config.text or (config.vectors is not None and config.task != "chat"):
        return Reading(config, config.text)
    if config.task == "chat":
        chat = None if schema is None else chat_form(schema)
        if chat is None and schema is not None:
            raise invalid("task", f"be chat where {where} has columns of one", Verbatim(_shown(names or [])), CHATS)
        return Reading(config, (), chat=chat)
    return Reading(config, (TEXT_COLUMN,))


def _shown(names: list[str]) -> str:
    more = f", and {len(names) - 40} more" if len(names) > 40 else ""
    return ", ".join(names[:40]) + more


def _is_there(schema: pa.Schema, path: str, *, judged: bool) -> bool:
    return (steps_of(path, schema.names) if judged else _type_of(schema, path)) is not None


def _type_of(schema: pa.Schema, path: str) -> pa.DataType | None:
    """Return the type of what a path leads to, or None where it leads nowhere."""
    where = steps_of(path, schema.names)
    return None if where is None else type_at(schema.field(where[0]).type, where[1])


def _story_columns(where: str, names: list[str]) -> StoryColumns:
    present = set(names)
    for scheme in SCHEMES:
        if present.issuperset(scheme.needed):
            return scheme
    closest = max(SCHEMES, key=lambda scheme: len(present.intersection(scheme.needed)))
    missing = [name for name in closest.needed if name not in present]
    hint = f"Its columns: {_shown(names)}."
    if missing == [closest.right]:
        hint = "It is a test without answers: use --task text with --text for each sentence."
    raise invalid(f"columns of {where}", f"include {', '.join(missing)} when task is story-cloze", "none", hint)


def first_dimension(found: Iterable[Columns], name: str) -> int:
    """Return the length of the first vector that could be used."""
    for columns in found:
        lists = vector_lists(columns.column(name))
        for value in () if lists is None else lists:
            vector = np.array(value.as_py() or [], dtype=np.float64)
            if len(vector) and np.isfinite(vector).all() and vector.any():
                return len(vector)
    raise invalid("vectors", "hold at least one finite vector that is not zero", name, "All rows were looked at.")
