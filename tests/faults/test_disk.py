"""A disk that is full or takes no file of that name, and files that are damaged inside."""

import re
import subprocess
from contextlib import contextmanager

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_subsel.cli import main
from ray_subsel.core.errors import InputError
from ray_subsel.storage.embedding_store import part_name
from ray_subsel.storage.run_directory import TEMPORARY, RunDir
from tests.faults.conftest import chosen
from tests.stores import write_store


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MB; skipped where it may not be mounted."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("mounting a tmpfs takes root")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.mark.fault
def test_a_full_disk_is_one_line_and_a_rerun_goes_on(small_disk, tmp_path, capsys):
    X = np.random.default_rng(0).normal(size=(1000, 16)).astype(np.float32)
    column = pa.FixedSizeListArray.from_arrays(pa.array(X.reshape(-1)), 16)
    pq.write_table(pa.table({"v": column}), tmp_path / "v.parquet")
    command = ["select", str(tmp_path / "v.parquet"), "--vectors", "v", "--k", "20", "--partitions", "2", "--out"]
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * 940_000)
    out = small_disk / "out"
    assert main([*command, str(out)]) == 3
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("subsel: error: ")
    assert "could not be written" in last
    assert "MB free). Make room, then run the same command again." in last
    assert not [path for path in out.rglob("*") if TEMPORARY in path.name]
    assert not (out / "selection.parquet").exists()
    filler.unlink()
    assert main([*command, str(out)]) == 0
    assert main([*command, str(tmp_path / "undisturbed")]) == 0
    files = [folder / "selection.parquet" for folder in (out, tmp_path / "undisturbed")]
    assert files[0].read_bytes() == files[1].read_bytes()


def refused(*command):
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip(f"{command[0]} takes root and a disk that knows it")


def there(path):
    if not path.exists():
        path.write_bytes(b"of somebody else")


@contextmanager
def between(begin, end):
    refused(*begin)
    try:
        yield
    finally:
        subprocess.run(end, check=True)


def immutable(path):
    """A file that nobody may replace, not even root."""
    there(path)
    return between(["chattr", "+i", str(path)], ["chattr", "-i", str(path)])


def mounted(path):
    """A file or folder over which another is mounted."""
    there(path)
    return between(["mount", "--bind", str(path), str(path)], ["umount", "-l", str(path)])


@contextmanager
def folder_of_mounts(path):
    """A folder that cannot be deleted, since something is mounted in it."""
    path.mkdir()
    with mounted(path / "another"):
        yield


@contextmanager
def read_only(path):
    """A folder on a disk that may only be read."""
    folder = str(path.parent)
    with mounted(path.parent):
        refused("mount", "-o", "remount,ro,bind", folder, folder)
        yield


KEPT = (
    ("manifest.json", read_only, 2, "--out must be a directory that can be written; got .*Read-only file system"),
    ("left.tmp-0", immutable, 2, "PATH could not be deleted .*Operation not permitted.* Make it writable"),
    ("manifest.json", immutable, 2, "PATH could not be written .*Operation not permitted.* Make it writable"),
    ("selection.parquet", immutable, 2, "PATH could not be deleted .*Operation not permitted.* Make it writable"),
    ("selection.parquet", mounted, 3, "PATH could not be deleted .*resource busy.* Wait until it is free"),
    ("subset.parquet", folder_of_mounts, 3, "PATH could not be deleted .*resource busy.* Wait until it is free"),
    ("report.json", immutable, 2, "PATH could not be written .*Operation not permitted.* Make it writable"),
)


@pytest.mark.fault
def test_a_file_that_cannot_be_replaced_is_named(runs, tmp_path, capsys):
    out = tmp_path / "out"
    runs.begin(out)
    for name, way, status, said in KEPT:
        with way(out / name):
            assert main(runs.command(out)) == status, name
            errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("subsel: ")]
            assert len(errors) == 1, name
            line = "^subsel: error: " + said.replace("PATH", re.escape(str(out / name)))
            assert re.search(line, errors[0]), errors
    assert main(runs.command(out)) == 0
    assert chosen(out) == runs.ids()
    assert not [path for path in out.rglob("*") if TEMPORARY in path.name]


@pytest.mark.fault
def test_damage_inside_a_part_is_named(tmp_path):
    run = RunDir(str(tmp_path))
    X = np.random.default_rng(0).normal(size=(200, 8)).astype(np.float32)
    store = write_store(run, X, shards=1, partitions=1)
    content = bytearray(run.read_bytes(part_name(0)))
    content[4:200] = b"\xff" * 196  # the footer stays whole, so the file still opens
    run.write_bytes(part_name(0), bytes(content))
    with pytest.raises(InputError, match=r"part-00000\.parquet must be a whole Parquet file"):
        store.read_partition(0)
