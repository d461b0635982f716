"""Name the columns of Story Cloze files, and make one of three texts of a story.

Spring 2016 and Winter 2018 come as CSV with eight columns (Mostafazadeh et al., NAACL 2016; Sharma et al., ACL 2018);
XStoryCloze (Lin et al., EMNLP 2022) as unquoted TSV, with the same names or with lower-case ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ray_subsel.corpus.choices import ChoiceColumns


@dataclass(frozen=True)
class StoryColumns:
    """The names of one file's columns: the story's id, four sentences, two endings, and which ending is right."""

    id: str
    sentences: tuple[str, str, str, str]
    endings: tuple[str, str]
    right: str

    @property
    def names(self) -> tuple[str, ...]:
        """All eight, in the order of the published files."""
        return (self.id, *self.sentences, *self.endings, self.right)

    @property
    def choice(self) -> ChoiceColumns:
        """The same, as a question with two answers."""
        return ChoiceColumns(self.sentences, self.endings, self.right, "1-based")

    @property
    def needed(self) -> tuple[str, ...]:
        """Those that a file must have: all but the id."""
        return self.names[1:]


PUBLISHED = StoryColumns(
    id="InputStoryid",
    sentences=("InputSentence1", "InputSentence2", "InputSentence3", "InputSentence4"),
    endings=("RandomFifthSentenceQuiz1", "RandomFifthSentenceQuiz2"),
    right="AnswerRightEnding",
)
LOWER_CASE = StoryColumns(
    id="story_id",
    sentences=("input_sentence_1", "input_sentence_2", "input_sentence_3", "input_sentence_4"),
    endings=("sentence_quiz1", "sentence_quiz2"),
    right="answer_right_ending",
)
SCHEMES = (PUBLISHED, LOWER_CASE)


def story_text(kind: str, context: str, endings: Sequence[str], right: str) -> str:
    """Return the text that stands for a story, or for any question with its choices.

    Parameters
    ----------
    kind : str
        ``context+right``: the context and its right ending; ``context``: the context alone; ``everything``: the
        context and all endings.
    right : str
        Which ending is right: ``"1"``, ``"2"`` and so on.
    """
    if kind == "context":
        return context
    if kind == "everything":
        return " ".join((context, *endings))
    assert kind == "context+right"
    return f"{context} {endings[int(right) - 1]}"
