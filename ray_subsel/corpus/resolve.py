"""Decide what a corpus leaves open by what its files are, and say so: which column is the text, how answers count."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import pyarrow as pa

from ray_subsel.config import CorpusConfig
from ray_subsel.config.corpus import PLAIN_TEXT
from ray_subsel.core.errors import InputError, invalid, with_hint
from ray_subsel.corpus.chats import chat_form
from ray_subsel.corpus.choices import ChoiceColumns, tell_answers
from ray_subsel.corpus.columns import Columns
from ray_subsel.corpus.files import list_files
from ray_subsel.corpus.formats import format_for
from ray_subsel.corpus.formats.plain_text import TEXT_COLUMN
from ray_subsel.corpus.ingest_plan import schema_of
from ray_subsel.corpus.vector_columns import holds_vectors


def is_open(config: CorpusConfig) -> bool:
    """Tell whether anything is left to be decided by the data."""
    if config.task == "multiple-choice":
        return config.answers == "auto"
    told = config.text or config.vectors or config.template or config.format in PLAIN_TEXT
    return not told and config.task in ("text", "classification")


def resolve(config: CorpusConfig) -> tuple[CorpusConfig, list[str]]:
    """Return a configuration that leaves nothing open, and a line for each thing that the data decided.

    Raises
    ------
    InputError
        Where the data do not decide it.
    """
    if not is_open(config):
        return config, []
    files, _ = list_files(config)
    if config.task == "multiple-choice":
        return resolve_answers(config, (batch.columns for file in files for batch in format_for(file).batches(file)))
    for file in files:
        if (schema := schema_of(file)) is not None:
            try:
                return resolve_columns(config, schema, file.uri)
            except InputError as error:
                raise with_hint(error, format_for(file).way_out(file)) from None
    return dataclasses.replace(config, text=(TEXT_COLUMN,)), []  # files without rows: told when they are read


def resolve_answers(config: CorpusConfig, batches: Iterable[Columns]) -> tuple[CorpusConfig, list[str]]:
    """Return a configuration that says how answers tell the right choice."""
    question = ChoiceColumns(config.context, config.choices, config.answer or "", "auto")
    answers = tell_answers(batches, question)
    line = f"column {config.answer} tells the right choice {_WORDS[answers]} (--answers {answers})"
    return dataclasses.replace(config, answers=answers), [line]


_WORDS = {
    "0-based": "by its number, from 0",
    "1-based": "by its number, from 1",
    "letters": "by its letter",
    "text": "by its text",
}


def resolve_columns(config: CorpusConfig, schema: pa.Schema, where: str) -> tuple[CorpusConfig, list[str]]:
    """Return a configuration that says what the text is: the vectors of an array, a chat, or the column ``text``.

    Parameters
    ----------
    config : CorpusConfig
        Without text, vectors or template.
    schema : pa.Schema
    where : str
        What messages call it.
    """
    names = list(schema.names)
    if len(names) == 1 and holds_vectors(schema.field(0).type):
        return dataclasses.replace(config, vectors=names[0]), [f"column {names[0]} holds the vectors"]
    if config.task == "text" and (form := chat_form(schema)) is not None:
        line = f"chats in {form.name}; their {config.embed} is embedded (--task chat --embed {config.embed})"
        return dataclasses.replace(config, task="chat"), [line]
    if TEXT_COLUMN in names:
        return dataclasses.replace(config, text=(TEXT_COLUMN,)), [f"column {TEXT_COLUMN} is the text"]
    shown = ", ".join(names[:40])
    way = f"Use --text COLUMN, --vectors COLUMN, --template or --task. Columns of {where}: {shown}."
    raise invalid("text", "name a column", None, way)
