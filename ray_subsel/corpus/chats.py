"""Read chats in the forms in which they are published, as lists of messages.

====================  =========================================================================
columns               what they are
====================  =========================================================================
messages              a list of ``role`` and ``content``; of content in parts, the texts count
conversations         a list of ``from`` and ``value`` (ShareGPT): human, gpt, system
prompt, chosen        a pair of which the chosen answer counts, with ``rejected`` beside it
instruction, output   Alpaca, with ``input`` and ``system`` where they are there
prompt, completion    one turn; also prompt, response
====================  =========================================================================

``prompt``, ``chosen``, ``completion`` may be texts or lists of messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from ray_subsel.corpus.columns import Columns

SYSTEM, USER, ASSISTANT = "system", "user", "assistant"
_ROLES = {
    name: role
    for role, names in {
        USER: ("human", "user", "prompter"),
        ASSISTANT: ("gpt", "assistant", "bot", "model", "chatgpt"),
        SYSTEM: ("system", "developer"),
    }.items()
    for name in names
}

Message = tuple[str, str]
"""Role and text."""


@dataclass(frozen=True)
class ChatForm:
    """Where a chat lies in a row.

    Attributes
    ----------
    turns : tuple of (str, str or None)
        Columns in the order in which they are said, and the role of each that is a text; None where it is a list.
    name : str
    """

    name: str
    turns: tuple[tuple[str, str | None], ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns."""
        return tuple(name for name, _ in self.turns)


_LISTS = ("messages", "conversations", "conversation")
_PAIRS = (("prompt", "chosen"), ("instruction", "output"), ("prompt", "completion"), ("prompt", "response"))


def chat_form(schema: pa.Schema) -> ChatForm | None:
    """Return the form of the chats of a table, or None where its columns are none of a chat."""
    names = set(schema.names)
    for name in _LISTS:
        if name in names and _may_be_list(schema.field(name).type):
            return ChatForm(name, ((name, None),))
    if "chosen" in names and "rejected" in names and "prompt" not in names:
        return ChatForm("chosen", (("chosen", ASSISTANT),))
    for asked, answered in _PAIRS:
        if asked in names and answered in names and not (answered == "chosen" and "rejected" not in names):
            turns = [(asked, USER), (answered, ASSISTANT)]
            if asked == "instruction" and "input" in names:
                turns.insert(1, ("input", USER))
            if SYSTEM in names:
                turns.insert(0, (SYSTEM, SYSTEM))
            return ChatForm(f"{asked}, {answered}", tuple(turns))
    return None


def _may_be_list(kind: pa.DataType) -> bool:
    return hasattr(kind, "value_type") and not pa.types.is_dictionary(kind)


def chats_of(columns: Columns, form: ChatForm) -> list[list[Message]]:
    """Return the messages of each row; none where it has no chat."""
    turns = [(columns.values(name), role) for name, role in form.turns]
    return [
        _joined([message for values, role in turns for message in _messages(values[row], role)])
        for row in range(columns.rows)
    ]


def _messages(value: Any, role: str | None) -> list[Message]:
    """Return what a value says: a text of a role, or a list of messages."""
    if isinstance(value, str):
        return [(role, value.strip())] if role is not None and value.strip() else []
    if not isinstance(value, list):
        return []
    found = []
    for one in value:
        if not isinstance(one, dict):
            return []
        said = one.get("role") or one.get("from") or role or USER
        text = _text(one.get("content") if "content" in one else one.get("value"))
        found.append((_ROLES.get(str(said).lower(), str(said)), text))
    return [(said, text) for said, text in found if text]


def _text(content: Any) -> str:
    """Return the text of a message: of content in parts, that of those that have one."""
    if isinstance(content, str):
        return content.strip()
    if isinstance(content, list):
        parts = (one.get("text") if isinstance(one, dict) else one for one in content)
        return "\n".join(part.strip() for part in parts if isinstance(part, str) and part.strip())
    return ""


def _joined(messages: Sequence[Message]) -> list[Message]:
    """Return messages in which those of columns that follow each other in one role are one: Alpaca's two."""
    found: list[Message] = []
    for role, text in messages:
        if found and found[-1][0] == role == USER:
            found[-1] = (role, f"{found[-1][1]}\n{text}")
        else:
            found.append((role, text))
    return found


def part_of(chat: Sequence[Message], part: str) -> str:
    """Return what is embedded of a chat.

    Parameters
    ----------
    part : str
        ``prompt``: what the user says; ``response``: what the assistant says; ``system``: the system prompt;
        ``dialogue``: all of it in its order.
    """
    roles = {"prompt": (USER,), "response": (ASSISTANT,), "system": (SYSTEM,)}.get(part)
    return "\n".join(text for role, text in chat if roles is None or role in roles)
