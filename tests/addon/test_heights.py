"""Heights, against their formulas in float64."""

import numpy as np
import pytest

from addon.heights import SCALES, HeightScale, fit

FORMULAS = {
    "log": np.log,
    "linear": lambda x: x,
    "symlog": lambda x: np.where(x < 0, -1, 1) * np.log(1 + np.abs(x)),
}


@pytest.fixture
def frames():
    random = np.random.default_rng(0)
    return [np.exp(random.normal(size=(6, 5)) * 3).astype(np.float32) for _ in range(4)]


@pytest.mark.parametrize("scale", SCALES)
def test_it_is_the_formula(frames, scale):
    if scale != "log":
        frames = [frame - 2 for frame in frames]
    heights = fit(iter(frames), scale, relief=0.7)
    losses = np.stack(frames).astype(np.float64)
    transformed = FORMULAS[scale](losses)
    low, high = transformed.min(), transformed.max()
    expected = 0.7 * (transformed - low) / (high - low)
    np.testing.assert_allclose(heights(losses), expected, atol=1e-12)
    assert (heights.low, heights.high) == (losses.min(), losses.max())


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize(("low", "high"), [(1e-8, 1e8), (0.1, 0.2), (2.0, 1e30)])
def test_heights_grow_with_losses_from_0_to_the_relief(scale, low, high):
    heights = HeightScale(scale, low, high, relief=2.5)
    inside = heights(np.linspace(low, high, 500))
    assert np.all(np.diff(inside) > 0)
    assert (inside[0], inside[-1]) == (0, 2.5)


@pytest.mark.parametrize("scale", SCALES)
def test_what_lies_outside_is_clamped(scale):
    heights = HeightScale(scale, 1.0, 10.0, relief=3.0)
    found = heights([0.5, -7.0, -np.inf, 11.0, 1e300, np.inf, np.nan])
    assert found.tolist() == [0, 0, 0, 3, 3, 3, 3]


def test_the_scale_passes_over_what_is_not_finite(frames):
    expected = fit(frames, "log", 1.0)
    wild = [np.array([np.nan, np.inf, -np.inf], np.float32), *frames, np.full((2, 2), np.nan)]
    assert fit(wild, "log", 1.0) == expected


def test_any_shape():
    heights = HeightScale("log", 1.0, 10.0, 1.0)
    assert heights(10.0) == 1
    assert heights(np.ones((2, 3, 4), np.float32)).shape == (2, 3, 4)
    assert heights(np.ones(3, np.float32)).dtype == np.float64


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("loss", [1e-6, 2.3, 1e6])
def test_a_flat_land_lies_at_0(scale, loss):
    heights = fit([np.full((3, 3), loss)], scale, 1.0)
    assert not heights(np.full((3, 3), loss)).any()


def test_losses_below_zero_have_no_logarithm(frames):
    frames[2][0, 0] = -1
    with pytest.raises(ValueError, match=r'lowest loss is -1: .* set look\.scale = "symlog"'):
        fit(frames, "log", 1.0)
    assert fit(frames, "symlog", 1.0).low == -1
    frames[2][0, 0] = 0
    with pytest.raises(ValueError, match="lowest loss is 0"):
        fit(frames, "log", 1.0)


@pytest.mark.parametrize("frames", [[], [np.full(3, np.nan)], [np.full(3, np.inf)]])
def test_no_finite_loss_at_all(frames):
    with pytest.raises(ValueError, match="no loss is a finite number"):
        fit(frames, "linear", 1.0)


def test_no_such_scale():
    with pytest.raises(ValueError, match="scale 'cubic': expected one of log, linear, symlog"):
        fit([np.ones(3)], "cubic", 1.0)
