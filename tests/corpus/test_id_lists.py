"""What the ids of a file of rows mean: positions in this input, in another, or the user's own."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_subsel.config import CorpusConfig, SelectConfig
from ray_subsel.core.errors import InputError
from ray_subsel.corpus.id_lists import NamedRows, read_id_lists
from ray_subsel.storage.run_directory import RunDir
from tests.corpus.inputs import write

SELECTION = {"rank": [0, 1], "id": [3, 1], "gain": [1.0, 0.5]}


def read(path, own=None, inputs="here", parameter="include"):
    select = SelectConfig(k=1, **{parameter: str(path)}, recipe="none")
    return getattr(read_id_lists(select, CorpusConfig(text=("t",), id=own), inputs), parameter)


def table(folder, columns, settings=None, name="a.parquet"):
    folder.mkdir(exist_ok=True)
    pq.write_table(pa.table(columns), folder / name)
    if settings is not None:
        stages = {"corpus": {"settings": settings}}
        RunDir(str(folder)).write_json("manifest.json", {"schema": 1, "about": {}, "stages": stages})
    return folder / name


@pytest.mark.parametrize("parameter", ["include", "exclude"])
def test_a_selection_of_this_input_names_positions(tmp_path, parameter):
    path = table(tmp_path / "run", SELECTION, {"input": "here", "id": None})
    assert read(path, parameter=parameter) == NamedRows(("3", "1"), own=False)
    assert read(path, "doc", parameter=parameter) == NamedRows(("3", "1"), own=False)


@pytest.mark.parametrize("parameter", ["include", "exclude"])
@pytest.mark.parametrize("own", [None, "doc"])
def test_a_selection_of_another_input_is_refused(tmp_path, parameter, own):
    path = table(tmp_path / "run", SELECTION, {"input": "there", "id": None})
    with pytest.raises(InputError, match=rf"{parameter} must be a selection from this input, .* text file"):
        read(path, own, parameter=parameter)
    subset = table(tmp_path / "run", {"rank": [0], "id": [3], "text": ["a"]}, name="subset.parquet")
    with pytest.raises(InputError, match="must be a selection from this input"):
        read(subset, own, parameter=parameter)


def test_own_ids_go_from_one_input_to_another(tmp_path):
    path = table(tmp_path / "run", SELECTION | {"source_id": ["x", "y"]}, {"input": "there", "id": "doc"})
    assert read(path, "doc") == NamedRows(("x", "y"), own=True)
    with pytest.raises(InputError, match="include must have ids of column key; got .* of --id doc"):
        read(path, "key")
    with pytest.raises(InputError, match="must be a selection from this input"):
        read(path)
    subset = table(tmp_path / "run", {"rank": [0], "row": [7], "id": ["x"]}, name="subset.parquet")
    assert read(subset, "id") == NamedRows(("x",), own=True)


def test_a_selection_without_its_run_tells_nothing(tmp_path):
    with pytest.raises(InputError, match=r"include must lie beside the manifest\.json of its run"):
        read(table(tmp_path / "alone", SELECTION))
    write(tmp_path / "alone" / "manifest.json", '{"of": "something else"}')
    with pytest.raises(InputError, match=r"include must lie beside the manifest\.json of its run"):
        read(tmp_path / "alone" / "a.parquet")


def test_other_tables_and_texts(tmp_path):
    nothing = read_id_lists(SelectConfig(k=1, recipe="none"), CorpusConfig(text=("t",)), "here")
    assert nothing.fingerprints == {"include": None, "exclude": None}
    assert read(table(tmp_path / "t", {"id": [1.0, 2.0]})) == NamedRows(("1", "2"), own=False)
    assert read(table(tmp_path / "t", {"id": ["a", "b"]}), "doc") == NamedRows(("a", "b"), own=True)
    assert read(table(tmp_path / "t", {"id": [1, 2], "doc": ["a", "b"]}), "doc") == NamedRows(("a", "b"), own=True)
    assert read(write(tmp_path / "a.txt", "\ufeff 3\r\n\n4\n")) == NamedRows(("3", "4"), own=False)
    assert read(write(tmp_path / "a.txt", "x\n"), "doc") == NamedRows(("x",), own=True)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"id": ["a", "a"]}, "name a row once; got a twice"),
        ({"id": ["a", None]}, "name a row in each of its rows; got none in row 1"),
        ({"id": pa.array([], pa.int64())}, "name at least one row"),
        ({"x": [1]}, "must include id; got x"),
    ],
)
def test_bad_tables_are_one_line(tmp_path, columns, message):
    with pytest.raises(InputError, match=message):
        read(table(tmp_path / "t", columns))
    with pytest.raises(InputError, match="include must name a file"):
        read(tmp_path / "nowhere.parquet")
    with pytest.raises(InputError, match="include must be a text file"):
        read(write(tmp_path / "bytes.txt", b"\xff\xfe\x00"))
