"""Folders with links that lead in circles, and folders that cannot be read."""

import os

import pytest

from ray_subsel.core.errors import InputError
from ray_subsel.storage.folders import list_folder, matches


@pytest.fixture
def maze(tmp_path):
    """Twelve folders, each with a file and a link to every other: as paths, more than 10^9."""
    root = tmp_path / "maze"
    for number in range(12):
        folder = root / f"d{number}"
        folder.mkdir(parents=True)
        (folder / f"{number}.csv").write_text("x\n")
        for other in range(12):
            (folder / f"to{other}").symlink_to(root / f"d{other}")
    return root


@pytest.mark.fault
def test_loops_of_links_end(maze):
    found = list_folder(str(maze))
    assert [os.path.relpath(path, maze) for path in found.files] == sorted(f"d{n}/{n}.csv" for n in range(12))
    assert len(found.repeated) == 144
    assert matches(f"{maze}/**/*.csv") == found.files
    assert len(matches(f"{maze}/d*/**/*.csv")) == 144, "every folder once from each of twelve"


def test_a_link_out_of_the_folder_is_followed_once(maze, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a").symlink_to(maze / "d3")
    (tmp_path / "data" / "b").symlink_to(maze / "d3")
    found = list_folder(str(tmp_path / "data"))
    assert f"{tmp_path}/data/a/3.csv" in found.files
    assert not [path for path in found.files if path.startswith(f"{tmp_path}/data/b/")]
    assert f"{tmp_path}/data/b" in found.repeated


def test_globs_match_as_those_of_python(tmp_path):
    import glob

    for name in ("a.csv", "s/b.csv", "s/t/c.csv", ".h/d.csv", "s/e.txt", "u[1]/f.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    for pattern in ("*.csv", "**/*.csv", "s/**/*.csv", "**/t/*.csv", "s/**", "no/**/*.csv", "*/*.csv", "**/u*/**/f*"):
        ours = [path for path in matches(f"{tmp_path}/{pattern}") if os.path.isfile(path)]
        theirs = {path for path in glob.glob(f"{tmp_path}/{pattern}", recursive=True) if os.path.isfile(path)}
        if pattern != "s/**":  # ours stands for folders, theirs for files too
            assert ours == sorted(theirs), pattern


@pytest.mark.fault
def test_a_folder_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    (tmp_path / "in" / "locked").mkdir(parents=True)
    real = os.scandir

    def refuse(place):
        if str(place).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(place))
        return real(place)

    monkeypatch.setattr(os, "scandir", refuse)  # permissions do not hold for root
    with pytest.raises(InputError, match=r"in/locked could not be listed \(.*Permission denied.*\)\. Make it readable"):
        list_folder(str(tmp_path / "in"))
