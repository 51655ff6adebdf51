"""Camera paths: how smooth they are, and that what is measured is so."""

import numpy as np
import pytest

from addon.camera.motion import Motion, measure
from addon.splines import ease, fit_spline

TIMES = np.linspace(1, 97, 97)


def path(t):
    return 3 + np.sin(t / 17) + 0.01 * t


def derivative(f, t, order, h):
    """Central differences of the first or second order."""
    if order == 1:
        return (f(t + h) - f(t - h)) / (2 * h)
    return (f(t + h) - 2 * f(t) + f(t - h)) / h**2


@pytest.mark.parametrize("knots", [2, 3, 6, 11])
def test_a_spline_holds_its_ends_without_slope(knots):
    spline = fit_spline(TIMES, path(TIMES), knots)
    assert len(spline.times) == len(spline.values) == len(spline.slopes) == knots
    np.testing.assert_allclose(spline(TIMES[[0, -1]]), path(TIMES[[0, -1]]), rtol=1e-12)
    np.testing.assert_allclose(spline.slopes[[0, -1]], 0, atol=1e-12)
    np.testing.assert_allclose(spline([-50, 1, 97, 500]), path(TIMES[[0, 0, -1, -1]]), rtol=1e-12)


@pytest.mark.parametrize("knots", [4, 7, 12])
def test_a_spline_is_smooth_to_its_second_derivative(knots):
    spline = fit_spline(TIMES, path(TIMES), knots)
    h, inner = 1e-3, spline.times[1:-1]
    for order, tolerance in ((1, 1e-4), (2, 1e-5)):
        before, after = (derivative(spline, inner + side, order, h) for side in (-2 * h, 2 * h))
        np.testing.assert_allclose(before, after, atol=tolerance)
    np.testing.assert_allclose(derivative(spline, inner, 1, h), spline.slopes[1:-1], atol=1e-6)


def test_between_knots_it_is_one_cubic():
    spline = fit_spline(TIMES, path(TIMES), 5)
    t = np.linspace(spline.times[1], spline.times[2], 9)
    np.testing.assert_allclose(np.diff(spline(t), n=4), 0, atol=1e-12)


def test_a_fit_to_a_spline_is_that_spline():
    spline = fit_spline(TIMES, path(TIMES), 6)
    again = fit_spline(TIMES, spline(TIMES), 6)
    np.testing.assert_allclose(again.values, spline.values, rtol=1e-10)
    np.testing.assert_allclose(again.slopes, spline.slopes, atol=1e-10)


def test_more_knots_come_closer():
    def error(knots):
        t = np.linspace(30, 70, 41)
        return np.abs(fit_spline(TIMES, path(TIMES), knots)(t) - path(t)).max()

    assert error(20) < error(8) < error(4)
    assert error(20) < 2e-3


@pytest.mark.parametrize("knots", [0, 1, 2])
def test_there_are_two_knots_at_least(knots):
    assert len(fit_spline(TIMES, path(TIMES), knots).times) == 2


def test_there_are_never_more_knots_than_samples():
    spline = fit_spline([1, 2, 4], [0.0, 5.0, 1.0], 50)
    assert len(spline.times) == 3
    assert (spline(1), spline(4)) == (0, 1)


def test_easing():
    spline = ease([10, 20, 50], -2, 4)
    np.testing.assert_allclose(spline([10, 30, 50]), [-2, 1, 4], atol=1e-9)
    values = spline(np.linspace(10, 50, 401))
    assert np.all(np.diff(values) > -1e-9)
    assert (values.min(), values.max()) == (pytest.approx(-2), pytest.approx(4))
    still = ease([10, 50], 3, 3)
    np.testing.assert_allclose(still(np.linspace(0, 60, 30)), 3, rtol=1e-12)


FPS, WIDTH = 48.0, 4.0
SECONDS = np.arange(0, 5, 1 / FPS)


def along_x(x):
    return np.column_stack([x, np.zeros_like(x), np.zeros_like(x)])


AHEAD = along_x(np.ones_like(SECONDS))


def test_a_circle():
    """Radius r, w radians a second: speed r w, acceleration r w^2, jerk r w^3, turn w."""
    r, w = 3.0, 0.4
    angle = w * SECONDS
    out = np.column_stack([np.cos(angle), np.sin(angle), np.zeros_like(angle)])
    motion = measure(r * out, -out, FPS, WIDTH)
    assert motion.speed == pytest.approx(r * w / WIDTH, rel=1e-3)
    assert motion.acceleration == pytest.approx(r * w**2 / WIDTH, rel=1e-3)
    assert motion.jerk == pytest.approx(r * w**3 / WIDTH, rel=1e-3)
    assert motion.turn == pytest.approx(np.degrees(w), rel=1e-6)


def test_constant_acceleration():
    motion = measure(along_x(0.5 * 0.6 * SECONDS**2), AHEAD, FPS, WIDTH)
    assert motion.acceleration == pytest.approx(0.6 / WIDTH)
    assert motion.speed == pytest.approx(0.6 * SECONDS[-1] / WIDTH, rel=1e-2)
    assert motion.jerk == pytest.approx(0, abs=1e-6)
    assert motion.turn == 0


def test_constant_jerk():
    motion = measure(along_x(SECONDS**3 / 6 * 0.9), AHEAD, FPS, WIDTH)
    assert motion.jerk == pytest.approx(0.9 / WIDTH, rel=1e-6)


def test_small_and_large_turns():
    for degrees in (1e-7, 0.01, 30, 179):
        angle = np.radians(degrees / FPS) * np.arange(3)
        forwards = np.column_stack([np.cos(angle), np.sin(angle), np.zeros(3)])
        motion = measure(np.zeros((3, 3)), forwards, FPS, WIDTH)
        assert motion.turn == pytest.approx(degrees, rel=1e-6)


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_hardly_any_frames(frames):
    motion = measure(along_x(np.arange(frames) * 0.1), AHEAD[:frames], 10, 1)
    assert motion.speed == pytest.approx(1.0 if frames > 1 else 0.0)
    assert motion.jerk == 0


def test_faults_are_what_is_out_of_bounds():
    assert Motion(0.1, 0.05, 0.1, 12).faults() == []
    faults = Motion(0.2, 0.01, 0.5, 20).faults()
    assert [fault.split()[0] for fault in faults] == ["speed", "jerk", "turn"]
    assert faults[0] == "speed 0.2 > 0.1"
