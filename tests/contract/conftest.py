import numpy as np
import pytest

from movinglands.sequence import SurfaceData, write_sequence

RECIPE = 'sentence = "A bowl."\n[film]\nseconds = 3.5\n'


@pytest.fixture(scope="session")
def surface():
    """Three frames of 4 rows and 5 columns, the second one missing, infinity and NaN in it."""
    random = np.random.default_rng(0)
    frames = random.normal(size=(3, 4, 5)).astype(np.float32)
    frames[0, 1, 2], frames[0, 1, 3], frames[2, 0, 0] = np.nan, np.inf, -np.inf
    return SurfaceData(
        alpha=np.linspace(-1.0, 1.0, 5),
        beta=np.array([-0.7, -0.1, 0.2, 0.9]),
        step=np.array([0, 10, 300]),
        origin=random.normal(size=(3, 2)),
        minimizer=random.normal(size=(3, 3)),
        frame=lambda t: None if t == 1 else frames[t],
        scalars={"train_loss": random.random(3)},
        attrs={"network": "a bowl", "batch": 8},
    )


@pytest.fixture
def sequence(surface, tmp_path):
    path = tmp_path / "bowl.h5"
    write_sequence(path, "BOWL", RECIPE, {"bowl": surface})
    return path
