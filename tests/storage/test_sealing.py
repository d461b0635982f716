"""Seals tell every change of a file."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_subsel.storage.run_directory import BEGUN, TEMPORARY, RunDir
from ray_subsel.storage.sealing import changed, seals_of


@pytest.fixture
def run(tmp_path):
    run = RunDir(str(tmp_path))
    for number in range(6):
        run.write_bytes(f"parts/{number}", bytes([number]) * 100)
    run.write_bytes("result", b"result")
    run.write_bytes("other", b"of another stage")
    (tmp_path / f"parts/7{BEGUN}").write_bytes(b"1")
    (tmp_path / f"parts/8{TEMPORARY}abc").write_bytes(b"1")
    return run


def test_what_is_sealed_is_the_finished_files_of_the_outputs(run):
    seals = seals_of(run, ("parts", "result", "none"))
    assert sorted(seals) == [*(f"parts/{number}" for number in range(6)), "result"]
    assert changed(run, seals) == {}
    run.write_bytes("other", b"changed")
    run.write_bytes("parts/9", b"added")
    assert changed(run, seals) == {}


def test_each_change_is_told(run, tmp_path):
    seals = seals_of(run, ("parts", "result"))
    run.delete("parts/0")
    run.write_bytes("parts/1", b"short")
    run.write_bytes("parts/2", b"\3" + b"\2" * 99)
    (tmp_path / "parts/3").unlink()
    (tmp_path / "parts/3").symlink_to("nowhere")
    (tmp_path / "parts/4").unlink()
    (tmp_path / "parts/4").mkdir()
    assert changed(run, seals) == {
        "parts/0": "is gone",
        "parts/1": "has 5 bytes and had 100",
        "parts/2": "has other content than was written",
        "parts/3": "is gone",
        "parts/4": "is gone",
    }


@given(st.binary(min_size=1, max_size=200), st.data())
def test_no_flipped_bit_goes_unseen(tmp_path_factory, content, data):
    run = RunDir(str(tmp_path_factory.mktemp("bits")))
    run.write_bytes("a", content)
    seals = seals_of(run, ("a",))
    at, bit = data.draw(st.integers(0, len(content) - 1)), data.draw(st.integers(0, 7))
    flipped = bytearray(content)
    flipped[at] ^= 1 << bit
    run.write_bytes("a", bytes(flipped))
    assert list(changed(run, seals)) == ["a"]
