import pytest
import torch

# The networks here are so small that threads only wait for one another.
torch.set_num_threads(1)

TINY = """
title = "TINY"
sentence = "Nothing to see."

[network]
width = 2
depth = 2

[training]
steps = 6
snapshots = 3

[surface]
resolution = 7
"""


@pytest.fixture(scope="session")
def tiny_file(tmp_path_factory):
    """A recipe that takes no time."""
    path = tmp_path_factory.mktemp("recipes") / "tiny.toml"
    path.write_text(TINY)
    return path


@pytest.fixture(scope="session")
def tiny(tiny_file):
    from movinglands.pieces.recipe import load_recipe

    return load_recipe(tiny_file)


@pytest.fixture(scope="session")
def sequence(tiny, tmp_path_factory):
    """What becomes of it; tests that change the file copy it first."""
    from movinglands.pieces.compute import compute

    path = tmp_path_factory.mktemp("sequences") / "tiny.h5"
    assert compute(tiny, path, "cpu")
    return path


@pytest.fixture(scope="session")
def digits():
    from movinglands.data.digits import Digits
    from movinglands.data.load import load

    return load(Digits())
