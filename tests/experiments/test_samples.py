"""Samples: as many copies as asked for, of as many sources, the same at every density."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_subsel.core.errors import InputError
from ray_subsel.experiments.samples import Redundancy, make_sample
from ray_subsel.synthetic.stories import make_stories

STORIES = make_stories(60, seed=0)
TABLE = pa.table(
    {
        "context": [" ".join(story.sentences) for story in STORIES],
        "ending1": [story.endings[0] for story in STORIES],
        "ending2": [story.endings[1] for story in STORIES],
        "label": [str(story.right) for story in STORIES],
    }
)


def sample(kind="exact", density=0.5, *, seed=0, pool=None, sources=0.05):
    return make_sample(
        TABLE, "story-cloze", Redundancy(kind, density, sources), pool=pool, story="context+right", seed=seed
    )


def rows_of(one):
    return sorted(tuple(row.values()) for row in one.table.to_pylist())


@given(
    kind=st.sampled_from(["exact", "near", "both"]),
    density=st.sampled_from([0.0, 0.25, 0.5, 0.8]),
    seed=st.integers(0, 5),
)
@settings(max_examples=20, deadline=None)
def test_a_sample_holds_its_originals_and_as_many_copies_of_few_sources(kind, density, seed):
    one = sample(kind, density, seed=seed, pool=40)
    times = np.bincount(one.origin, minlength=40)
    copies = round(density / (1 - density) * 40)
    assert one.n == 40
    assert times.min() == 1
    assert times.sum() == 40 + copies == one.table.num_rows == len(one.texts)
    assert (times > 1).sum() == min(2, copies)  # 5 % of 40 sources
    assert times[times > 1].max(initial=0) - times[times > 1].min(initial=times.max()) <= 1
    assert one.copies_among(np.arange(len(one.texts))) == copies


def test_exact_copies_share_their_lead_and_near_copies_are_other_texts():
    exact, near, both = sample("exact"), sample("near"), sample("both")
    assert np.unique(exact.lead).size == 60
    assert all(exact.lead[i] == np.flatnonzero(exact.origin == exact.origin[i])[0] for i in range(120))
    assert np.unique(near.lead).size > 110
    assert 80 < np.unique(both.lead).size < 100
    assert all(exact.texts[exact.lead[i]] == exact.texts[i] for i in range(120))


def test_a_denser_set_holds_the_thinner_one():
    thin, dense = rows_of(sample("near", 0.25)), rows_of(sample("near", 0.75))
    for row in thin:
        dense.remove(row)
    assert len(dense) == 160


def test_a_sample_is_its_seeds():
    assert sample("near", seed=3).texts == sample("near", seed=3).texts
    assert sample("near", seed=3).texts != sample("near", seed=4).texts


def test_labels_are_those_of_the_origin():
    one = sample("near")
    by_origin = {
        int(o): label for o, label, lead in zip(one.origin, one.table["label"].to_pylist(), one.lead, strict=True)
    }
    assert all(by_origin[int(o)] == label for o, label in zip(one.origin, one.table["label"].to_pylist(), strict=True))


def test_the_whole_doubled_as_in_the_paper():
    redundancy = Redundancy("exact", 0.5, 0.01)
    assert redundancy.copies(1871) == 1871


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "fuzzy"}, "kind must be one of none, exact, near, both"),
        ({"density": 1.0}, r"density must lie in \[0, 1\); got 1.0"),
        ({"sources": 0.0}, r"sources must lie in \(0, 1\]"),
        ({"strength": 0.0}, r"strength must lie in \(0, 1\]; got 0.0"),
    ],
)
def test_redundancy_that_makes_no_sense_is_named(settings, message):
    with pytest.raises(InputError, match=message):
        Redundancy(**settings)


def test_what_decides_nothing_tells_no_two_redundancies_apart():
    assert Redundancy("exact", strength=1.0) == Redundancy("exact", strength=0.2)
    assert Redundancy("none", 0.0, 0.5, 1.0) == Redundancy("none", 0.0)
    assert Redundancy("exact", sources=0.5) != Redundancy("exact")
    assert Redundancy("near", strength=1.0) != Redundancy("near")
    assert Redundancy("both", strength=1.0) != Redundancy("both")


def test_a_pool_larger_than_the_table_is_named():
    with pytest.raises(InputError, match="pool must lie between 1 and the 60 rows"):
        sample(pool=61)
