"""Read questions with several answers of which one is right: a context, choices, and which of them it is.

The Story Cloze Test is one of them: four sentences, two endings, numbered from 1.
"""

from __future__ import annotations

import string
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ray_subsel.core.errors import Verbatim, invalid
from ray_subsel.corpus.columns import Columns

CONTEXT, ENDING = "context", "ending"
ANSWERS = ("auto", "0-based", "1-based", "letters", "text")


@dataclass(frozen=True)
class ChoiceColumns:
    """Where a question lies in a row.

    Attributes
    ----------
    context : tuple of str
        Joined with a space; each must be there.
    choices : tuple of str
    answer : str
        Tells which choice is right.
    answers : str
        How it tells: one of ``ANSWERS``.
    """

    context: tuple[str, ...]
    choices: tuple[str, ...]
    answer: str
    answers: str

    @property
    def columns(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.context, *self.choices, self.answer)


def ending_names(number: int) -> list[str]:
    """Return the columns of a number of choices in the rows on disk: ``ending1`` and so on."""
    return [f"{ENDING}{at}" for at in range(1, number + 1)]


def endings_in(names: Iterable[str]) -> list[str]:
    """Return those columns among others."""
    there = set(names)
    return [name for name in ending_names(len(there)) if name in there]


def right_choice(answer: str, answers: str, choices: Sequence[str]) -> int | None:
    """Return the number of the right choice, counted from 1, or None where the answer is none of them.

    Parameters
    ----------
    answer : str
        What the row says.
    answers : str
        ``0-based``, ``1-based``, ``letters`` (A is the first) or ``text`` (a choice's own).
    choices : sequence of str
    """
    if answers == "text":
        found = [at for at, choice in enumerate(choices, 1) if choice == answer]
        return found[0] if len(found) == 1 else None
    if answers == "letters":
        at = string.ascii_uppercase.find(answer.upper()) + 1 if len(answer) == 1 else 0
    else:
        at = int(answer) + (answers == "0-based") if answer.isascii() and answer.isdigit() else 0
    return at if 1 <= at <= len(choices) else None


def tell_answers(batches: Iterable[Columns], columns: ChoiceColumns) -> str:
    """Return how the answers of a corpus tell the right choice; it reads up to the first row that decides.

    A 0 counts from 0, the number of choices from 1; a letter stands for a choice unless it is one; all else is text.

    Raises
    ------
    InputError
        Where no row decides.
    """
    most = len(columns.choices)
    seen: set[str] = set()
    for batch in batches:
        choices = [batch.texts(name) for name in columns.choices]
        for row, value in enumerate(batch.names(columns.answer)):
            answer = value.strip()
            if not answer:
                continue
            if answer.isascii() and answer.isdigit():
                if int(answer) in (0, most):
                    return "0-based" if int(answer) == 0 else "1-based"
                if not any(answer == column[row].strip() for column in choices):
                    seen.add(answer)
                    continue
            texts = {column[row].strip() for column in choices}
            if answer in texts:
                return "text"
            if len(answer) == 1 and answer.upper() in string.ascii_uppercase[:most]:
                return "letters"
            seen.add(answer)
    shown = ", ".join(sorted(seen)[:5]) or "nothing"
    way = "Use --answers 0-based, 1-based, letters or text."
    raise invalid("answer", f"tell which of {most} choices is right", Verbatim(f"{shown} in {columns.answer}"), way)
