import numpy as np
import pytest

from movinglands.sequence import Frame, SurfaceData, write_sequence

RECIPE = 'sentence = "A bowl."\n[film]\nseconds = 3.5\n'


@pytest.fixture(scope="session")
def surface():
    """Three frames of 4 rows and 5 columns, the second one missing, infinity and NaN in it.

    It has all that a surface may have.
    """
    random = np.random.default_rng(0)
    frames = random.normal(size=(3, 4, 5)).astype(np.float32)
    accuracy = random.random((3, 4, 5)).astype(np.float32)
    states = np.array([1, 0, 2], np.uint8)[:, None, None] * np.ones((4, 5), np.uint8)
    frames[0, 1, 2], frames[0, 1, 3], frames[2, 0, 0] = np.nan, np.inf, -np.inf
    return SurfaceData(
        alpha=np.linspace(-1.0, 1.0, 5),
        beta=np.array([-0.7, -0.1, 0.2, 0.9]),
        step=np.array([0, 10, 300]),
        origin=random.normal(size=(3, 2)),
        minimizer=random.normal(size=(3, 3)),
        frame=lambda t: None if t == 1 else Frame(frames[t], states[t], {"accuracy": accuracy[t]}),
        metrics=("accuracy",),
        scalars={"train_loss": random.random(3)},
        paths={"line": random.normal(size=(7, 3)), "curves": random.normal(size=(3, 6, 3))},
        posterior={
            "mean": random.normal(size=2),
            "covariance": np.array([[2.0, 0.5], [0.5, 1.0]]),
            "samples": random.normal(size=(8, 3)),
        },
        attrs={"network": "a bowl", "batch": 8},
    )


@pytest.fixture
def sequence(surface, tmp_path):
    path = tmp_path / "bowl.h5"
    write_sequence(path, "BOWL", RECIPE, {"bowl": surface})
    return path
