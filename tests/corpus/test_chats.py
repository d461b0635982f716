"""Chats in every form in which they are published: found, read, counted by a template, and given back."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_subsel.cli import main
from ray_subsel.config import CorpusConfig
from ray_subsel.core.errors import InputError
from ray_subsel.corpus.chats import ASSISTANT, SYSTEM, USER, chat_form
from ray_subsel.corpus.resolve import resolve
from tests.corpus.inputs import read, rejects, texts, write

TURNS = [(SYSTEM, "Be kind."), (USER, "Hello?"), (ASSISTANT, "Hi."), (USER, "More?"), (ASSISTANT, "No.")]
MESSAGES = [{"role": role, "content": text} for role, text in TURNS]
SHARE = [{"from": {"user": "human", "assistant": "gpt"}.get(role, role), "value": text} for role, text in TURNS]
PARTS = [{"role": "user", "content": [{"type": "text", "text": "See"}, {"type": "image", "url": "x"}, "this"]}]
FORMS = {
    "messages": ({"messages": MESSAGES}, ("Hello?\nMore?", "Hi.\nNo.", "Be kind.")),
    "conversations": ({"conversations": SHARE}, ("Hello?\nMore?", "Hi.\nNo.", "Be kind.")),
    "alpaca": ({"instruction": "Add.", "input": "1 2", "output": "3"}, ("Add.\n1 2", "3", "")),
    "alpaca without input": ({"instruction": "Add.", "input": "", "output": "3"}, ("Add.", "3", "")),
    "one turn": ({"prompt": "a", "completion": "b", "system": "s"}, ("a", "b", "s")),
    "response": ({"prompt": "a", "response": "b"}, ("a", "b", "")),
    "lists": ({"prompt": MESSAGES[:2], "completion": MESSAGES[2:3]}, ("Hello?", "Hi.", "Be kind.")),
    "pair": ({"prompt": "a", "chosen": "good", "rejected": "bad"}, ("a", "good", "")),
    "pair of lists": ({"chosen": MESSAGES[1:3], "rejected": MESSAGES[1:2]}, ("Hello?", "Hi.", "")),
    "parts": ({"messages": PARTS}, ("See\nthis", "", "")),
}  # fmt: skip


def settled(path, **settings):
    return resolve(CorpusConfig(data=(path,), **settings))


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_a_chat_is_found_and_said_and_each_part_can_be_embedded(tmp_path, name, ending):
    record, expected = FORMS[name]
    if ending == "parquet" and name == "parts":
        record = {"messages": [{"role": "user", "content": PARTS[0]["content"][:1]}]}
        expected = ("See", "", "")
    path = str(tmp_path / f"a.{ending}")
    if ending == "parquet":
        pq.write_table(pa.Table.from_pylist([record]), path)
    else:
        write(tmp_path / "a.jsonl", json.dumps(record))
    config, told = settled(path)
    assert config.task == "chat"
    assert "dialogue is embedded (--task chat --embed dialogue)" in told[0]
    for part, text in zip(("prompt", "response", "system"), expected, strict=True):
        if text:
            assert texts(read(tmp_path, path, task="chat", embed=part, out=part)) == [text]
        else:
            with pytest.raises(InputError, match=f"empty text .*: no {part}"):
                read(tmp_path, path, task="chat", embed=part, out=part)
    (dialogue,) = texts(read(tmp_path, path, task="chat", out="dialogue"))
    assert set(dialogue.split("\n")) == {line for part in expected for line in part.split("\n") if line}


def test_dialogues_keep_the_order_of_their_turns(tmp_path):
    path = write(tmp_path / "a.jsonl", json.dumps({"messages": MESSAGES}))
    assert texts(read(tmp_path, path, task="chat")) == ["Be kind.\nHello?\nHi.\nMore?\nNo."]


def test_rows_without_a_chat_are_rejected(tmp_path):
    rows = [{"messages": MESSAGES}, {"messages": []}, {"messages": None}, {"messages": "no"}, {"messages": [1]},
            {"messages": [{"role": "user", "content": "\u200b"}]},
            {"messages": [{"role": "user", "content": None}]}]  # fmt: skip
    store = read(tmp_path, write(tmp_path / "a.jsonl", "\n".join(map(json.dumps, rows))), task="chat")
    assert [(row, reason) for _, row, reason in rejects(store)] == [
        *((row, "no messages") for row in (1, 2, 3, 4)), (5, "empty text"), (6, "no messages")
    ]  # fmt: skip


@pytest.mark.parametrize(
    "schema",
    [
        pa.schema([("messages", pa.string())]),
        pa.schema([("prompt", pa.string())]),
        pa.schema([("prompt", pa.string()), ("chosen", pa.string())]),
        pa.schema([("instruction", pa.string()), ("input", pa.string())]),
    ],
)
def test_other_columns_are_no_chat(tmp_path, schema):
    assert chat_form(schema) is None
    pq.write_table(schema.empty_table(), tmp_path / "a.parquet")
    with pytest.raises(InputError, match="text must name a column; got None. Use --text COLUMN.*Columns of"):
        settled(str(tmp_path / "a.parquet"))
    with pytest.raises(InputError, match=r"task must be chat where .* has columns of one"):
        read(tmp_path, str(tmp_path / "a.parquet"), task="chat")


def test_paths_lead_into_a_chat(tmp_path):
    path = write(tmp_path / "a.jsonl", json.dumps({"messages": MESSAGES, "meta": {"topic": "x"}}))
    store = read(tmp_path, path, text=("messages.1.content", "messages.-1.content"), label="meta.topic")
    assert texts(store) == ["Hello? No."]
    assert store.label_names() == ["x"]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    """A tokenizer of words, with a template that refuses two turns of one role."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({"[UNK]": 0, "<s>": 1}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    fast = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="[UNK]", pad_token="[UNK]", bos_token="<s>")
    folder = str(tmp_path_factory.mktemp("tokenizer"))
    fast.save_pretrained(f"{folder}/bare")
    fast.chat_template = (
        "{{ bos_token }} {% for m in messages %}{% if not loop.first and messages[loop.index0 - 1].role == m.role %}"
        "{{ raise_exception('roles must take turns') }}{% endif %}[ {{ m.role }} ] {{ m.content }} {% endfor %}"
    )
    fast.save_pretrained(f"{folder}/chat")
    return folder


def test_tokens_of_the_template_are_the_cost(tmp_path, tokenizer):
    twice = {"messages": [MESSAGES[2], MESSAGES[4]]}
    path = write(tmp_path / "a.jsonl", "\n".join(map(json.dumps, [{"messages": MESSAGES}, twice])))
    store = read(tmp_path, path, task="chat", cost="tokens", tokenizer=f"{tokenizer}/chat")
    assert store.take([0], ["cost"])["cost"].to_pylist() == [1 + 5 * 3 + 6]
    assert rejects(store) == [(2, 1, "chat that the tokenizer's template refuses")]
    plain = read(tmp_path, path, text=("messages.0.content",), cost="tokens", tokenizer=f"{tokenizer}/bare", out="p")
    assert plain.take([0, 1], ["cost"])["cost"].to_pylist() == [2.0, 1.0]
    for folder, message in (("bare", "tokenizer must have a chat template"), ("none", "tokenizer must be the folder")):
        with pytest.raises(InputError, match=message):
            read(tmp_path, path, task="chat", cost="tokens", tokenizer=f"{tokenizer}/{folder}", out=folder)


def test_three_thousand_chats_are_walked_from_file_to_file(tmp_path, tokenizer, capsys):
    lines = [
        json.dumps({"messages": [{"role": "user", "content": f"question {i % 700} of {i % 11}"},
                                 {"role": "assistant", "content": f"answer {i % 700} and {i % 13}"}], "id": f"c{i}"})
        for i in range(3000)
    ]  # fmt: skip
    path = write(tmp_path / "chats.jsonl", "\n".join(lines))
    more = ["--cost", "tokens", "--tokenizer", f"{tokenizer}/chat", "--budget", "2000", "--to", "jsonl", "--id", "id"]
    cheap = ["--embedder", "tfidf", "--vector-size", "32", "--recipe", "none", "--objective", "graph_cut"]
    assert main(["select", path, *more, *cheap, "--k", "150", "--out", str(tmp_path / "run")]) == 0
    said = capsys.readouterr()
    assert "corpus: chats in messages; their dialogue is embedded" in said.err
    chosen = (tmp_path / "run" / "subset.jsonl").read_text().splitlines()
    ids = pq.read_table(tmp_path / "run" / "selection.parquet")["id"].to_pylist()
    assert chosen == [lines[i] for i in ids]
    assert sum(1 + sum(3 + len(m["content"].split()) for m in json.loads(one)["messages"]) for one in chosen) <= 2000
    kind = pq.read_schema(tmp_path / "run" / "subset.parquet").field("messages").type
    assert kind == pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
