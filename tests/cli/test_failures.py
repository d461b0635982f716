"""Whatever ends a command is one line and a documented status."""

import errno
import io
import os
import re
import shutil
import socket
import ssl
import urllib.error
from pathlib import Path

import jinja2
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_subsel.cli import main
from ray_subsel.cli.failures import LOG, failure_of
from ray_subsel.core.errors import InputError, ResourceError
from ray_subsel.storage.manifest import Manifest
from ray_subsel.storage.run_directory import RunDir


def caused(error, by):
    error.__cause__ = by
    return error


def handling(error, one):
    error.__context__ = one
    return error


REFUSED = ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")


FAILURES = {
    "input": (InputError("k must be at  least 1."), 2, "^subsel: error: k must be at least 1.$"),
    "resource": (ResourceError("no room"), 3, "subsel: error: no room"),
    "wrapped": (caused(RuntimeError("task"), ResourceError("no room")), 3, "subsel: error: no room"),
    "full": (OSError(errno.ENOSPC, "No space left on device", "/x"), 3, "/x could not be used .*Make room"),
    "files": (OSError(errno.EMFILE, "Too many open files"), 3, "ulimit -n"),
    "denied": (PermissionError(errno.EACCES, "Permission denied", "/x"), 2, "/x could not be used .*Permission denied"),
    "behind": (caused(RuntimeError("reading"), OSError(errno.EIO, "Input/output error", "/x")), 3, "Check the disk"),
    "address": (socket.gaierror(-2, "Name or service not known"), 3, "Name or service not known.*Check the network"),
    "certificate": (ssl.SSLCertVerificationError(1, "certificate verify failed"), 3, "certificate verify failed"),
    "late": (TimeoutError("timed out"), 3, "timed out.*Check the network"),
    "url": (urllib.error.URLError(REFUSED), 3, "Connection refused.*Check the network"),
    "store": (OSError("AWS Error ACCESS_DENIED"), 2, "a file or a service could not be used .AWS Error ACCESS_DENIED"),
    "unnamed": (OSError(errno.EIO, "Input/output error"), 3, "the system refused to go on .*Check the disk"),
    "template": (jinja2.TemplateNotFound("page.html"), 1, "subsel: fault: TemplateNotFound: page.html; the traceback"),
    "same": (shutil.SameFileError("a and a"), 1, "subsel: fault: SameFileError: a and a; "),
    "operation": (io.UnsupportedOperation("not readable"), 1, "subsel: fault: UnsupportedOperation: not readable; "),
    "kind of url": (urllib.error.URLError("unknown url type: x"), 1, "subsel: fault: URLError: "),
    "memory": (MemoryError(), 3, "memory ran out"),
    "arrow": (pa.ArrowMemoryError("malloc of size 1 failed"), 3, "memory ran out .malloc of size 1 failed"),
    "threads": (RuntimeError("can't start new thread"), 3, "ulimit -u"),
    "interrupt": (KeyboardInterrupt(), 130, "interrupted; the same command again goes on from here"),
    "fault": (KeyError("x"), 1, "subsel: fault: KeyError: 'x'; the traceback is in "),
}


@pytest.mark.fault
@pytest.mark.parametrize("case", FAILURES)
def test_every_failure_is_one_line_and_a_status(case):
    error, status, line = FAILURES[case]
    failure = failure_of(error)
    assert failure.status == status
    assert re.search(line, failure.line), failure.line
    assert "\n" not in failure.line
    if status == 1:
        os.unlink(failure.line.rpartition(" ")[2])


@pytest.mark.fault
def test_errors_of_libraries_that_are_called_the_systems_are_faults_unless_the_network_is_beneath():
    requests, hub = pytest.importorskip("requests"), pytest.importorskip("huggingface_hub.errors")
    for error in (requests.exceptions.MissingSchema("no scheme"), hub.LocalEntryNotFoundError("no model there")):
        failure = failure_of(error)
        assert failure.status == 1
        assert failure.line.startswith(f"subsel: fault: {type(error).__name__}: {error}")
        os.unlink(failure.line.rpartition(" ")[2])
    wrapped = handling(requests.exceptions.ConnectionError("pool"), handling(ValueError("retries"), REFUSED))
    assert failure_of(wrapped).status == 3
    assert "Check the network" in failure_of(wrapped).line


def test_rays_own_errors_are_a_missing_resource_and_those_of_the_work_are_not():
    from ray.exceptions import GetTimeoutError, NodeDiedError, RayTaskError

    assert failure_of(NodeDiedError("the node is gone")).status == 3
    assert failure_of(GetTimeoutError("no answer")).line.startswith(
        "subsel: error: Ray ended (GetTimeoutError: no answer)"
    )
    assert failure_of(RayTaskError("f", "trace", ValueError("a fault"))).status == 1
    assert failure_of(RayTaskError("f", "trace", ResourceError("no room"))).status == 3


@pytest.mark.fault
def test_a_fault_of_the_program_leaves_its_traceback_in_the_run(tmp_path, capsys):
    (tmp_path / "in.csv").write_text("body\n" + "".join(f"text {i}\n" for i in range(9)))
    out = tmp_path / "out"

    def watch(event, name):
        if event == "write" and name.startswith("embeddings/"):
            raise ZeroDivisionError("s3://key:hush@bucket")

    command = ["select", str(tmp_path / "in.csv"), "--text", "body", "--embedder", "tfidf", "--k", "2"]
    assert main([*command, "--out", str(out)], watch=watch) == 1
    said = capsys.readouterr().err.splitlines()
    assert said[-1] == f"subsel: fault: ZeroDivisionError: s3://***@bucket; the traceback is in {out / LOG}"
    assert not [line for line in said if "Traceback" in line]
    log = (out / LOG).read_text()
    assert log.startswith("Traceback")
    assert "ZeroDivisionError" in log
    assert "hush" not in log
    assert main([*command, "--debug", "--out", str(out)], watch=watch) == 1
    assert "Traceback" in capsys.readouterr().err
    assert main([*command, "--out", str(out)]) == 0, "the same command goes on"


def test_debug_shows_the_traceback_of_bad_input(tmp_path, capsys):
    assert main(["report", str(tmp_path), "--debug"]) == 2
    assert "Traceback" in capsys.readouterr().err
    assert main(["report", str(tmp_path)]) == 2
    assert "Traceback" not in capsys.readouterr().err


OUTS = {
    "a file": (lambda folder: str(folder / "file"), "out must be a directory; got "),
    "in a file": (lambda folder: str(folder / "file" / "out"), "out must be a directory that can be written"),
    "a long name": (lambda folder: str(folder / ("x" * 300)), "File name too long.*Use another --out"),
    "not UTF-8": (lambda folder: os.fsdecode(bytes(folder) + b"/o\xff"), r"arguments must be UTF-8; got .*o\\\\udcff"),
    "a dangling link": (lambda folder: str(folder / "link"), "out must be a directory that can be written"),
}


@pytest.mark.fault
@pytest.mark.parametrize("case", OUTS)
def test_an_out_that_cannot_be_used_is_one_line(case, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "none" / "there")
    (tmp_path / "in.csv").write_text("body\nx\ny\n")
    name, said = OUTS[case]
    command = ["select", str(tmp_path / "in.csv"), "--text", "body", "--embedder", "tfidf", "--k", "1", "--out"]
    assert main([*command, name(tmp_path)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert re.search(said, lines[0]), lines[0]


@pytest.mark.fault
def test_a_working_directory_that_is_gone_is_one_line(tmp_path, monkeypatch, capsys):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert main(["select", "x.csv", "--text", "body", "--k", "1", "--out", "o"]) == 2
    assert capsys.readouterr().err.startswith("subsel: error: path must be a local path or a URI")


@pytest.mark.fault
def test_credentials_are_neither_kept_nor_shown(tmp_path):
    run = RunDir(str(tmp_path))
    manifest = Manifest.open(run, {"corpus": ()})
    manifest.about = {"command": "subsel select s3://key:hush@b/x", "config": {"data": ["s3://b/x?secret_key=hush"]}}
    manifest.save()
    assert b"hush" not in run.read_bytes("manifest.json")


@pytest.mark.fault
def test_k_above_the_rows_is_told_before_anything_is_embedded(tmp_path, capsys):
    from ray_subsel.planning.run_plan import COUNTED_BYTES

    text = "word " * 2000
    with (tmp_path / "in.csv").open("w") as file:  # more than is read to count rows
        file.write("body\n")
        file.writelines(f"{text}{number}\n" for number in range(COUNTED_BYTES // len(text) + 10))
    opened = []
    command = ["select", str(tmp_path / "in.csv"), "--text", "body", "--embedder", "tfidf", "--k", "1M", "--out"]
    assert main([*command, str(tmp_path / "out")], watch=lambda event, name: opened.append(name)) == 2
    assert "k must lie between 1 and 16" in capsys.readouterr().err
    assert not [name for name in opened if name.startswith(("embeddings/", "tfidf"))]


ODD = {
    "empty": ("empty.parquet --text body --k 2", r"data must hold at least one row; got none in 1 file, as .*empty"),
    "empty, a share": (
        "empty.parquet --text body --fraction 0.5",
        "data must hold at least one row; got none in 1 file",
    ),
    "head only": ("head.csv --text body --k 2", r"data must hold at least one row; got none in 1 file, as .*head\.csv"),
    "lists as text": ("lists.parquet --text body --k 1", "text is not a string"),
    "k above the rows": ("in.csv --text body --k 20", r"--k must lie between 1 and 2, .*got 20"),
    "mixed lengths": ("mixed.parquet --vectors v --k 1", "vector of another length"),
    "no other set": ("in.csv --text body --k 1 --against none.csv", "against none.csv: data must be an existing file"),
    "no target": ("in.csv --text body --k 1 --target none.csv", "target none.csv: data must be an existing file"),
    "no test": ("in.csv --text body --k 1 --test none.csv", "test none.csv: data must be an existing file"),
    "no mix": ("in.csv --text body --group g --k 1 --mix like:none.csv", "mix like:none.csv: data must be an existing"),
    "bytes as ids": (
        "in.csv --text body --k 1 --include bytes.parquet",
        "--include must be a text file with an id a line",
    ),
}


@pytest.mark.fault
@pytest.mark.parametrize("case", ODD)
def test_odd_input_is_one_line_that_names_it(case, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.csv").write_text("body,g\nx y,a\nz w,b\n")
    (tmp_path / "head.csv").write_text("body\n")
    (tmp_path / "bytes.parquet").write_bytes(bytes(range(256)))
    pq.write_table(pa.table({"body": pa.array([], pa.string())}), "empty.parquet")
    pq.write_table(pa.table({"body": [["a", "b"], ["c"]]}), "lists.parquet")
    pq.write_table(pa.table({"v": [[1.0, 2.0], [1.0, 2.0, 3.0], [0.5, 0.1]]}), "mixed.parquet")
    asked, said = ODD[case]
    command = ["run", *asked.split(), *(["--task", "classification", "--label", "g"] if "--test" in asked else [])]
    command += [] if "--vectors" in asked else ["--embedder", "tfidf"]
    assert main([*command, "--out", "out"]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("subsel: ")]
    assert len(lines) == 1
    assert re.search(f"^subsel: error: .*{said}", lines[0]), lines[0]


@pytest.mark.fault
@pytest.mark.parametrize("words", [["report"], ["update", "new.csv"], ["explain", "1"], ["finetune"]], ids=" ".join)
def test_a_file_is_no_directory_of_a_run(tmp_path, capsys, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("")
    Path("new.csv").write_text("text\na\n")
    command, *others = words
    assert main([command, "file", *others]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "must be a directory" in line
    assert Path("file").read_text() == ""
