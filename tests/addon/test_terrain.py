"""The land as a camera knows it: heights, clearance, sight."""

import numpy as np
import pytest

from addon.camera.terrain import Terrain, surveying
from addon.sequence.heights import HeightScale
from addon.sequence.reader import open_sequence
from addon.steps import drained

AXIS = np.linspace(-5, 5, 81)
X, Y = np.meshgrid(AXIS, AXIS)
ONE = np.zeros(1)


def terrain(*heights):
    frames = np.arange(1.0, 4)
    return Terrain(
        x=AXIS,
        y=AXIS,
        heights=np.array(heights, np.float32),
        known=np.arange(len(heights), dtype=float),
        frames=frames,
        when=np.linspace(0, len(heights) - 1, 3),
        places=np.zeros((3, 3)),
        learning_rate=np.ones(3),
    )


FLAT = terrain(np.full_like(X, 2.0))
RIDGE = terrain(np.maximum(0.0, 2 - np.abs(X)))


def test_heights_are_interpolated_in_place_and_time():
    slope = terrain(X + 2 * Y, 3 * X)
    x, y = np.array([-5.0, 0.33, 5.0]), np.array([4.9, -2.01, 5.0])
    np.testing.assert_allclose(slope.height(ONE, x, y), x + 2 * y, atol=1e-5)
    halfway = slope.height(np.array([0.5]), x, y)
    np.testing.assert_allclose(halfway, 2 * x + y, atol=1e-5)


def test_there_is_no_height_beyond_the_land():
    assert np.isnan(FLAT.height(ONE, np.array([5.1]), np.array([0.0]))).all()


def test_values_stand_still_before_and_after_the_film():
    values = np.array([[1.0, 0.0], [3.0, 1.0], [2.0, 5.0]])
    found = FLAT.at(np.array([-4.0, 1.5, 99.0]), values)
    np.testing.assert_allclose(found, [[1, 0], [2, 0.5], [2, 5]])


def test_clearance_is_the_shortest_way_to_the_land():
    eyes = np.array([[0.0, 0.0, 2.3], [1.0, 1.0, 1.9], [0.0, 5.3, 2.4], [0.0, 0.0, 9.0]])
    found = FLAT.clearance(np.zeros(4), eyes)
    np.testing.assert_allclose(found, [0.3, 0.1, 0.5, 1.0], atol=5e-3)
    beside = RIDGE.clearance(ONE, np.array([[1.3, 0.0, 1.0]]))  # a slope of 45 degrees
    assert beside[0] == pytest.approx(0.3 / np.sqrt(2), abs=2e-3)


def test_a_ridge_hides_what_is_behind_it():
    eyes = np.array([[4.0, 0.1, 0.5], [4.0, 0.1, 9.0], [-4.0, 0.1, 0.5], [0.0, 0.1, -3.0]])
    targets = np.tile([-3.0, 0.1, 0.0], (4, 1))
    assert RIDGE.hidden(np.zeros(4), eyes, targets).tolist() == [True, False, False, False]


def test_rays_meet_the_land_from_both_sides():
    down, up = np.array([0.0, 0.01, -1.0]), np.array([0.0, 0.01, 1.0])
    from_over = FLAT.hit(0.0, np.array([0, 0, 5.0]), np.array([down, up]), 10)
    from_under = FLAT.hit(0.0, np.array([0, 0, 0.5]), np.array([down, up]), 10)
    np.testing.assert_allclose(from_over, [3, np.nan], atol=0.06)
    np.testing.assert_allclose(from_under, [np.nan, 1.5], atol=0.06)


def test_what_is_buried_in_fur_is_seen_from_over_it():
    places = np.array([[0, 0, 1.9], [1, 1, -2.0], [9, 0, 0.0]])
    assert FLAT.unburied(np.zeros(3), places)[:, 2].tolist() == [1.9, 2, 0]


def test_the_border_lies_on_the_land():
    sides = terrain(X + Y).border(0.0)
    np.testing.assert_allclose(sides[..., 2], sides[..., 0] + sides[..., 1], atol=1e-5)
    assert [side[:, axis].std() for side, axis in zip(sides, (1, 1, 0, 0), strict=True)] == [0] * 4


def test_a_surface_is_surveyed(funnel_file):
    scale = HeightScale("linear", 0.0, 10.0, 10.0)
    frames = np.arange(1.0, 7)
    with open_sequence(funnel_file) as opened:
        surface = opened.surfaces["network"]
        found = drained(surveying(surface, scale, frames, frames - 1, np.zeros((6, 3))))
        loss = surface.loss(2)
    assert found.width == pytest.approx(10)
    looked = found.height(np.array([2.0]), np.zeros(1), np.zeros(1))
    middle = len(loss) // 2
    assert looked[0] == pytest.approx(float(loss[middle, middle]), rel=1e-4)
    assert found.learning_rate.tolist() == [1.0] * 6  # it says nothing of a learning rate
