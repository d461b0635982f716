"""Remote filesystems that do not answer, or not at once."""

import threading

import pytest
from pyarrow import fs

from ray_subsel.core.errors import InputError, ResourceError
from ray_subsel.storage.filesystems import ATTEMPTS, Patient, open_filesystem, patiently


@pytest.mark.fault
def test_no_answer_is_given_up_and_told():
    said, never = [], threading.Event()
    with pytest.raises(ResourceError, match=r"^s3://\*\*\*@b/x did not answer within 0\.2 s\. Check the network"):
        patiently(never.wait, "s3://key:hush@b/x", limit=0.2, quiet=0.05, say=said.append)
    never.set()
    assert said == ["s3://***@b/x: no answer for 0.05 s; given up after 0.2 s"]


def failing(times, error):
    left = [error] * times

    def call():
        if left:
            raise left.pop()
        return "answer"

    return call


@pytest.mark.fault
def test_a_network_that_fails_is_asked_again_and_told():
    said = []
    broken = OSError("When reading x: AWS Error NETWORK_CONNECTION during HeadObject")
    assert patiently(failing(ATTEMPTS - 1, broken), "s3://b/x", pause=0.0, say=said.append) == "answer"
    assert len(said) == ATTEMPTS - 1
    assert all("NETWORK_CONNECTION" in line and f"of {ATTEMPTS} in" in line for line in said)
    with pytest.raises(ResourceError, match=f"could not be reached in {ATTEMPTS} attempts .*NETWORK_CONNECTION"):
        patiently(failing(ATTEMPTS, broken), "s3://b/x", pause=0.0, say=said.append)


@pytest.mark.parametrize("error", [FileNotFoundError("x"), PermissionError("x"), OSError("AWS Error ACCESS_DENIED")])
def test_what_will_not_pass_is_not_asked_again(error):
    said = []
    with pytest.raises(type(error)):
        patiently(failing(1, error), "s3://b/x", pause=0.0, say=said.append)
    assert said == []


def test_every_call_goes_to_the_filesystem_behind(tmp_path):
    patient = fs.PyFileSystem(Patient(fs.LocalFileSystem(), "disk"))
    root = str(tmp_path)
    patient.create_dir(f"{root}/a/b", recursive=True)
    with patient.open_output_stream(f"{root}/a/b/x") as stream:
        stream.write(b"12345")
    patient.copy_file(f"{root}/a/b/x", f"{root}/a/b/y")
    patient.move(f"{root}/a/b/y", f"{root}/a/z")
    with patient.open_input_file(f"{root}/a/z") as stream:
        stream.seek(2)
        assert stream.read() == b"345"
    with patient.open_input_stream(f"{root}/a/b/x", compression="detect") as stream:
        assert stream.read() == b"12345"
    found = patient.get_file_info(fs.FileSelector(f"{root}/a", recursive=True))
    assert {info.base_name for info in found} == {"b", "x", "z"}
    assert patient.get_file_info(f"{root}/none").type == fs.FileType.NotFound
    patient.delete_file(f"{root}/a/z")
    patient.delete_dir(f"{root}/a")
    assert list(tmp_path.iterdir()) == []


def test_secrets_of_a_uri_that_cannot_be_used_are_not_told():
    with pytest.raises(InputError, match="got 'nope://") as caught:
        open_filesystem("nope://key:hush@x/y")
    assert "hush" not in str(caught.value)


def test_a_relative_path_is_that_of_the_folder_one_is_in_now(tmp_path, monkeypatch):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        assert open_filesystem(".")[1] == str(tmp_path / name)
