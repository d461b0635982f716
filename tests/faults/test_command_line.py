"""Any flags over any small file: a documented status, one line, nothing half-written. In process, without Ray."""

import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ray_subsel.cli import main

TEXTS = (
    b"", b"\n", b"body\n", b"body\nx\n", b"body\nx\nx\ny\nz\n", b"body,n\nx,1\ny,2\nz,nan\n", b"body\n\xff\xfe\n",
    b'body\n"x\n',
    b'{"body": "x"}\n{"body": "y", "n": 99999999999999999999999}\n', b'{"body": ["x"]}\n{"body": null}\n', b"[1]\n{}\n",
    b'{"body": "x", "v": [1e400, 1]}\n{"body": "y", "v": [1, 2]}\n', b"\0\0\0", b"PAR1PAR1", b"body\tn\nx\t1\ny\t2\n",
    b'{"body": "\\ud800"}\n{"body": "y"}\n', ("body\n" + "\n".join(f"word {i}" for i in range(30))).encode(),
)  # fmt: skip


def columns():
    X = np.random.default_rng(0).normal(size=(12, 3))
    return {
        "v": pa.array(X.tolist(), pa.list_(pa.float32())), "body": [f"t {i % 5}" for i in range(12)],
        "n": pa.array([2**63 + i for i in range(12)], pa.uint64()), "d": pa.array([None] * 12),
        "t": pa.array(range(12), pa.timestamp("ns")), "b": pa.array([b"\xff"] * 12), "s": [{"a": 1}] * 12,
    }  # fmt: skip


NUMBERS = st.sampled_from(["0", "1", "2", "3", "5", "1e0", "-1", "0.5", "1k", "nan", "9" * 25, "x", "", "\u0663"])
NAMES = st.sampled_from(["body", "n", "v", "d", "t", "b", "s", "none", "", "caf\u00e9", "a=2", "proportional", "equal"])
FLAGS = {
    **dict.fromkeys(("--k", "--fraction", "--lam", "--partitions", "--fan-in", "--candidates", "--floor"), NUMBERS),
    **dict.fromkeys(("--near", "--budget", "--seed", "--max-rejected", "--vector-size", "--workers"), NUMBERS),
    "--represented": NUMBERS,
    **dict.fromkeys(("--text", "--vectors", "--label", "--group", "--cost", "--id", "--near-within", "--quota"), NAMES),
    "--objective": st.sampled_from(["graph_cut", "facility_location", "log_determinant", "feature_based", "x", "a:b"]),
    "--format": st.sampled_from(["auto", "csv", "jsonl", "parquet", "text", "x"]),
    "--task": st.sampled_from(["text", "classification", "story-cloze"]),
    "--mode": st.sampled_from(["greedi", "exact"]),
    "--copies": st.sampled_from(["collapse", "keep"]),
    "--include": st.sampled_from(["IN/ids", "IN/big", "IN/good.parquet", "IN", "IN/none", "/dev/null", "IN/pipe"]),
    "--exclude": st.sampled_from(["IN/ids", "IN/big", "IN/text.csv", "IN/pipe"]),
    "--memory-limit": st.sampled_from(["1GiB", "1", "0", "x", "10\u212aiB"]),
}  # fmt: skip


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    (folder / "ids").write_text("0\n1\n")
    (folder / "big").write_text("9" * 30 + "\n")
    os.mkfifo(folder / "pipe")
    pq.write_table(pa.table(columns()), folder / "good.parquet")
    return folder


@st.composite
def commands(draw):
    flags = draw(st.lists(st.sampled_from(sorted(FLAGS)), max_size=5, unique=True))
    words = [word for flag in flags for word in (flag, draw(FLAGS[flag]))]
    if draw(st.integers(0, 3)):  # most have what is asked for first, so that they come further
        words += [*(() if "--k" in flags or "--fraction" in flags else ("--k", "2")), "--embedder", "tfidf"]
        words += () if "--text" in flags or "--vectors" in flags else ("--text", "body")
    words += draw(
        st.sampled_from([(), (), (), ("--quiet",), ("--json",), ("--debug",), ("--augment",), ("--nonsense",)])
    )
    kind = draw(st.sampled_from(["csv", "jsonl", "tsv", "txt", "parquet", "good", "good", "odd"]))
    return (
        draw(st.sampled_from(["select", "select", "plan", "embed", "run"])),
        kind,
        draw(st.sampled_from(TEXTS)),
        words,
    )


def check(inputs, folder, command, capsys):
    name, kind, content, words = command
    data = inputs / "good.parquet"
    if kind != "good":
        data = folder / f"text.{kind}"
        data.write_bytes(content)
    out = folder / "out"
    where = () if name == "plan" else ("--out", str(out))
    line = [name, str(data), *(word.replace("IN", str(inputs), 1) if word[:2] == "IN" else word for word in words)]
    capsys.readouterr()
    status = main([*line, *where])
    said = capsys.readouterr()
    assert status in (0, 2, 3), (line, said.err)
    failures = [one for one in said.err.splitlines() if one.startswith("subsel: ")]
    assert len(failures) == (status != 0), said.err
    assert ("Traceback" in said.err) == ("--debug" in words and status != 0), said.err
    assert not [path for path in folder.rglob("*") if ".tmp-" in path.name or path.name.endswith(".begun")]
    assert (out / "selection.parquet").exists() == (status == 0 and name in ("select", "run"))


QUICK = {"deadline": None, "suppress_health_check": list(HealthCheck), "database": None}


@pytest.mark.fault
@settings(max_examples=150, derandomize=True, **QUICK)
@given(commands())
def test_any_flags_and_any_file_end_as_documented(inputs, tmp_path_factory, capsys, command):
    check(inputs, tmp_path_factory.mktemp("run"), command, capsys)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@settings(max_examples=3000, **QUICK)
@given(commands())
def test_any_flags_and_any_file_end_as_documented_at_length(inputs, tmp_path_factory, capsys, command):
    check(inputs, tmp_path_factory.mktemp("run"), command, capsys)
