"""``subsel stream``: the same decisions after a kill at any checkpoint, each event once, nothing in silence."""

import io
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_subsel import StreamSelector
from ray_subsel.cli import main
from ray_subsel.config import CorpusConfig, EmbedConfig, RuntimeConfig
from ray_subsel.config.stream import RULES, STREAMED, StreamConfig
from ray_subsel.stages.stream import StreamRun
from ray_subsel.streaming import registry, rules

RNG = np.random.default_rng(0)
X = RNG.normal(size=(600, 6)) + RNG.integers(2, size=(600, 1))
ROWS = [{"v": [round(float(one), 5) for one in x], "g": "abc"[at % 3], "u": at % 5} for at, x in enumerate(X)]
LINES = [json.dumps(row) for row in ROWS]
SETTINGS = {"k": 8, "checkpoint_every": 100, "batch_rows": 16}


class Killed(BaseException):
    """What a kill looks like to the process: nothing after it runs."""


def stream(out, lines=LINES, watch=None, corpus=None, **given):
    """Return the events written to standard output, and the report."""
    written = []
    run = StreamRun(
        CorpusConfig(**{"vectors": "v", **(corpus or {})}),
        EmbedConfig(),
        StreamConfig(**{**SETTINGS, **given}),
        RuntimeConfig(out=str(out)),
        io.BytesIO("".join(line + "\n" for line in lines).encode()),
        written.append,
        watch,
    )
    report = run.run()
    return [json.loads(line) for line in b"".join(written).splitlines()], report


def events_of(out):
    return [json.loads(line) for line in (out / "events.jsonl").read_text().splitlines()]


def as_selector(X, **settings):
    decided = StreamSelector(8, **settings).partial_fit(np.array([row["v"] for row in ROWS], dtype=np.float32))
    return decided.accepted.tolist(), decided.evicted.tolist()


def test_events_are_the_decisions_of_the_selector(tmp_path):
    events, report = stream(tmp_path / "a")
    accepted = [one["row"] for one in events if one["event"] == "accepted"]
    evicted = [one["row"] for one in events if one["event"] == "evicted"]
    assert (accepted, evicted) == as_selector(X)
    assert [one["n"] for one in events] == list(range(len(events))) == list(range(report["events"]))
    assert events == events_of(tmp_path / "a")
    assert all(
        one["data"] == {"g": ROWS[one["row"]]["g"], "u": ROWS[one["row"]]["u"]} for one in events if "data" in one
    )
    kept = [json.loads(line) for line in (tmp_path / "a" / "selection.jsonl").read_text().splitlines()]
    assert sorted(one["row"] for one in kept) == sorted(set(accepted) - set(evicted))
    assert [one["rank"] for one in kept] == list(range(8))
    assert report["value"] == pytest.approx(sum(one["gain"] for one in kept))


def test_a_reader_that_goes_ends_it_with_one_line_and_nothing_is_lost(tmp_path, monkeypatch, capfd):
    class Closed(io.BytesIO):
        def write(self, content):
            raise BrokenPipeError

    flags = ["stream", "--vectors", "v", "--k", "8", "--batch-rows", "16", "--out", str(tmp_path / "out")]
    lines = ("\n".join(LINES) + "\n").encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines)))
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", io.TextIOWrapper(Closed()))
        assert main(flags) == 3
    assert "standard output was closed by its reader" in capfd.readouterr().err
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines)))
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO()))
    assert main(flags) == 0
    assert events_of(tmp_path / "out") == stream(tmp_path / "whole")[0]


@pytest.mark.fault
@pytest.mark.parametrize("event", ["write", "written"])
def test_after_a_kill_at_any_checkpoint_it_goes_on_with_the_same_decisions(tmp_path, event):
    whole, _ = stream(tmp_path / "whole")
    for nth in (1, 3, 5):
        out, left = tmp_path / f"{event}{nth}", nth

        def kill(what, name):
            nonlocal left
            if (what, name) == (event, "state.npz"):
                left -= 1
                if left == 0:
                    raise Killed

        with pytest.raises(Killed):
            stream(out, watch=kill)
        with open(out / "events.jsonl", "a") as file:
            file.write('{"half')  # a line that the kill cut in two
        again, report = stream(out)
        assert events_of(out) == whole
        assert again == whole[len(whole) - len(again) :]
        assert len(again) < len(whole) or nth == 1
        assert report["rows"] == 600


@pytest.mark.fault
def test_a_process_that_is_killed_goes_on(tmp_path):
    command = [sys.executable, "-m", "ray_subsel.cli", "stream", "--vectors", "v", "--k", "8", "--batch-rows", "16"]
    command += ["--checkpoint-every", "100", "--out", str(tmp_path / "killed")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    process.stdin.write(("\n".join(LINES[:450]) + "\n").encode())
    process.stdin.flush()
    state, until = tmp_path / "killed" / "state.npz", time.monotonic() + 60
    while not state.exists() and time.monotonic() < until:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    done = subprocess.run(command, input="\n".join(LINES), capture_output=True, text=True, check=True)
    whole, _ = stream(tmp_path / "whole")
    assert events_of(tmp_path / "killed") == whole
    assert "goes on behind row" in done.stderr
    assert [json.loads(line) for line in done.stdout.splitlines()] == whole[
        len(whole) - len(done.stdout.splitlines()) :
    ]


@pytest.mark.fault
def test_more_of_the_same_input_goes_on_and_other_input_is_refused(tmp_path):
    whole, _ = stream(tmp_path / "whole")
    stream(tmp_path / "a", LINES[:333])
    again, report = stream(tmp_path / "a")
    assert events_of(tmp_path / "a") == whole
    assert again == [one for one in whole if one["n"] >= whole[len(whole) - len(again)]["n"]]
    assert report["rows"] == 600
    same, _ = stream(tmp_path / "a")
    assert same == []
    for lines, words in ((LINES[1:] + LINES[:1], "begin with the 600 rows"), (LINES[:100], "got '100 rows'")):
        with pytest.raises(ValueError, match=words):
            stream(tmp_path / "a", lines)
    with pytest.raises(ValueError, match="k must be 8 as in .*; got 9"):
        stream(tmp_path / "a", k=9)


def test_what_cannot_be_used_is_counted_and_told(tmp_path, capsys):
    odd = ["oops", "[1]", "", json.dumps({"v": [1.0]}), json.dumps({"g": "a"}), json.dumps({"v": [0] * 6, "u": 1})]
    lines = [*LINES[:20], *odd, json.dumps({"v": ROWS[0]["v"], "u": "high"}), *LINES[20:40]]
    events, report = stream(tmp_path / "a", lines, utility="u")
    assert report["rejected"] == {
        "broken line: not JSON": 1,
        "broken line: JSON, but not an object": 1,
        "vector of another length": 1,
        "no vector": 1,
        "zero vector": 1,
        "utility that is no number": 1,
    }
    told = [json.loads(line) for line in (tmp_path / "a" / "rejected.jsonl").read_text().splitlines()]
    assert [one["row"] for one in told] == [20, 21, 22, 23, 24, 25]  # a blank line is no row
    assert report["rows"] == 46
    assert max(one["row"] for one in events) < 46


def test_groups_utilities_rules_and_objectives_reach_the_selector(tmp_path):
    utility, groups = [row["u"] for row in ROWS], [row["g"] for row in ROWS]
    vectors = np.array([row["v"] for row in ROWS], dtype=np.float32)
    cases = {
        "quota": ({"quotas": ("2",)}, {"quotas": 2}, {"groups": groups}),
        "named": ({"quotas": ("a=1",), "near": 0.9}, {"quotas": {"a": 1}, "near": 0.9}, {"groups": groups}),
        "utility": ({"utility": "u", "least_rise": 0.1}, {"rule": rules.Swap(0.1)}, {"utility": utility}),
        "sieves": (
            {"rule": "three_sieves", "refusals": 20, "objective": "log_determinant"},
            {"rule": rules.ThreeSieves(0.1, 20), "objective": "log_determinant"},
            {},
        ),
        "graph cut": ({"objective": "graph_cut", "lam": 2.0}, {"objective": registry.GraphCut(2.0)}, {}),
        "sample": ({"sample": 40, "seed": 3}, {"sample": 40, "seed": 3}, {}),
    }
    for name, (given, settings, more) in cases.items():
        corpus = {"group": "g"} if "groups" in more else {}
        events, _ = stream(tmp_path / name, corpus=corpus, **given)
        accepted = [one["row"] for one in events if one["event"] == "accepted"]
        assert accepted == StreamSelector(8, **settings).partial_fit(vectors, **more).accepted.tolist(), name


def test_a_growing_folder_is_read_in_the_order_of_arrival_whatever_the_format(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "b.jsonl").write_text("\n".join(LINES[:200]) + "\n")
    (folder / "notes.md").write_text("no data")
    (folder / "c.jsonl.tmp-1.jsonl").write_text(LINES[0])
    out = tmp_path / "out"
    _, report = stream(out, follow=str(folder), idle=0)
    assert report["files_ignored"] == [str(folder / "notes.md")]
    pq.write_table(pa.Table.from_pylist(ROWS[200:400]), folder / "a.parquet")
    (folder / "c.jsonl").write_text("\n".join(LINES[400:]) + "\n")
    killed = []

    def kill(what, name):
        killed.append(what)
        if len(killed) == 4:
            raise Killed

    with pytest.raises(Killed):
        stream(out, follow=str(folder), idle=0, watch=kill)
    (folder / "aa.jsonl").write_text(LINES[0])  # sorts before what is being read: it comes after it
    _, report = stream(out, follow=str(folder), idle=0)
    assert [name.rsplit("/", 1)[1] for name in report["files"]] == ["b.jsonl", "a.parquet", "aa.jsonl", "c.jsonl"]
    whole, _ = stream(tmp_path / "whole", [*LINES[:400], LINES[0], *LINES[400:]])
    assert [(one["event"], one["row"]) for one in events_of(out)] == [(one["event"], one["row"]) for one in whole]
    (folder / "a.parquet").unlink()
    _, report = stream(out, follow=str(folder), idle=0)  # done files may go
    assert report["rows"] == 601


def test_texts_are_embedded(tmp_path, monkeypatch, capsys):
    (tmp_path / "letters.py").write_text(
        "import numpy as np\n"
        "from ray_subsel.embedders import Embedder, unit_rows\n"
        "class Letters(Embedder):\n"
        "    name = 'letters'\n"
        "    dimension = 26\n"
        "    def embed(self, texts):\n"
        "        counts = [[text.count(chr(97 + at)) for at in range(26)] for text in texts]\n"
        "        return unit_rows(np.array(counts, dtype=np.float64).reshape(len(texts), 26) + 0.01, 'text')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    texts = ["aaa", "bbb", "", "ccc", "aaa", "bbb", "ccc"]
    lines = "".join(json.dumps({"t": text}) + "\n" for text in texts)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines.encode())))
    flags = ["stream", "--text", "t", "--embedder", "letters:Letters", "--k", "3", "--near", "0.9"]
    assert main([*flags, "--out", str(tmp_path / "out")]) == 0
    shown = capsys.readouterr()
    events = [json.loads(line) for line in shown.out.splitlines()]
    assert {one["data"]["t"] for one in events if one["event"] == "accepted"} == {"aaa", "bbb", "ccc"}
    assert "read      7 rows, 1 rejected: 1 empty text" in shown.err
    assert "kept      3 rows" in shown.err


BAD = {
    "k": (["--vectors", "v"], "--k must be given"),
    "text": (["--k", "2"], "--text must name a column"),
    "fitted": (["--text", "t", "--embedder", "tfidf", "--k", "2"], "--embedder must need no corpus to be fitted to"),
    "group": (["--vectors", "v", "--k", "2", "--quota", "3"], "--group must name a column"),
    "quota": (["--vectors", "v", "--k", "2", "--group", "g", "--quota", "equal"], "--quota must be a whole number"),
    "idle": (["--vectors", "v", "--k", "2", "--idle", "1"], "--idle must be at least 0, and go with"),
    "folder": (["--vectors", "v", "--k", "2", "--follow", "/nonexistent"], "must be an existing file, folder"),
    "format": (["--vectors", "v", "--k", "2", "--format", "csv"], "--format must be jsonl on standard input"),
    "near": (["--vectors", "v", "--k", "2", "--near", "2"], "--near must be a cosine"),
    "uri": (["--vectors", "v", "--k", "2", "--out", "s3://bucket/x"], "--out must be a local directory"),
    "rule": (["--vectors", "v", "--k", "2", "--rule", "best"], "--rule must be one of swap, three_sieves"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_settings_are_one_line_and_leave_nothing_behind(case, tmp_path, capsys):
    flags, words = BAD[case]
    out = tmp_path / "out"
    assert main(["stream", "--out", str(out), *flags]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not (out / "state.npz").exists()


def test_a_directory_of_something_else_is_not_touched(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ValueError, match="out must be empty or hold a stream"):
        stream(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_choices_are_those_of_the_registries():
    assert set(STREAMED) == set(registry.STREAMED)
    assert set(RULES) == set(rules.RULES)
