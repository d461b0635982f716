"""Stories that the tests of experiments learn from."""

import pytest

from ray_subsel.synthetic.stories import write_stories


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder with train.csv of 40 stories and test.csv of 20."""
    folder = tmp_path_factory.mktemp("stories")
    for name, n, seed in (("train", 40, 0), ("test", 20, 1)):
        write_stories(str(folder / f"{name}.csv"), n, seed)
    return folder
