"""Files of others: pipes, devices, and Parquet files that ask for code."""

import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import fs

from ray_subsel.core.errors import InputError
from ray_subsel.storage.opening import check_arrow_schema, check_regular, open_parquet
from ray_subsel.storage.run_directory import RunDir

DISK = fs.LocalFileSystem()


class Loud(pa.ExtensionType):
    """An extension type that notices when a file makes one of it."""

    made = 0

    def __init__(self):
        super().__init__(pa.int64(), "test.loud")

    def __arrow_ext_serialize__(self):
        return b""

    @classmethod
    def __arrow_ext_deserialize__(cls, storage_type, serialized):
        cls.made += 1
        return cls()


@pytest.fixture
def loud(tmp_path):
    pa.register_extension_type(Loud())
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"id": pa.ExtensionArray.from_storage(Loud(), pa.array([1, 2]))}), path)
    Loud.made = 0
    yield path
    pa.unregister_extension_type("test.loud")


@pytest.mark.fault
def test_extension_types_are_refused_before_they_are_decoded(loud):
    with pytest.raises(InputError, match=r"x\.parquet must have plain column types; got columns of extension types"):
        open_parquet(DISK, str(loud), str(loud))
    with pytest.raises(InputError, match="plain column types"), RunDir(str(loud.parent)).parquet(loud.name):
        pass
    assert Loud.made == 0
    pq.ParquetFile(loud)
    assert Loud.made > 0, "the file would have been decoded"


def test_a_plain_file_is_opened(tmp_path):
    pq.write_table(pa.table({"id": [1, 2]}), tmp_path / "x.parquet")
    with open_parquet(DISK, str(tmp_path / "x.parquet"), "x") as file:
        assert file.read().column("id").to_pylist() == [1, 2]


@pytest.mark.fault
def test_pipes_and_devices_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/zero")
    run = RunDir(str(tmp_path))
    for name in ("pipe", "link"):
        with pytest.raises(InputError, match=f"{name} must be a regular file; got a pipe, a device or a socket"):
            check_regular(DISK, str(tmp_path / name), name)
        with pytest.raises(InputError, match="must be a regular file"):
            run.read_bytes(name)
        with pytest.raises(InputError, match="must be a regular file"), run.parquet(name):
            pass


def test_types_that_nobody_has_registered_are_what_they_are_stored_as(tmp_path, loud):
    plain = pa.table({"id": pa.array([1])}, schema=pa.schema([NAMED]))
    pq.write_table(plain, tmp_path / "y.parquet")
    with open_parquet(DISK, str(tmp_path / "y.parquet"), "y") as file:
        assert file.read().column("id").type == pa.int64()
    pq.write_table(pa.table({"id": pa.array([b"0123456789abcdef"], pa.uuid())}), tmp_path / "z.parquet")
    with open_parquet(DISK, str(tmp_path / "z.parquet"), "z") as file:
        assert file.read().num_rows == 1


NAMED = pa.field("id", pa.int64(), metadata={"ARROW:extension:name": "test.nobody", "ARROW:extension:metadata": ""})


@pytest.mark.fault
@pytest.mark.parametrize("stream", [True, False])
def test_arrow_files_are_asked_before_they_are_decoded_too(tmp_path, loud, stream):
    table = pa.table({"id": pa.ExtensionArray.from_storage(Loud(), pa.array([1, 2]))})
    path = str(tmp_path / "x.arrow")
    with (pa.ipc.new_stream if stream else pa.ipc.new_file)(path, table.schema) as writer:
        writer.write_table(table)
    Loud.made = 0
    with DISK.open_input_file(path) as source, pytest.raises(InputError, match="plain column types"):
        check_arrow_schema(source, path)
    assert Loud.made == 0
