"""Generate five-sentence stories with two endings, of which one follows, in the format of Story Cloze files.

Stories come in mirrored pairs: two stories of one theme with the same two endings, of which each is right once. So
every ending is right as often as it is wrong, and a model that reads the endings alone is at chance. Themes are as
unequally frequent as words are (Zipf), so that a subset which covers them all is worth something.

    python -m ray_subsel.synthetic.stories --n 1000 --seed 0 --out stories.csv
"""

from __future__ import annotations

import argparse
import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ray_subsel.config.options import flag_number, flag_whole
from ray_subsel.core.errors import InputError, invalid
from ray_subsel.corpus.story_columns import PUBLISHED
from ray_subsel.storage.filesystems import open_filesystem
from ray_subsel.synthetic.story_grammar import (
    COLORS,
    DAYTIMES,
    FILLERS,
    FRIENDS,
    MEN,
    THEMES,
    WEATHER,
    WEEKDAYS,
    WHENS,
    WOMEN,
    Theme,
)

MAX_STORIES = 200_000
_MAX_TRIES = 1000


@dataclass(frozen=True)
class Story:
    """One story.

    Attributes
    ----------
    id : str
    theme : str
        Name of its theme; not part of the file.
    sentences : tuple of 4 str
    endings : tuple of 2 str
    right : int
        1 or 2.
    """

    id: str
    theme: str
    sentences: tuple[str, str, str, str]
    endings: tuple[str, str]
    right: int

    @property
    def row(self) -> tuple[str, ...]:
        """The eight fields of the published format."""
        return (self.id, *self.sentences, *self.endings, str(self.right))


def make_stories(n: int, seed: int, skew: float = 1.0) -> list[Story]:
    """Return n distinct stories.

    Parameters
    ----------
    n : int
        In [1, 200,000]. Where it is even, every ending is exactly as often right as wrong, up to the hero's name.
    seed : int
        Different seeds draw from the same themes and endings, so one may serve for training and one for testing.
    skew : float, default=1.0
        The r-th most frequent theme has a share proportional to ``1 / r**skew``; 0 makes all equally frequent.

    Raises
    ------
    InputError
        Bad parameters.
    """
    if not 1 <= n <= MAX_STORIES:
        raise invalid("n", f"lie in [1, {MAX_STORIES}]", n)
    if not 0 <= skew < np.inf:
        raise invalid("skew", "be at least 0", skew)
    generator = np.random.Generator(np.random.PCG64(seed))
    shares = 1.0 / np.arange(1, len(THEMES) + 1) ** skew
    shares /= shares.sum()
    drafts: list[tuple[Theme, tuple[str, str, str, str], str, str]] = []
    seen: set[tuple[str, ...]] = set()
    while len(drafts) < n:
        theme = THEMES[int(generator.choice(len(THEMES), p=shares))]
        drafts += _mirrored_pair(theme, generator, seen)
    drafts = drafts[:n]
    # Half of the right endings come first, in an order that tells nothing; so does the order of the stories.
    first = generator.permutation(np.arange(n) % 2)
    stories = []
    for number, at in enumerate(generator.permutation(n).tolist()):
        theme, sentences, right, wrong = drafts[at]
        endings = (wrong, right) if first[number] else (right, wrong)
        stories.append(Story(f"story-{seed}-{number:06d}", theme.name, sentences, endings, 1 + int(first[number])))
    return stories


def _mirrored_pair(
    theme: Theme, generator: np.random.Generator, seen: set[tuple[str, ...]]
) -> list[tuple[Theme, tuple[str, str, str, str], str, str]]:
    """Return two new stories whose two endings are the same sentences with the roles exchanged."""
    a, b = (theme.courses[i] for i in generator.choice(len(theme.courses), size=2, replace=False))
    ending_a, ending_b = _one(a.endings, generator), _one(b.endings, generator)
    pair = []
    for told, right, wrong in ((a.told, ending_a, ending_b), (b.told, ending_b, ending_a)):
        for _ in range(_MAX_TRIES):
            words = _words(generator)
            middle = _middle(told, generator)
            parts = (_one(theme.openings, generator), _one(theme.seconds, generator), *middle, right, wrong)
            filled = tuple(_sentence(part, words) for part in parts)
            if filled[:4] not in seen:
                break
        else:
            raise InputError(f"n must be smaller; the theme {theme.name} has no more stories. Use a smaller skew.")
        seen.add(filled[:4])
        pair.append((theme, (filled[0], filled[1], filled[2], filled[3]), filled[4], filled[5]))
    return pair


def _middle(told: tuple[str, ...], generator: np.random.Generator) -> list[str]:
    """Return the third and fourth sentence: both that tell the course, or one of them before or after a filler."""
    if generator.integers(2):
        return list(told)
    middle = [_one(told, generator), _one(FILLERS, generator)]
    return middle if generator.integers(2) else middle[::-1]


def _one(choices: Sequence[str], generator: np.random.Generator) -> str:
    return choices[int(generator.integers(len(choices)))]


def _words(generator: np.random.Generator) -> dict[str, str]:
    woman = bool(generator.integers(2))
    he, him, his = ("she", "her", "her") if woman else ("he", "him", "his")
    return {
        "name": _one(WOMEN if woman else MEN, generator),
        "he": he,
        "him": him,
        "his": his,
        "He": he.capitalize(),
        "His": his.capitalize(),
        "friend": _one(FRIENDS, generator),
        "when": _one(WHENS, generator),
        "weather": _one(WEATHER, generator),
        "daytime": _one(DAYTIMES, generator),
        "weekday": _one(WEEKDAYS, generator),
        "color": _one(COLORS, generator),
    }


def _sentence(template: str, words: dict[str, str]) -> str:
    text = template.format_map(words)
    return text[0].upper() + text[1:]


def csv_lines(stories: Sequence[Story]) -> Iterator[str]:
    """Yield the lines of the CSV file, header first."""
    for row in (PUBLISHED.names, *(story.row for story in stories)):
        buffer = io.StringIO()
        csv.writer(buffer, lineterminator="\n").writerow(row)
        yield buffer.getvalue()


def write_stories(path: str, n: int, seed: int, skew: float = 1.0) -> None:
    """Write n stories as an eight-column CSV file, to a local path or a URI that pyarrow writes."""
    lines = "".join(csv_lines(make_stories(n, seed, skew)))
    filesystem, inner = open_filesystem(path)
    try:
        filesystem.create_dir(inner.rsplit("/", 1)[0], recursive=True)
        with filesystem.open_output_stream(inner, compression=None) as stream:
            stream.write(lines.encode())
    except OSError as error:
        raise invalid("out", "be a file that can be written", path, f"({error})") from error


def main(arguments: Sequence[str] | None = None) -> None:
    """Write stories, as the command line asks."""
    parser = argparse.ArgumentParser(prog="python -m ray_subsel.synthetic.stories", description="Write demo stories.")
    parser.add_argument("--n", type=flag_whole, default=1000, help="number of stories (default: %(default)s)")
    parser.add_argument("--seed", type=flag_whole, default=0, help="seed (default: %(default)s)")
    parser.add_argument(
        "--skew", type=flag_number, default=1.0, help="how unequal themes are; 0 equal (default: %(default)s)"
    )
    parser.add_argument("--out", required=True, help="CSV file to write")
    options = parser.parse_args(arguments)
    try:
        write_stories(options.out, options.n, options.seed, options.skew)
    except InputError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
