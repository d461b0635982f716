"""The command line: help that explains, mistakes that cost one line."""

import json
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_subsel.cli import main

STORY_HEADER = (
    "InputStoryid,InputSentence1,InputSentence2,InputSentence3,InputSentence4,"
    "RandomFifthSentenceQuiz1,RandomFifthSentenceQuiz2,AnswerRightEnding\n"
)


def write_vectors(path, X, **columns):
    X = np.asarray(X, dtype=np.float32)
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(X.reshape(-1)), X.shape[1])
    pq.write_table(pa.table({"v": vectors, **columns}), path)


@pytest.fixture
def files(tmp_path):
    """Inputs of which nearly all are wrong in one way."""
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "texts.jsonl").write_text("".join(json.dumps({"body": f"text {i}"}) + "\n" for i in range(6)))
    (folder / "empty.csv").write_text("")
    (folder / "header.csv").write_text("body\n")
    (folder / "blank.jsonl").write_text('{"body": ""}\n{"body": "  "}\n')
    (folder / "stories.csv").write_text(STORY_HEADER + "a,b,c,d,e,f,g,3\n" * 3)
    draw = np.random.default_rng(0)
    write_vectors(folder / "good.parquet", draw.normal(size=(20, 4)))
    write_vectors(folder / "nan.parquet", np.where(np.arange(80).reshape(20, 4) % 8 == 0, np.nan, 1.0))
    ragged = [[1.0, 2.0]] * 5 + [[1.0, 2.0, 3.0]] * 5
    pq.write_table(pa.table({"v": pa.array(ragged, pa.list_(pa.float32()))}), folder / "ragged.parquet")
    (folder / "model").mkdir()
    (folder / "model" / "config.json").write_text('{"model_type": "bert"}')
    return folder


V = ["--vectors", "v"]
BAD = {
    "missing file": (["select", "IN/none.csv", "--text", "body", "--k", "2"], r"none\.csv"),
    "unknown column": (["select", "IN/texts.jsonl", "--text", "nope", "--k", "2"], "nope.*body"),
    "unknown vector column": (["select", "IN/good.parquet", "--vectors", "w", "--k", "2"], "w.*v"),
    "empty corpus": (["select", "IN/empty.csv", "--text", "body", "--k", "2"], "."),
    "header only": (["select", "IN/header.csv", "--text", "body", "--k", "2"], "."),
    "all rows rejected": (
        ["select", "IN/blank.jsonl", "--text", "body", "--k", "2"],
        "usable row; got none.*empty text",
    ),
    "all labels wrong": (["run", "IN/stories.csv", "--task", "story-cloze", "--k", "2"], "usable row; got none.*label"),
    "k = 0": (["select", "IN/good.parquet", *V, "--k", "0"], "k must be at least 1; got 0"),
    "k > n": (
        ["select", "IN/good.parquet", *V, "--k", "21"],
        "k must lie between 1 and 20, the items to choose from; got 21",
    ),
    "k not a number": (["select", "IN/good.parquet", *V, "--k", "many"], "--k.*many"),
    "no budget": (["select", "IN/good.parquet", *V], "--k, --fraction must be given, exactly one of them"),
    "fraction 1.5": (["select", "IN/good.parquet", *V, "--fraction", "1.5"], r"fraction must lie in \(0, 1\]; got 1.5"),
    "lambda nan": (
        ["select", "IN/good.parquet", *V, "--k", "2", "--lam", "nan"],
        "--lam: must be a number >= 0 or auto; got 'nan'",
    ),
    "lambda word": (["select", "IN/good.parquet", *V, "--k", "2", "--lam", "big"], "must be a number >= 0 or auto"),
    "unknown embedder": (
        ["select", "IN/texts.jsonl", "--text", "body", "--k", "2", "--embedder", "x"],
        "embedder must be",
    ),
    "unknown model": (
        ["select", "IN/texts.jsonl", "--text", "body", "--k", "2", "--embedder", "bert", "--model", "no-such-model"],
        "model must be.*no-such-model",
    ),
    "folder without weights": (
        ["select", "IN/texts.jsonl", "--text", "body", "--k", "2", "--embedder", "bert", "--model", "IN/model"],
        "weights|safetensors",
    ),
    "vectors of mixed length": (["select", "IN/ragged.parquet", *V, "--k", "2"], "length"),
    "NaN vectors": (["select", "IN/nan.parquet", *V, "--k", "2"], "NaN|finite"),
    "training flags without a test file": (
        ["run", "IN/stories.csv", "--task", "story-cloze", "--k", "2", "--epochs", "3"],
        "epochs must come with --test",
    ),
    "test file missing": (
        ["run", "IN/texts.jsonl", "--text", "body", "--k", "2", "--test", "IN/none.csv"],
        r"none\.csv",
    ),
    "objective and lambda": (
        ["select", "IN/good.parquet", *V, "--k", "2", "--objective", "facility_location", "--lam", "3"],
        "lam must be left out unless objective is graph_cut; got 3.0",
    ),
    "features of an encoder": (
        ["select", "IN/texts.jsonl", "--text", "body", "--k", "2", "--objective", "feature_based"],
        "objective must be another one for an embedder's vectors",
    ),
    "features below 0": (
        ["select", "IN/good.parquet", *V, "--k", "2", "--objective", "feature_based"],
        "hold finite numbers >= 0",
    ),
    "exact under limits": (
        ["select", "IN/good.parquet", *V, "--k", "2", "--mode", "exact", "--exclude", "IN/texts.jsonl"],
        "mode must be greedi with quotas, floors, a mix, a budget, include or exclude",
    ),
    "exact facility location": (
        ["select", "IN/good.parquet", *V, "--k", "2", "--mode", "exact", "--objective", "facility_location"],
        "mode must be greedi unless objective is graph_cut or log_determinant",
    ),
    "quota without a group": (
        ["select", "IN/good.parquet", *V, "--k", "2", "--quota", "equal"],
        "group must name a column where quotas or floors are given",
    ),
    "quota that is none": (
        ["select", "IN/good.parquet", *V, "--k", "2", "--quota", "half"],
        "quota must be balanced, prop.*half",
    ),
    "no file of rows": (
        ["select", "IN/good.parquet", *V, "--k", "2", "--include", "IN/none.txt"],
        "include must name a file",
    ),
    "floors and a mix": (
        ["select", "IN/good.parquet", *V, "--k", "2", "--floor", "1", "--mix", "uniform"],
        "mix must be given without quotas and floors",
    ),
    "sample of nothing": (
        ["select", "IN/good.parquet", *V, "--k", "2", "--represented", "5", "--objective", "graph_cut"],
        "represented must go with facility_location or saturated_coverage",
    ),
    "unknown flag": (["select", "IN/good.parquet", *V, "--k", "2", "--fast"], "--fast"),
    "report of nothing": (["report", "IN"], r"manifest\.json"),
    "finetune of nothing": (["finetune", "IN", "--test", "IN/stories.csv"], r"manifest\.json"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_costs_one_line_and_nothing_is_lost(case, files, tmp_path, capsys):
    arguments, message = BAD[case]
    arguments = [one.replace("IN/", f"{files}/") if one.startswith("IN") else one for one in arguments]
    arguments = [str(files) if one == "IN" else one for one in arguments]
    before = sorted(files.rglob("*"))
    if arguments[0] in ("run", "select", "embed"):
        arguments += ["--out", str(tmp_path / "out")]
    assert main(arguments) == 2
    captured = capsys.readouterr()
    lines = [line for line in captured.err.splitlines() if line.startswith("subsel: error:")]
    assert len(lines) == 1, captured.err
    assert re.search(message, lines[0], re.IGNORECASE), lines[0]
    assert "Traceback" not in captured.err
    assert not (tmp_path / "out" / "selection.parquet").exists()
    assert sorted(files.rglob("*")) == before


def test_another_run_s_directory_is_refused_until_overwrite_is_said(files, tmp_path, capsys):
    command = ["select", str(files / "good.parquet"), *V, "--out", str(tmp_path / "out")]
    assert main([*command, "--k", "3"]) == 0
    chosen = (tmp_path / "out" / "selection.parquet").read_bytes()
    capsys.readouterr()
    assert main([*command, "--k", "4"]) == 2
    assert "select.k: 3 there, 4 here" in capsys.readouterr().err
    assert (tmp_path / "out" / "selection.parquet").read_bytes() == chosen
    assert main([*command, "--k", "4", "--overwrite"]) == 0
    assert pq.read_table(tmp_path / "out" / "selection.parquet").num_rows == 4


def test_what_the_recipe_decides_is_told_and_a_flag_overrules_it(files, tmp_path, capsys):
    rows = [{"body": f"word {i} of {i % 5} and {i % 7}", "kind": "aab"[i % 3]} for i in range(60)]
    (files / "classes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = ["select", str(files / "classes.jsonl"), "--text", "body", "--label", "kind", "--k", "10"]
    command += ["--embedder", "tfidf", "--vector-size", "8", "--out", str(tmp_path / "out")]
    assert main(command) == 0
    said = capsys.readouterr().err
    for flag in ("--objective facility_location: ", "--near 0.9: ", "--quota balanced: column kind tells classes"):
        assert f"recipe    auto {flag}" in said
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert [one["value"] for one in report["recipe"]["decisions"]] == ["facility_location", 0.9, "balanced"]
    chosen = pq.read_table(tmp_path / "out" / "subset.parquet")["kind"].to_pylist()
    assert {kind: chosen.count(kind) for kind in "ab"} == {"a": 5, "b": 5}
    spelt = ["--objective", "facility_location", "--near", "0.9", "--quota", "balanced"]
    assert main([*command, *spelt]) == 0
    said = capsys.readouterr().err
    assert "select: as before" in said
    assert "recipe " not in said
    assert main([*command, "--recipe", "paper", "--near", "none"]) == 2
    refused = capsys.readouterr().err.splitlines()[-1]
    flags = re.search(r"Add (.*) for what is there", refused)
    assert flags, refused
    assert main([*command, "--recipe", "paper", "--near", "0.9", *flags[1].split()]) == 0
    assert "select: as before" in capsys.readouterr().err


def test_limits_are_told_in_one_line(files, tmp_path, capsys):
    texts = files / "grouped.jsonl"
    rows = [{"body": f"word {i} " + "and more " * (i % 3), "kind": "ab"[i % 2]} for i in range(12)]
    texts.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (files / "in.txt").write_text("7\n")
    arguments = ["--text", "body", "--group", "kind", "--embedder", "tfidf", "--vector-size", "8"]
    command = ["select", str(texts), *arguments, "--out", str(tmp_path / "out"), "--objective", "facility_location"]
    assert main([*command, "--budget", "20", "--quota", "a=2", "--include", str(files / "in.txt")]) == 0
    said = capsys.readouterr().out
    found = re.search(r"limits    1 included; cost (\d+) of 20; groups: b \d+.*, a (\d+) \(at most 2\)", said)
    assert found, said
    assert int(found[1]) <= 20
    assert int(found[2]) <= 2
    assert "in one draw" in said
    subset = pq.read_table(tmp_path / "out" / "subset.parquet")
    assert subset["id"][0].as_py() == 7
    assert sum(len(text.split()) for text in subset["body"].to_pylist()) == int(found[1])


def test_a_changed_input_is_noticed(files, tmp_path, capsys):
    command = ["select", str(files / "good.parquet"), *V, "--k", "3", "--out", str(tmp_path / "out")]
    assert main(command) == 0
    write_vectors(files / "good.parquet", np.random.default_rng(1).normal(size=(20, 4)))
    capsys.readouterr()
    assert main(command) == 2
    assert "corpus.input" in capsys.readouterr().err
    assert main([*command, "--overwrite"]) == 0


def test_a_directory_with_other_things_is_left_alone(files, tmp_path, capsys):
    (tmp_path / "thesis.tex").write_text("x")
    command = ["select", str(files / "good.parquet"), *V, "--k", "3", "--out", str(tmp_path), "--overwrite"]
    assert main(command) == 2
    assert "out must be empty, new, or the directory of a run" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "thesis.tex"]


@pytest.mark.parametrize("command", ["run", "embed", "select", "finetune", "report"])
def test_help_says_what_every_flag_is(command, capsys):
    with pytest.raises(SystemExit) as caught:
        main([command, "--help-all"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    flags = re.findall(r"^  (--[a-z-]+)(.*)$", text, re.MULTILINE)
    assert len(flags) > (3 if command != "report" else -1)
    assert "%%" not in text
    assert "1 % of the items" in " ".join(text.split()) or command not in ("run", "select", "embed")


def test_what_is_not_kept_on_disk_has_no_type_there(capsys):
    assert main(["experiment", "x", "--vectors-dtype", "float16", "--out", "o"]) == 2
    assert "--vectors-dtype must be a flag of subsel experiment" in capsys.readouterr().err


def test_help_of_the_whole_has_examples(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    for command in ("select", "explain", "compare", "plan", "run", "finetune", "update", "stream"):
        assert f"\n  subsel {command} " in text


def test_one_seed_flag_sets_every_stage_s_seed():
    from ray_subsel.cli import make_parser
    from ray_subsel.cli.commands.run import run_config

    given = vars(make_parser().parse_args(["select", "x", "--text", "t", "--k", "1", "--seed", "7", "--out", "o"]))
    config = run_config("select", given, "")
    assert (config.corpus.seed, config.embed.seed, config.select.seed) == (7, 7, 7)
    assert config.corpus.data == ("x",)
    assert config.corpus.text == ("t",)


def test_json_and_quiet_write_the_report_and_nothing_else(files, tmp_path, capsys):
    call = ["select", str(files / "texts.jsonl"), "--text", "body", "--embedder", "tfidf", "--k", "2"]
    assert main([*call, "--out", str(tmp_path / "out"), "--json", "--quiet"]) == 0
    written = capsys.readouterr()
    assert written.err == ""
    assert json.loads(written.out) == json.loads((tmp_path / "out/report.json").read_text())
    assert main(["report", str(tmp_path / "out"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["selection"]["k"] == 2
    assert main(["plan", *call[1:], "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 6


def test_all_items_are_not_worse_than_the_same_items_in_another_order(tmp_path, capsys):
    (tmp_path / "two.csv").write_text("body\na\nb\n")  # f differs in the last bit
    arguments = ["--text", "body", "--embedder", "tfidf", "--k", "2", "--out", str(tmp_path / "out")]
    assert main(["select", str(tmp_path / "two.csv"), *arguments]) == 0
    shown = capsys.readouterr().out
    assert "below that of a random subset" not in shown
    assert "random items: 2.0 in one draw (+0.0%)" in shown
