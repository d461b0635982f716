"""Embeddings are kept: a second question embeds nothing, with new texts only those, and the ids are the same."""

import json

import pyarrow.parquet as pq
import pytest

from ray_subsel.cli import main
from ray_subsel.embedders.encoder import BertEmbedder

WORDS = ["a red bird", "the old cat", "my cold house", "she ran away", "tea and cake", "the boat on the lake"]


@pytest.fixture
def embedded(monkeypatch):
    """Every text that an encoder embeds."""
    seen = []
    embed = BertEmbedder.embed
    monkeypatch.setattr(BertEmbedder, "embed", lambda self, texts: seen.extend(texts) or embed(self, texts))
    return seen


@pytest.fixture
def select(tmp_path, tiny_bert):
    def run(out, n, *flags):
        path = tmp_path / f"{n}.jsonl"
        rows = [f"{WORDS[i % 6]} {WORDS[i // 6 % 6]} {i}" for i in range(n)]
        path.write_text("".join(json.dumps({"t": row}) + "\n" for row in rows))
        command = ["select", str(path), "--text", "t", "--k", "12", "--embedder", "bert", "--model", tiny_bert]
        assert main([*command, "--out", str(tmp_path / out), *flags]) == 0
        report = json.loads((tmp_path / out / "report.json").read_text())
        ids = pq.read_table(tmp_path / out / "selection.parquet", columns=["id", "gain"]).to_pydict()
        return ids, report["embedding"]

    return run


def test_a_second_question_embeds_nothing_whatever_its_directory(select, embedded, capsys):
    first, about = select("one", 60)
    assert (len(embedded), about["kept_before"]) == (60, 0)
    embedded.clear()
    again, about = select("other", 60)
    assert (embedded, about["kept_before"]) == ([], 60)
    assert again == first
    assert "60 distinct, 60 of them embedded by earlier runs" in capsys.readouterr().err


def test_only_new_texts_are_embedded_and_the_ids_are_those_without(select, embedded):
    select("one", 60)
    embedded.clear()
    more, about = select("more", 75)
    assert len(embedded) == len(set(embedded)) == 15
    assert about["kept_before"] == 60
    without, about = select("without", 75, "--no-cache")
    assert len(embedded) == 15 + 75
    assert about["kept_before"] == 0
    assert more["id"] == without["id"]
    assert more["gain"] == pytest.approx(without["gain"], rel=1e-5)


def test_another_question_about_the_texts_embeds_them_anew(select, embedded):
    select("one", 30)
    select("shorter", 30, "--max-length", "5")
    assert len(embedded) == 60


def test_a_run_goes_on_with_other_places_for_embeddings(select, embedded, tmp_path):
    select("one", 30)
    first = list(embedded)
    select("one", 30, "--cache", str(tmp_path / "mine"))  # nothing changes a result: the directory is resumed
    assert embedded == first
    select("two", 30, "--cache", str(tmp_path / "mine"))
    assert len(embedded) == 60
    assert list((tmp_path / "mine" / "embeddings").rglob("*.vectors1"))


def test_a_corpus_beyond_the_bound_is_not_kept(select, embedded, capsys):
    select("one", 60, "--cache-size", "2KiB")
    assert "embeddings are not kept for other runs: " in capsys.readouterr().err
    select("two", 60)
    assert len(embedded) == 120


def test_a_damaged_file_costs_a_line_and_an_embedding(select, embedded, tmp_path, capsys):
    first, _ = select("one", 30, "--cache", str(tmp_path / "mine"))
    for path in (tmp_path / "mine").rglob("*.vectors1"):
        path.write_bytes(path.read_bytes()[:-1])
    embedded.clear()
    again, about = select("two", 30, "--cache", str(tmp_path / "mine"))
    assert (len(embedded), about["kept_before"], again) == (30, 0, first)
    assert "damaged" in capsys.readouterr().err


def test_vectors_that_depend_on_the_corpus_are_not_kept(select, tmp_path, capsys):
    path = tmp_path / "t.txt"
    path.write_text("\n".join(WORDS))
    command = ["select", str(path), "--format", "text", "--k", "2", "--embedder", "tfidf", "--vector-size", "8"]
    assert main([*command, "--out", str(tmp_path / "o")]) == 0
    assert main(["cache"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith("no embeddings are kept")


def test_looking_and_clearing(select, tmp_path, capsys):
    place = ["--cache", str(tmp_path / "mine")]
    select("one", 30, *place)
    capsys.readouterr()
    assert main(["cache", *place]) == 0
    shown = capsys.readouterr().out
    assert str(tmp_path / "mine" / "embeddings") in shown
    assert "30 vectors" in shown
    assert main(["cache", *place, "--cache-size", "1KiB"]) == 0
    assert " deleted" in capsys.readouterr().out
    select("two", 30, *place)
    capsys.readouterr()
    assert main(["cache", *place, "--clear"]) == 0
    assert "deleted" in capsys.readouterr().out
    assert main(["cache", *place]) == 0
    assert "no embeddings are kept" in capsys.readouterr().out
    assert main(["cache", "--cache", "s3://b/c"]) == 2


@pytest.fixture
def plan(tmp_path, tiny_bert, capsys):
    def run(n, *flags):
        command = ["plan", str(tmp_path / f"{n}.jsonl"), "--text", "t", "--k", "12", "--embedder", "bert"]
        capsys.readouterr()
        assert main([*command, "--model", tiny_bert, "--json", *flags]) == 0
        told = json.loads(capsys.readouterr().out)
        return [told["embedding"][name] for name in ("texts", "kept", "exact", "keeps")], told["seconds"]["embed"]

    return run


def test_a_plan_tells_what_is_kept_and_what_is_left_to_embed(select, plan, tmp_path, tiny_bert, capsys):
    select("more", 75, "--no-cache")
    assert plan(75)[0] == [75, 0, True, True]
    select("one", 60)
    found, seconds = plan(75)
    assert found == [75, 60, True, True]
    assert 0 < seconds
    found, none_left = plan(60)
    assert found == [60, 60, True, True]
    assert none_left < seconds / 5  # no model is read
    assert plan(75, "--max-length", "5")[0] == [75, 0, True, True]
    assert plan(75, "--no-cache")[0] == plan(75, "--cache-size", "2KiB")[0] == [75, 0, True, False]
    flags = ["--text", "t", "--k", "12", "--embedder", "bert", "--model", tiny_bert]
    assert main(["plan", str(tmp_path / "75.jsonl"), *flags]) == 0
    assert "embed     60 of 75 texts are kept from earlier runs, 15 to embed\n" in capsys.readouterr().out
    assert main(["plan", str(tmp_path / "75.jsonl"), *flags[:4], "--embedder", "tfidf"]) == 0
    assert "embed     75 to embed\n" in capsys.readouterr().out


def test_of_equal_texts_the_one_that_is_embedded_is_looked_up(embedded, plan, tmp_path, tiny_bert):
    """Texts that look the same are one item, whose vector is that of the first spelling."""
    rows = ["cafe\u0301 red", "caf\xe9 red", "a red bird", "a red bird"]
    (tmp_path / "4.jsonl").write_text("".join(json.dumps({"t": row}) + "\n" for row in rows))
    command = ["embed", str(tmp_path / "4.jsonl"), "--text", "t", "--embedder", "bert", "--model", tiny_bert]
    for out in ("a", "b"):
        assert main([*command, "--out", str(tmp_path / out)]) == 0
    assert sorted(embedded) == ["a red bird", "cafe\u0301 red"]
    assert plan(4, "--k", "2")[0] == [2, 2, True, True]
