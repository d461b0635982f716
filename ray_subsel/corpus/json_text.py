"""Read JSON values from a file that is not one a line: the elements of an array, objects over several lines."""

from __future__ import annotations

import codecs
import json
import re
from typing import Any, BinaryIO

from ray_subsel.core.errors import InputError
from ray_subsel.corpus.files import SourceFile
from ray_subsel.corpus.opening import BUFFER, unreadable

LONGEST_WORD = 16
"""Characters at the end of a text that may be the beginning of a number, a word or an escape."""
_SPACE = re.compile(r"[ \t\r\n]*")


class JsonText:
    """A file of JSON values, of which one at a time is in memory.

    Parameters
    ----------
    file : SourceFile
    stream : file object
        Of its bytes.
    longest : int
        Characters that a value may have.
    must : str
        What errors say that the file must be.
    """

    def __init__(self, file: SourceFile, stream: BinaryIO, longest: int, must: str) -> None:
        self.must = must
        self.file = file
        self.stream = stream
        self.longest = longest
        self.decoder = json.JSONDecoder()
        self.characters = codecs.getincrementaldecoder("utf-8-sig")()
        self.text = ""
        self.at = 0
        self.line = 1

    def more(self) -> bool:
        """Take at least as much more as there is; return whether there was any."""
        self.text, self.at = self.text[self.at :], 0
        if len(self.text) > self.longest:
            raise self.broken("an element is too long")
        try:
            block = self.stream.read(max(BUFFER, len(self.text)))
            self.text += self.characters.decode(block, final=not block)
        except UnicodeDecodeError as error:
            self.line += self.text.count("\n") + bytes(error.object[: error.start]).count(b"\n")
            raise self.broken(f"it is not {self.file.dialect.encoding.upper()}") from None
        except OSError as error:
            raise unreadable(self.file, error) from error
        return bool(block)

    def peek(self) -> str:
        """Return the next character that is no space, or nothing at the end."""
        while True:
            self.go(_end_of_space(self.text, self.at))
            if self.at < len(self.text) or not self.more():
                return self.text[self.at : self.at + 1]

    def go(self, to: int) -> None:
        """Go on to a position."""
        self.line += self.text.count("\n", self.at, to)
        self.at = to

    def skip(self, character: str) -> None:
        """Go on by a character that must be there."""
        if self.peek() != character:
            raise self.broken(f"{character} is missing")
        self.go(self.at + 1)

    def value(self, follow: str) -> tuple[int, str, Any]:
        """Return the next value: the line on which it begins, how it is written, and what it is.

        Parameters
        ----------
        follow : str
            The characters that may follow; with ``{``, which begins another one, the file may end, too.
        """
        self.peek()
        line = self.line
        while True:
            try:
                value, end = self.decoder.raw_decode(self.text, self.at)
            except (ValueError, RecursionError):
                end = 0
            if end and self._ends_at(end, follow):
                written = self.text[self.at : end]
                self.go(end)
                return line, written, value
            if not self.more():
                raise self.broken("an element is no JSON, or the file is cut off")

    def _ends_at(self, end: int, follow: str) -> bool:
        """Tell whether a value that may end here does: a number may go on, an object may not."""
        follows = _end_of_space(self.text, end)
        if follows == len(self.text):
            return "{" in follow and self.text[end - 1] == "}"
        return self.text[follows] in follow

    def spans_lines(self) -> bool:
        """Tell whether a value begins here that ends on a later line; reads on while what there is may be of one."""
        self.peek()
        while True:
            try:
                _, end = self.decoder.raw_decode(self.text, self.at)
            except json.JSONDecodeError as error:
                cut_off = error.msg.startswith("Unterminated string") or error.pos >= len(self.text) - LONGEST_WORD
                if not (cut_off and self.more()):
                    return False
            except RecursionError:
                return False
            else:
                return "\n" in self.text[self.at : end]

    def broken(self, what: str) -> InputError:
        """Build the error for an array that cannot be read on."""
        uri = self.file.uri
        return InputError(f"{uri} must be {self.must}; from line {self.line} on it is not: {what}. Mend it.")


def _end_of_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    assert found is not None  # it matches nothing too
    return found.end()
