"""The run directory: whole files or none."""

import pickle

import pyarrow as pa
import pytest

from ray_subsel.core.errors import InputError
from ray_subsel.storage.filesystems import open_filesystem
from ray_subsel.storage.run_directory import RunDir


@pytest.fixture
def run(tmp_path):
    return RunDir(str(tmp_path / "run"))


def test_a_write_that_fails_leaves_the_old_file_and_no_trace(run):
    run.write_bytes("a/b.bin", b"old")
    with pytest.raises(RuntimeError), run.atomic("a/b.bin") as temporary:
        with run.filesystem.open_output_stream(temporary) as stream:
            stream.write(b"half")
        raise RuntimeError
    assert run.read_bytes("a/b.bin") == b"old"
    assert run.names("a") == ["a/b.bin"]
    assert [info.base_name for info in run.filesystem.get_file_info(pa.fs.FileSelector(run.path("a")))] == ["b.bin"]


def test_what_a_kill_leaves_is_not_listed_and_is_swept(run):
    run.write_bytes("a/part-1.parquet", b"x")
    run.write_bytes("a/part-2.parquet.tmp-abc", b"half")
    assert run.names("a", ".parquet") == ["a/part-1.parquet"]
    run.sweep()
    assert not run.exists("a/part-2.parquet.tmp-abc")
    assert run.exists("a/part-1.parquet")


def test_row_groups_are_the_ones_asked_for_without_the_empty_ones(run):
    run.write_table("t.parquet", pa.table({"id": list(range(6))}), row_groups=[2, 0, 4])
    with run.parquet("t.parquet") as file:
        assert [file.read_row_group(g)["id"].to_pylist() for g in range(file.num_row_groups)] == [[0, 1], [2, 3, 4, 5]]


def test_a_truncated_file_is_named(run):
    run.write_table("t.parquet", pa.table({"id": list(range(6))}))
    content = run.read_bytes("t.parquet")
    run.write_bytes("t.parquet", content[: len(content) // 2])
    with pytest.raises(InputError, match=r"t\.parquet must be a whole Parquet file; .* Delete it"):
        run.read_table("t.parquet")
    with pytest.raises(InputError, match=r"t\.parquet must be a whole Parquet file"), run.parquet("t.parquet"):
        pass


def test_what_cannot_be_read_is_named(run):
    run.write_table("t.parquet", pa.table({"id": list(range(6))}), row_groups=[3, 3])
    with pytest.raises(InputError, match=r"t\.parquet must be a whole Parquet file"), run.parquet("t.parquet") as file:
        file.read_row_group(2)  # the error comes of the block, not of the opening
    for name in ("folder.parquet", "missing.parquet"):
        if name.startswith("folder"):
            run.filesystem.create_dir(run.path(name))
        with pytest.raises(InputError, match=rf"{name} must be a whole Parquet file"):
            run.read_table(name)
        with pytest.raises(InputError, match=rf"{name} must be a whole Parquet file"), run.parquet(name):
            pass
        with pytest.raises(InputError, match=rf"{name} must be JSON; it could not be read"):
            run.read_json(name)


def test_json_is_checked_both_ways(run):
    with pytest.raises(ValueError, match="Out of range float"):
        run.write_json("a.json", {"x": float("nan")})
    assert not run.exists("a.json")
    run.write_bytes("a.json", b"{")
    with pytest.raises(InputError, match=r"a\.json must be JSON"):
        run.read_json("a.json")


def test_an_unknown_filesystem_is_one_line():
    with pytest.raises(InputError, match="path must be a local path or a URI that pyarrow reads; got 'nope://x'"):
        open_filesystem("nope://x")


def test_workers_can_be_sent_one(run):
    assert pickle.loads(pickle.dumps(run)) == run


def test_a_file_uri_is_the_same_directory(run, tmp_path):
    run.write_bytes("x", b"1")
    assert RunDir(f"file://{tmp_path}/run").read_bytes("x") == b"1"


def test_delete_takes_files_folders_and_nothing(run):
    run.write_bytes("a/b", b"1")
    run.delete("a")
    run.delete("a")
    run.write_bytes("c", b"1")
    run.delete("c")
    assert run.names() == []
