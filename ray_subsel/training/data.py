"""Encode training texts as token arrays: tokenised once, batched by length, padded to the longest of their batch only.

Padding is work without use: batches of texts of like length cut a fine-tuning run's tokens by a quarter on stories of
25 to 80 tokens. An epoch's batches are a function of (lengths, batch size, seed, epoch), so a run that resumes, or that
is spread over workers, sees the same ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ray_subsel.config.corpus import CHOICE_TASKS
from ray_subsel.core.errors import invalid, unknown
from ray_subsel.corpus.choices import CONTEXT, ending_names, endings_in

Int64s = NDArray[np.int64]

TASKS = ("classification", *CHOICE_TASKS)
WEIGHT = "weight"
"""The column that weighs the loss of each training row; it may be left out."""
UNSEEN = -1
POOL_BATCHES = 50
"""An epoch's random order is cut into pools of this many batches, each sorted by length (as Hugging Face's
``group_by_length`` does): like lengths meet, and batches still differ from epoch to epoch."""
TOKENIZE_AT_ONCE = 8192


@dataclass(frozen=True)
class Encoded:
    """n examples of c token sequences each, laid end to end.

    Attributes
    ----------
    ids : int32 array
        All tokens; sequence j of example i is ``ids[offsets[i c + j] : offsets[i c + j + 1]]``.
    types : int8 array or None
        Token types, where the tokenizer makes them.
    offsets : int64 array of shape (n c + 1,)
    labels : int64 array of shape (n,)
        Index of the class (or of the right choice); -1 for a class that training has not seen.
    choices : int
        c.
    pad : int
        The padding token.
    weights : float32 array of shape (n,) or None
        What each example's loss is multiplied by, of mean 1; None: nothing.
    """

    ids: NDArray[np.int32]
    types: NDArray[np.int8] | None
    offsets: Int64s
    labels: Int64s
    choices: int
    pad: int
    weights: NDArray[np.float32] | None = None

    @property
    def n(self) -> int:
        """The number of examples."""
        return len(self.labels)

    def lengths(self) -> Int64s:
        """Return the longest sequence's number of tokens of each example, shape (n,)."""
        longest: Int64s = np.diff(self.offsets).reshape(self.n, self.choices).max(axis=1)
        return longest

    def digest(self) -> str:
        """Return a hash of all examples in their order."""
        total = hashlib.blake2b(digest_size=16)
        for part in (self.ids, self.offsets, self.labels, *(() if self.weights is None else (self.weights,))):
            total.update(part.tobytes())
        return total.hexdigest()


def classes_of(task: str, train: pa.Table, test: pa.Table) -> tuple[str, ...]:
    """Return the classes in the order of their indices: sorted labels of training rows, or numbers of choices.

    Raises
    ------
    InputError
        For an unknown task, a missing column, no rows, a row without label or text, a wrong ending, or one class only.
    """
    if task not in TASKS:
        raise unknown("task", task, TASKS)
    for name, table in (("training set", train), ("test set", test)):
        _check_table(task, name, table)
    if task in CHOICE_TASKS and len(numbers_of(train)) != len(numbers_of(test)):
        raise invalid("test set", f"have {len(numbers_of(train))} choices a row", len(numbers_of(test)))
    if task in CHOICE_TASKS:
        return numbers_of(train)
    classes = tuple(sorted(set(train["label"].to_pylist())))
    if len(classes) < 2:
        raise invalid("label", "take at least two values in the training set", classes)
    return classes


def columns_of(task: str, names: Iterable[str]) -> tuple[str, ...]:
    """Return the columns that a task is trained on, of those of a table: of questions, as many choices as it has."""
    if task not in CHOICE_TASKS:
        return ("text", "label")
    return (CONTEXT, *(endings_in(names) or ending_names(2)), "label")


def numbers_of(table: pa.Table) -> tuple[str, ...]:
    """Return the numbers of the choices of a table of questions, from 1."""
    return tuple(str(number) for number, _ in enumerate(endings_in(table.column_names), 1))


def _check_table(task: str, name: str, table: pa.Table) -> None:
    columns = columns_of(task, table.column_names)
    missing = [column for column in columns if column not in table.column_names]
    if missing:
        raise invalid(name, f"have the columns {', '.join(columns)}", table.column_names)
    if table.num_rows == 0:
        raise invalid(name, "hold at least one row", "none")
    for column in columns:
        if table[column].null_count:
            row = table[column].to_pylist().index(None)
            raise invalid(f"{column} of row {row} of the {name}", "be given", "null")
    if task in CHOICE_TASKS:
        numbers = numbers_of(table)
        for row, label in enumerate(table["label"].to_pylist()):
            if label not in numbers:
                must = f"be {' or '.join(map(repr, numbers))}"
                raise invalid(f"label of row {row} of the {name}", must, label)


def encode(task: str, table: pa.Table, classes: Sequence[str], tokenizer: Any, max_length: int) -> Encoded:
    """Tokenise a checked table.

    Parameters
    ----------
    task : str
    table : pyarrow.Table
        Checked by :func:`classes_of`. A column ``weight`` (numbers above 0) weighs the losses.
    classes : sequence of str
    tokenizer : a transformers tokenizer
    max_length : int
        Tokens after which a sequence is cut, the longer part of a pair first.
    """
    second: list[str] | None = None
    choices = 1
    if task not in CHOICE_TASKS:
        first = table["text"].to_pylist()
    else:
        endings = [table[name].to_pylist() for name in endings_in(table.column_names)]
        choices = len(endings)
        first = [text for text in table[CONTEXT].to_pylist() for _ in endings]
        second = [text for whole in zip(*endings, strict=True) for text in whole]
    ids: list[NDArray[np.int32]] = []
    types: list[NDArray[np.int8]] = []
    lengths: list[int] = []
    for start in range(0, len(first), TOKENIZE_AT_ONCE):
        part = slice(start, start + TOKENIZE_AT_ONCE)
        tokens = tokenizer(
            first[part],
            second[part] if second is not None else None,
            truncation=True,
            max_length=max_length,
            return_attention_mask=False,
        )
        lengths += [len(one) for one in tokens["input_ids"]]
        ids.append(np.concatenate([np.asarray(one, dtype=np.int32) for one in tokens["input_ids"]]))
        if "token_type_ids" in tokens:
            types.append(np.concatenate([np.asarray(one, dtype=np.int8) for one in tokens["token_type_ids"]]))
    index = {label: position for position, label in enumerate(classes)}
    return Encoded(
        ids=np.concatenate(ids),
        types=np.concatenate(types) if types else None,
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        labels=np.array([index.get(label, UNSEEN) for label in table["label"].to_pylist()], dtype=np.int64),
        choices=choices,
        pad=int(tokenizer.pad_token_id),
        weights=_weights(table),
    )


def _weights(table: pa.Table) -> NDArray[np.float32] | None:
    """Return the weights of a table's rows, of mean 1."""
    if WEIGHT not in table.column_names:
        return None
    given = table[WEIGHT].to_numpy().astype(np.float64)
    if not (np.isfinite(given).all() and (given >= 0).all() and given.sum() > 0):
        raise invalid(WEIGHT, "be numbers >= 0, and not all 0", "others")
    return np.asarray(given / given.mean(), dtype=np.float32)


def epoch_batches(lengths: Int64s, batch_size: int, seed: int, epoch: int) -> list[Int64s]:
    """Return one epoch's batches of example indices: each example once, like lengths together, in random order.

    All batches but one have ``batch_size`` examples.
    """
    n = len(lengths)
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(n)
    # A pool holds at most a quarter of the examples, so that small sets are not sorted the same way in each epoch.
    pool = batch_size * max(1, min(POOL_BATCHES, n // (4 * batch_size)))
    batches: list[Int64s] = []
    for start in range(0, n, pool):
        members = order[start : start + pool]
        members = members[np.argsort(-lengths[members], kind="stable")]
        batches += [members[i : i + batch_size] for i in range(0, len(members), batch_size)]
    return [batches[i] for i in rng.permutation(len(batches))]


def ordered_batches(lengths: Int64s, batch_size: int) -> Iterator[Int64s]:
    """Yield batches of all example indices by falling length, for evaluation: the largest first, so memory shows."""
    order = np.argsort(-lengths, kind="stable")
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


def share_of(batch: Int64s, rank: int, world: int) -> tuple[Int64s, bool]:
    """Return a worker's examples of a batch, and whether they count.

    A worker for whom nothing is left takes the first example without weight, since all must run in step.
    """
    mine = batch[rank::world]
    return (mine, True) if len(mine) else (batch[:1], False)


def collate(data: Encoded, batch: Int64s, device: str) -> tuple[dict[str, Any], Any]:
    """Return a batch's network input, each of shape (b, c, length) or (b, length) when c = 1, and labels (b,)."""
    import torch

    rows = (batch[:, None] * data.choices + np.arange(data.choices)).ravel()
    starts, stops = data.offsets[rows], data.offsets[rows + 1]
    longest = int((stops - starts).max())
    ids = np.full((len(rows), longest), data.pad, dtype=np.int64)
    mask = np.zeros((len(rows), longest), dtype=np.int64)
    types = np.zeros((len(rows), longest), dtype=np.int64) if data.types is not None else None
    for row, (start, stop) in enumerate(zip(starts, stops, strict=True)):
        ids[row, : stop - start] = data.ids[start:stop]
        mask[row, : stop - start] = 1
        if types is not None and data.types is not None:
            types[row, : stop - start] = data.types[start:stop]
    arrays = {"input_ids": ids, "attention_mask": mask}
    if types is not None:
        arrays["token_type_ids"] = types
    shape = (len(batch), data.choices, longest) if data.choices > 1 else (len(batch), longest)
    tensors = {name: torch.from_numpy(array).view(shape).to(device) for name, array in arrays.items()}
    return tensors, torch.from_numpy(data.labels[batch]).to(device)
