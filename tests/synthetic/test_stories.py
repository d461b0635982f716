"""The demo stories: distinct, balanced, and not to be answered from the endings alone."""

from __future__ import annotations

import csv
import re
from collections import Counter
from pathlib import Path

import pytest

from ray_subsel.core.errors import InputError
from ray_subsel.corpus.story_columns import PUBLISHED
from ray_subsel.synthetic.stories import Story, main, make_stories, write_stories
from ray_subsel.synthetic.story_grammar import THEMES
from tests.corpus.inputs import read


@pytest.fixture(scope="module")
def stories() -> list[Story]:
    return make_stories(2000, seed=0)


def template_of(story: Story, ending: str) -> str:
    """Return the ending of the grammar that was filled in."""
    theme = next(theme for theme in THEMES if theme.name == story.theme)
    templates = [template for course in theme.courses for template in course.endings]
    (found,) = [t for t in templates if re.fullmatch(re.sub(r"\\{\w+\\}", r"[\\w ]+", re.escape(t)), ending)]
    return found


def test_thousands_of_distinct_stories(stories: list[Story]) -> None:
    assert len({story.sentences for story in stories}) == len(stories)
    assert len({story.id for story in stories}) == len(stories)
    assert not any("{" in part or not part[0].isupper() for story in stories for part in story.row[1:7])


def test_the_seed_decides(stories: list[Story]) -> None:
    assert make_stories(2000, seed=0) == stories
    assert not {s.sentences for s in make_stories(100, seed=1)} <= {s.sentences for s in stories}


def test_the_right_ending_stands_first_in_half_of_the_stories(stories: list[Story]) -> None:
    assert Counter(story.right for story in stories) == {1: 1000, 2: 1000}


def test_every_ending_is_right_as_often_as_wrong(stories: list[Story]) -> None:
    right = Counter(template_of(story, story.endings[story.right - 1]) for story in stories)
    wrong = Counter(template_of(story, story.endings[2 - story.right]) for story in stories)
    assert right == wrong
    assert len(right) > 100


def test_endings_alone_tell_nothing(stories: list[Story]) -> None:
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression

    counts = CountVectorizer(ngram_range=(1, 2)).fit(ending for story in stories for ending in story.endings)
    features = counts.transform([s.endings[1] for s in stories]) - counts.transform([s.endings[0] for s in stories])
    labels = [story.right - 1 for story in stories]
    model = LogisticRegression(max_iter=200).fit(features[:1400], labels[:1400])
    assert model.score(features[1400:], labels[1400:]) < 0.6


def test_themes_are_as_unequal_as_asked(stories: list[Story]) -> None:
    shares = [count for _, count in Counter(story.theme for story in stories).most_common()]
    assert len(shares) == len(THEMES) >= 10
    assert shares[0] > 8 * shares[-1]
    equal = Counter(story.theme for story in make_stories(2000, seed=0, skew=0.0))
    assert max(equal.values()) < 2 * min(equal.values())


def test_both_endings_are_of_the_story_s_theme_and_of_two_courses() -> None:
    for theme in THEMES:
        endings = [ending for course in theme.courses for ending in course.endings]
        assert len(set(endings)) == len(endings)
        assert all(len(course.told) == len(course.endings) == 2 for course in theme.courses)
        assert len(theme.courses) == 4


def test_the_file_is_read_as_story_cloze(tmp_path: Path) -> None:
    main(["--n", "51", "--seed", "5", "--out", str(tmp_path / "sub" / "a.csv")])
    with (tmp_path / "sub" / "a.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert tuple(rows[0]) == PUBLISHED.names
    assert [tuple(row) for row in rows[1:]] == [story.row for story in make_stories(51, seed=5)]
    store = read(tmp_path, str(tmp_path / "sub"), task="story-cloze", id="InputStoryid")
    assert (store.n_rows, store.n_rejected) == (51, 0)


def test_bad_parameters(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match=r"n must lie in \[1, 200000\]; got 0"):
        make_stories(0, seed=0)
    with pytest.raises(InputError, match="skew must be at least 0; got nan"):
        make_stories(1, seed=0, skew=float("nan"))
    with pytest.raises(InputError, match="out must be a file that can be written"):
        write_stories(str(tmp_path), 1, 0)
    with pytest.raises(SystemExit):
        main(["--n", "0", "--out", str(tmp_path / "a.csv")])
    assert "n must lie in" in capsys.readouterr().err
