"""Multiple choice of any kind: columns, paths, and answers by number, letter or text."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from ray_subsel.cli import main
from ray_subsel.config import CorpusConfig
from ray_subsel.core.errors import InputError
from ray_subsel.corpus.choices import right_choice
from ray_subsel.corpus.resolve import resolve
from ray_subsel.training.data import classes_of, encode
from tests.corpus.inputs import read, rejects, texts, write

CHOICES = ("red", "green", "blue")


def rows_of(answers, **more):
    return "\n".join(
        json.dumps({"q": f"Which {i}?", "a": "red", "b": "green", "c": "blue", "options": CHOICES, "right": one} | more)
        for i, one in enumerate(answers)
    )


def asked(path, choices=("a", "b", "c"), answers="auto"):
    question = {"context": ("q",), "choices": choices, "answer": "right", "answers": answers}
    return CorpusConfig(data=(path,), task="multiple-choice", **question)


@pytest.mark.parametrize(
    ("answers", "how", "labels"),
    [
        ([1, 2, 0], "0-based", ["2", "3", "1"]),
        ([1, 2, 3], "1-based", ["1", "2", "3"]),
        (["1", "3", "2"], "1-based", ["1", "3", "2"]),
        ([1.0, 0.0], "0-based", ["2", "1"]),
        (["B", "c"], "letters", ["2", "3"]),
        (["blue", "red"], "text", ["3", "1"]),
    ],
)
@pytest.mark.parametrize("choices", [("a", "b", "c"), ("options.0", "options.1", "options.2")])
def test_the_values_tell_how_answers_count(tmp_path, answers, how, labels, choices):
    path = write(tmp_path / "a.jsonl", rows_of(answers))
    config, told = resolve(asked(path, choices))
    assert config.answers == how
    assert f"(--answers {how})" in told[0]
    settings = {name: getattr(config, name) for name in ("task", "context", "choices", "answer", "answers")}
    store = read(tmp_path, path, **settings)
    table = store.take(store.ids())
    assert table["label"].to_pylist() == labels
    assert table.select(["context", "ending1", "ending2", "ending3"]).to_pylist()[0] == {
        "context": "Which 0?", "ending1": "red", "ending2": "green", "ending3": "blue",
    }  # fmt: skip
    assert texts(store)[0] == f"Which 0? {CHOICES[int(labels[0]) - 1]}"
    everything = read(tmp_path, path, **settings, story_text="everything", out="all")
    assert texts(everything)[0] == "Which 0? red green blue"


def test_what_does_not_decide_is_asked_for(tmp_path):
    path = write(tmp_path / "a.jsonl", rows_of([1, 2, 1, None]))
    with pytest.raises(
        InputError, match=r"answer must tell which of 3 choices is right; got 1, 2 in right. Use --answers"
    ):
        resolve(asked(path))
    assert resolve(asked(path, answers="1-based"))[1] == []


def test_rows_that_cannot_be_used_are_rejected(tmp_path):
    lines = [rows_of([0]), rows_of([3]), rows_of(["x"]), rows_of([1], b=None), rows_of([None]), rows_of([1], q=" ")]
    config = asked(write(tmp_path / "a.jsonl", "\n".join(lines)), answers="0-based")
    settings = {name: getattr(config, name) for name in ("task", "context", "choices", "answer", "answers")}
    store = read(tmp_path, config.data[0], **settings)
    assert [(row, why) for _, row, why in rejects(store)] == [
        (1, "wrong label"), (2, "wrong label"), (3, "empty text"), (4, "wrong label"), (5, "empty text")
    ]  # fmt: skip
    assert right_choice("red", "text", ("red", "red")) is None


def test_training_follows(tmp_path, tiny_bert):
    from transformers import AutoTokenizer

    rows = 4 * [{"context": "the dog", "ending1": "ran", "ending2": "sat", "ending3": "ate", "label": "3"}]
    table = pa.Table.from_pylist(rows)
    classes = classes_of("multiple-choice", table, table)
    assert classes == ("1", "2", "3")
    data = encode("multiple-choice", table, classes, AutoTokenizer.from_pretrained(tiny_bert), 32)
    assert (data.choices, data.n, data.labels.tolist()) == (3, 4, [2, 2, 2, 2])
    with pytest.raises(InputError, match="test set must have 3 choices a row; got 2"):
        classes_of(
            "multiple-choice", table, pa.Table.from_pylist([{**rows[0], "label": "1"}]).drop_columns(["ending3"])
        )
    with pytest.raises(InputError, match="label of row 0 of the training set must be '1' or '2' or '3'; got '4'"):
        classes_of("multiple-choice", pa.Table.from_pylist([{**rows[0], "label": "4"}]), table)


def test_questions_are_selected_and_trained_on_from_the_command_line(tmp_path, tiny_bert, capsys):
    train = write(tmp_path / "train.jsonl", rows_of([i % 3 for i in range(30)]))
    test = write(tmp_path / "test.jsonl", rows_of([1, 2, 1, 1]))  # alone it could not tell how answers count
    question = ["--task", "multiple-choice", "--context", "q", "--answer", "right"]
    for choice in ("a", "b", "c"):
        question += ["--choice", choice]
    cheap = ["--embedder", "tfidf", "--vector-size", "8", "--recipe", "none", "--k", "6", "--arm", "subset"]
    model = ["--train-model", tiny_bert, "--epochs", "1", "--test", test]
    assert main(["run", train, *question, *cheap, *model, "--out", str(tmp_path / "run")]) == 0
    said = capsys.readouterr()
    assert "column right tells the right choice by its number, from 0 (--answers 0-based)" in said.err
    assert "subset" in said.out
    assert main(["finetune", str(tmp_path / "run"), "--arm", "random"]) == 0
    assert "random" in capsys.readouterr().out
