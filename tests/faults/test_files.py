"""Files of a run that are damaged, lost or unreadable: one line that names the file, and a rerun that goes on."""

import errno
import json
import shutil

import pyarrow.parquet as pq
import pytest

from ray_subsel.cli import main
from tests.faults.conftest import chosen

ROWS = "rows/part-00001-00000.parquet"
PART = "embeddings/part-00003.parquet"
CANDIDATES = "candidates/part-00002.parquet"


def truncated(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def a_row_group_less(path):
    with pq.ParquetFile(path) as file:
        schema, groups = file.schema_arrow, [file.read_row_group(at) for at in range(file.num_row_groups)]
    with pq.ParquetWriter(path, schema) as writer:
        for group in groups[:1] + groups[2:] if len(groups) > 1 else [groups[0].slice(1)]:
            writer.write_table(group)


def a_folder(path):
    path.unlink()
    path.mkdir()


def unreadable(path):
    """Return a watch that refuses to open the file, as its permissions would; they do not hold for root."""

    def refuse(event, name):
        if event == "read" and str(path).endswith(f"/{name}"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))

    return refuse


def when_it_is_read(path, damage):
    """Return a watch that damages a file in the middle of a run, once it has been found to be what was written."""
    after = []

    def watch(event, name):
        if event == "read" and str(path).endswith(f"/{name}"):
            if not after:
                after.append(damage(path))
            if after[0] is not None:
                after[0](event, name)

    return watch


@pytest.mark.fault
@pytest.mark.parametrize(
    ("name", "damage", "said"),
    [
        (ROWS, truncated, "must be a whole Parquet file"),
        (ROWS, a_row_group_less, "must hold 200 rows; got 1"),
        (PART, a_row_group_less, "items; got"),
        (PART, a_folder, "must be a whole Parquet file"),
        (PART, unreadable, "must be a whole Parquet file; it could not be read ([Errno 13] Permission denied"),
        (CANDIDATES, truncated, "must be a whole Parquet file"),
        (CANDIDATES, a_row_group_less, "must hold the 30 candidates of 1"),
        (CANDIDATES, a_folder, "must be a whole Parquet file"),
        (CANDIDATES, unreadable, "must be a whole Parquet file; it could not be read ([Errno 13] Permission denied"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_file_that_cannot_be_used_is_named(name, damage, said, runs, tmp_path, capsys):
    out = tmp_path / "out"
    runs.almost(out)
    path = out / name
    assert main(runs.command(out), watch=when_it_is_read(path, damage)) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert len(errors) == 1
    assert errors[0].startswith(f"subsel: error: {path} must ")
    assert said in errors[0]
    assert errors[0].endswith("Delete it and run the same command again.")
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    others = {one: one.stat().st_mtime_ns for one in (out / "embeddings").glob("*.parquet") if one != path}
    assert main(runs.command(out)) == 0
    assert path.is_file()
    assert {one: one.stat().st_mtime_ns for one in others} == others
    assert chosen(out) == runs.ids()


@pytest.mark.fault
@pytest.mark.parametrize("name", [ROWS, PART, "leaders/part-00000.parquet", CANDIDATES])
def test_a_file_that_is_gone_is_made_again(name, runs, tmp_path):
    out = tmp_path / "out"
    flags = ("--near", "0.95") if name.startswith("leaders") else ()
    runs.almost(out, *flags)
    (out / name).unlink()
    (out / name).symlink_to("nowhere")
    assert main(runs.command(out, *flags)) == 0
    assert (out / name).stat().st_size
    assert chosen(out) == runs.ids(*flags)


def empty(path):
    path.write_bytes(b"")


def a_bit_flipped(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def exchanged(path):
    """Another whole Parquet file of the same rows in another order."""
    table = pq.read_table(path)
    pq.write_table(table.take(list(range(table.num_rows))[::-1]), path)


def gone(path):
    path.unlink()


def a_dangling_link(path):
    path.unlink()
    path.symlink_to("nowhere")


DAMAGES = (gone, truncated, empty, a_bit_flipped, exchanged, a_dangling_link, a_folder)
FINISHED = {
    "selection.parquet": DAMAGES,
    "subset.parquet": (a_bit_flipped,),
    "rejected.parquet": (gone,),
    ROWS: (exchanged, a_folder),
    PART: (gone, a_bit_flipped),
    "leaders/part-00000.parquet": (truncated,),
}


@pytest.mark.fault
@pytest.mark.parametrize("name", FINISHED)
def test_a_finished_file_that_differs_is_made_again(name, runs, tmp_path, capsys):
    out, flags = tmp_path / "out", ("--near", "0.95")
    runs.begin(out)
    assert main(runs.command(out, *flags)) == 0
    by = "rank" if name[:3] in ("sel", "sub") else "row" if name.startswith("rej") else "id"
    whole = pq.read_table(out / name).sort_by(by)
    for damage in FINISHED[name]:
        damage(out / name)
        capsys.readouterr()
        if "/" not in name:
            assert main(["report", str(out)]) == 2, damage.__name__
            said = capsys.readouterr().err
            assert f"subsel: error: {out / name} " in said
            assert "Run this again, which makes it anew: subsel select" in said
        assert main(runs.command(out, *flags)) == 0, damage.__name__
        assert f": {name} " in (said := capsys.readouterr().err)
        assert "made again" in said
        assert pq.read_table(out / name).sort_by(by) == whole, damage.__name__
        assert chosen(out) == runs.ids(*flags)
        assert main(runs.command(out, *flags)) == 0
        assert "select: as before" in capsys.readouterr().err


def test_a_directory_that_was_never_sealed_is_taken_as_it_is_and_sealed(runs, tmp_path, capsys):
    out = tmp_path / "out"
    runs.begin(out)
    assert main(runs.command(out)) == 0
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["stages"]["select"]["outputs"]
    for stage in manifest["stages"].values():
        stage.pop("outputs")
    (out / "manifest.json").write_text(json.dumps(manifest))
    capsys.readouterr()
    assert main(runs.command(out)) == 0
    assert "select: as before" in capsys.readouterr().err
    manifest = json.loads((out / "manifest.json").read_text())
    assert set(manifest["stages"]["select"]["outputs"]) >= {"selection.parquet", "subset.parquet"}
