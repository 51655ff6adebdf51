"""Heights, against their formulas in float64."""

import numpy as np
import pytest

from addon.sequence.heights import SCALES, HeightScale, fit, fitting

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


@pytest.mark.parametrize("scale", SCALES)
def test_reversed_valleys_become_peaks(scale):
    losses = np.append(np.geomspace(0.5, 11.0, 100), [np.nan, np.inf, -np.inf])
    upright = HeightScale(scale, 1.0, 10.0, relief=3.0)
    heights = HeightScale(scale, 1.0, 10.0, relief=3.0, reverse=True)
    np.testing.assert_allclose(heights(losses) + upright(losses), 3.0, rtol=1e-15)
    assert heights([1.0, 10.0, np.nan]).tolist() == [3, 0, 0]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize(("low", "high"), [(1e-8, 1e8), (1000.0, 1000.1), (2.0, 1e30)])
def test_a_frames_heights_are_right_in_float32(scale, low, high, reverse):
    heights = HeightScale(scale, low, high, 2.4, reverse)
    loss = np.geomspace(low, high, 250_000).astype(np.float32).reshape(500, 500)
    loss[3, :4] = np.nan, np.inf, -np.inf, low / 2
    given = loss.copy()
    found = heights.of_frame(loss)
    values = np.nan_to_num(loss.astype(np.float64), nan=high).clip(low, high)
    low, high, transformed = (FORMULAS[scale](np.float64(x)) for x in (low, high, values))
    part = (transformed - low) / (high - low)
    assert (found.dtype, found.shape) == (np.float32, loss.shape)
    assert np.abs(found - 2.4 * (1 - part if reverse else part)).max() <= 1e-6 * 2.4
    np.testing.assert_array_equal(loss, given)
    np.testing.assert_array_equal(heights.of_frame(loss[::2, ::3]), found[::2, ::3])


@pytest.mark.parametrize("clip", [(0, 98), (2.5, 100), (10, 60)])
def test_what_is_clipped_is_a_percentage_of_all_points(frames, clip):
    frames[1][2, 2] = np.nan
    heights = fit(frames, "log", 1.0, clip)
    losses = np.stack(frames).astype(np.float64)
    expected = np.percentile(losses[np.isfinite(losses)], clip)
    assert (heights.low, heights.high) == pytest.approx(expected)
    clamped = [np.mean(heights(losses) == edge) for edge in (0, 1)]
    assert clamped == pytest.approx([clip[0] / 100, 1 - clip[1] / 100], abs=0.02)


def test_of_large_frames_percentages_are_near_and_ends_exact():
    y, x = np.mgrid[-1:1:400j, -1:1:700j]
    losses = (np.exp(-9 * (x**2 + y**2)) + 0.1 * (x + 2)).astype(np.float32)
    losses[123, 457] = 1e6
    heights = fit([losses], "linear", 1.0, (0, 90))
    assert heights.low == losses.min()
    assert np.mean(losses > heights.high) == pytest.approx(0.1, abs=0.005)


@pytest.mark.parametrize("clip", [(-1, 50), (0, 101), (60, 40), (50, 50), (np.nan, 100)])
def test_a_clip_that_is_none(frames, clip):
    with pytest.raises(ValueError, match="expected two percentages from 0 to 100"):
        fit(frames, "log", 1.0, clip)


def test_a_clip_may_leave_only_positive_losses(frames):
    frames[0][0, 0] = -1
    with pytest.raises(ValueError, match="lowest loss is -1"):
        fit(frames, "log", 1.0)
    assert fit(frames, "log", 1.0, (5, 100)).low > 0


def test_fitting_goes_frame_by_frame(frames):
    steps = fitting(iter(frames), "log", 1.0)
    for _ in frames:
        assert next(steps) is None
    with pytest.raises(StopIteration) as done:
        next(steps)
    assert done.value.value == fit(frames, "log", 1.0)


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
