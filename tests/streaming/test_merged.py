import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_subsel import InputError, StreamSelector
from ray_subsel.streaming.merged import MergedStream

X = np.random.default_rng(0).normal(size=(120, 4))
BATCHES = [[np.arange(p, 120, 3)[at : at + 7] for at in range(0, 40 - 7 * p, 7)] for p in range(3)]


@settings(max_examples=30, deadline=None)
@given(order=st.permutations([(p, at) for p in range(3) for at in range(len(BATCHES[p]))]), again=st.booleans())
def test_the_answer_does_not_depend_on_who_is_faster(order, again):
    merged = MergedStream(StreamSelector(6, sample=30), 3)
    for p in range(3):
        if p != 1:
            merged.close(p, len(BATCHES[p]))
    for p, at in order:
        for _ in range(1 + again):
            merged.offer(p, at, X[BATCHES[p][at]], BATCHES[p][at])
    merged.close(1, len(BATCHES[1]))
    alone = StreamSelector(6, sample=30)
    for at in range(max(map(len, BATCHES))):
        for p in range(3):
            if at < len(BATCHES[p]):
                alone.partial_fit(X[BATCHES[p][at]], ids=BATCHES[p][at])
    assert merged.state() == alone.to_bytes()
    assert merged.selection().ids.tolist() == alone.selection().ids.tolist()


def test_batches_wait_for_those_before_them():
    merged = MergedStream(StreamSelector(2), 2)
    assert merged.offer(1, 0, X[:3], [0, 1, 2]) == 1
    assert merged.offer(1, 1, X[3:5], [3, 4]) == 2
    assert len(merged.selection()) == 0
    assert merged.offer(0, 0, X[5:6], [5]) == 0
    assert merged.selector.seen == 4
    merged.close(0, 1)
    assert merged.selector.seen == 6


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: MergedStream(StreamSelector(2), 0), "producers must be at least 1"),
        (lambda: MergedStream(StreamSelector(2), 2).offer(2, 0, X, None), r"producer must lie in \[0, 2\)"),
    ],
)
def test_bad_input_is_one_line(call, words):
    with pytest.raises(InputError, match=words):
        call()


def test_a_closed_producer_sends_nothing():
    merged = MergedStream(StreamSelector(2), 1)
    merged.close(0, 1)
    with pytest.raises(InputError, match="number must be below 1"):
        merged.offer(0, 1, X, None)
