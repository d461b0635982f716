"""Count tokens of texts and chats with a tokenizer: what they cost a model that is trained on them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from ray_subsel.core.errors import invalid
from ray_subsel.core.hashing import fingerprint
from ray_subsel.embedders.model_files import one_line, quiet_transformers

AT_ONCE = 1024


class TokenCounter:
    """A tokenizer that counts.

    Parameters
    ----------
    name : str
        A local folder, or a hub name.

    Raises
    ------
    InputError
        Where there is no tokenizer.
    """

    def __init__(self, name: str) -> None:
        from transformers import AutoTokenizer

        self.name = name
        try:
            with quiet_transformers():
                self.tokenizer: Any = AutoTokenizer.from_pretrained(name, trust_remote_code=False)
        except Exception as error:  # each kind of broken folder has an error of its own
            raise invalid("tokenizer", "be the folder or hub name of one", name, f"({one_line(error)})") from error

    def fingerprint(self) -> str:
        """Return a hash of the tokenizer and its template of chats, wherever its folder lies."""
        backend = getattr(self.tokenizer, "backend_tokenizer", None)
        words = backend.to_str() if backend is not None else sorted(self.tokenizer.get_vocab().items())
        return fingerprint([words, getattr(self.tokenizer, "chat_template", None)])

    def of_texts(self, texts: Sequence[str]) -> list[int]:
        """Return the tokens of each text, those that the tokenizer puts around it included."""
        counts: list[int] = []
        for start in range(0, len(texts), AT_ONCE):
            found = self.tokenizer(list(texts[start : start + AT_ONCE]), return_attention_mask=False)
            counts += [len(ids) for ids in found["input_ids"]]
        return counts

    def of_chats(self, chats: Sequence[Sequence[tuple[str, str]]]) -> list[int | None]:
        """Return the tokens of each chat, a list of (role, text), as its template writes it.

        None stands for one that the template refuses, such as one whose roles do not take turns.
        """
        written = [self._written(chat) for chat in chats]
        given = [text for text in written if text is not None]
        counts = iter(self._plain(given))
        return [None if text is None else next(counts) for text in written]

    def _plain(self, texts: list[str]) -> list[int]:
        counts: list[int] = []
        for start in range(0, len(texts), AT_ONCE):  # the template has written the special tokens
            block = texts[start : start + AT_ONCE]
            found = self.tokenizer(block, add_special_tokens=False, return_attention_mask=False)
            counts += [len(ids) for ids in found["input_ids"]]
        return counts

    def check_chats(self) -> None:
        """Refuse a tokenizer without a template of chats."""
        if not getattr(self.tokenizer, "chat_template", None):
            raise invalid("tokenizer", "have a chat template where rows are chats", self.name)

    def _written(self, chat: Sequence[tuple[str, str]]) -> str | None:
        import jinja2

        messages = [{"role": role, "content": text} for role, text in chat]
        try:
            return str(self.tokenizer.apply_chat_template(messages, tokenize=False))
        except (jinja2.TemplateError, ValueError, TypeError, KeyError):
            return None


@lru_cache(maxsize=4)
def token_counter(name: str) -> TokenCounter:
    """Return a counter, loaded once in a process."""
    return TokenCounter(name)
