from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from ray_subsel.core.errors import InputError
from ray_subsel.training.data import (
    UNSEEN,
    classes_of,
    collate,
    encode,
    epoch_batches,
    ordered_batches,
    share_of,
)

STORIES = pa.table(
    {
        "context": ["the dog ran .", "she was sad"],
        "ending1": ["it was tired", "no"],
        "ending2": ["he drank tea", "she cry cry cry cry"],
        "label": ["2", "1"],
    }
)
TEXTS = pa.table({"text": ["red ball", "the sea and the sun", "tea"], "label": ["b", "a", "b"]})


@settings(deadline=None, max_examples=60)
@given(
    lengths=st.lists(st.integers(1, 90), min_size=1, max_size=300),
    batch_size=st.integers(1, 40),
    seed=st.integers(0, 5),
    epoch=st.integers(0, 3),
)
def test_an_epoch_holds_each_example_once(lengths: list[int], batch_size: int, seed: int, epoch: int) -> None:
    sizes = np.array(lengths)
    batches = epoch_batches(sizes, batch_size, seed, epoch)
    np.testing.assert_array_equal(np.sort(np.concatenate(batches)), np.arange(len(lengths)))
    assert len(batches) == -(-len(lengths) // batch_size)
    assert sum(len(batch) != batch_size for batch in batches) <= 1
    again = epoch_batches(sizes, batch_size, seed, epoch)
    assert all(np.array_equal(one, other) for one, other in zip(batches, again, strict=True))


def test_epochs_and_seeds_differ_and_batches_hold_like_lengths() -> None:
    lengths = np.random.default_rng(0).integers(10, 80, size=2000)
    batches = epoch_batches(lengths, 16, 0, 0)
    padded = sum(len(b) * int(lengths[b].max()) for b in batches)
    assert padded < 1.05 * lengths.sum()
    first = np.concatenate(batches)
    assert not np.array_equal(first, np.concatenate(epoch_batches(lengths, 16, 0, 1)))
    assert not np.array_equal(first, np.concatenate(epoch_batches(lengths, 16, 1, 0)))
    means = [lengths[b].mean() for b in batches]
    assert abs(np.corrcoef(means, np.arange(len(means)))[0, 1]) < 0.3  # no drift from long to short


@given(n=st.integers(1, 20), world=st.integers(1, 6))
def test_shares_of_a_batch_partition_it(n: int, world: int) -> None:
    batch = np.arange(100, 100 + n)
    shares = [share_of(batch, rank, world) for rank in range(world)]
    counted = np.concatenate([mine for mine, counts in shares if counts])
    np.testing.assert_array_equal(np.sort(counted), batch)
    assert all(len(mine) for mine, _ in shares)


def test_ordered_batches_cover_all() -> None:
    lengths = np.array([3, 9, 1, 5, 5])
    assert [batch.tolist() for batch in ordered_batches(lengths, 2)] == [[1, 3], [4, 0], [2]]


def test_stories_become_pairs_of_context_and_ending(tiny_bert: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_bert)
    data = encode("story-cloze", STORIES, classes_of("story-cloze", STORIES, STORIES), tokenizer, 64)
    assert data.labels.tolist() == [1, 0]
    inputs, labels = collate(data, np.array([1, 0]), "cpu")
    assert labels.tolist() == [0, 1]
    expected = tokenizer(
        ["she was sad"] * 2 + ["the dog ran ."] * 2,
        ["no", "she cry cry cry cry", "it was tired", "he drank tea"],
        padding=True,
        return_tensors="pt",
    )
    assert set(inputs) == {"input_ids", "attention_mask", "token_type_ids"}
    for name, tensor in inputs.items():
        assert tensor.shape[:2] == (2, 2)
        assert tensor.flatten(0, 1).equal(expected[name])


def test_texts_become_single_sequences_and_unseen_classes_are_marked(tiny_bert: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_bert)
    test = pa.table({"text": ["a", "sun"], "label": ["a", "z"]})
    classes = classes_of("classification", TEXTS, test)
    assert classes == ("a", "b")
    assert encode("classification", test, classes, tokenizer, 64).labels.tolist() == [0, UNSEEN]
    data = encode("classification", TEXTS, classes, tokenizer, 64)
    inputs, labels = collate(data, np.arange(3), "cpu")
    assert labels.tolist() == [1, 0, 1]
    assert inputs["input_ids"].equal(tokenizer(TEXTS["text"].to_pylist(), padding=True, return_tensors="pt").input_ids)
    assert data.lengths().tolist() == inputs["attention_mask"].sum(dim=1).tolist()


def test_max_length_cuts(tiny_bert: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_bert)
    assert encode("story-cloze", STORIES, ("1", "2"), tokenizer, 7).lengths().max() == 7


@pytest.mark.parametrize(
    ("task", "table", "message"),
    [
        ("poetry", TEXTS, "task must be one of classification, multiple-choice, story-cloze; got 'poetry'"),
        (
            "classification",
            TEXTS.drop_columns(["label"]),
            r"training set must have the columns text, label; got \['text",
        ),
        ("classification", TEXTS.slice(0, 0), "training set must hold at least one row"),
        ("classification", TEXTS.slice(0, 1), "label must take at least two values"),
        ("classification", pa.table({"text": ["a", "b"], "label": ["x", None]}), "label of row 1 of the training set"),
        ("classification", pa.table({"text": ["a", None], "label": ["x", "y"]}), "text of row 1 of the training set"),
        (
            "story-cloze",
            STORIES.set_column(3, "label", pa.array(["1", "3"])),
            "label of row 1 of the training set must be '1' or '2'; got '3'",
        ),
    ],
)
def test_tables_that_cannot_be_trained_on(task: str, table: pa.Table, message: str) -> None:
    with pytest.raises(InputError, match=message):
        classes_of(task, table, table)


def test_an_empty_test_set_is_refused() -> None:
    with pytest.raises(InputError, match="test set must hold at least one row"):
        classes_of("classification", TEXTS, TEXTS.slice(0, 0))
