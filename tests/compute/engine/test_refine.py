"""Refinement against surfaces that are known everywhere."""

import numpy as np
import pytest

from movinglands.engine.refine import refine

ROWS, COLS = 145, 97


@pytest.fixture(scope="module")
def plane():
    return np.meshgrid(np.linspace(-1, 1, ROWS), np.linspace(-1, 1, COLS), indexing="ij")


def valley(y, x):
    return 0.01 + (0.6 - x) ** 2 + 3 * (y - x**2) ** 2  # Rosenbrock's, milder


def funnel(y, x):
    return np.sqrt((x - 0.13) ** 2 + (y + 0.21) ** 2 + 1e-3)


def crease(y, x):
    return 1 + np.abs(x + 0.3 * y) + 0.2 * np.maximum(0, y - x)


def network(y, x):
    """A network of ReLUs, normalised over its batch of 8, to the cross entropy."""
    draw = np.random.default_rng(0).normal
    b, a = y.reshape(-1, 1, 1), x.reshape(-1, 1, 1)
    out = np.broadcast_to(draw(size=(8, 12)), (x.size, 8, 12))
    for layer in range(7):
        if layer:
            out = np.maximum((out - out.mean(1, keepdims=True)) / out.std(1, keepdims=True), 0)
        w, u, v = draw(size=(3, 12, 12)) / np.sqrt(12)
        out = out @ (w + 0.1 * (a * u + b * v))
    right = out[:, np.arange(8), np.arange(8)]
    return (np.log(np.exp(out).sum(2)) - right).mean(1).reshape(x.shape)


SURFACES = {"valley": valley, "funnel": funnel, "crease": crease}


def refined(surface, **options):
    """Refine a surface; return what came of it, its true largest error, and the calls."""
    asked = []

    def measure(index):
        asked.append(index)
        return surface.flat[index].astype(np.float32)

    result = refine(measure, *surface.shape, **options)
    index = np.concatenate(asked)
    assert len(np.unique(index)) == len(index), "a point was measured twice"
    measured = np.zeros(surface.shape, bool)
    measured.flat[index] = True
    np.testing.assert_array_equal(result.evaluated, np.where(measured, 1, 2))
    np.testing.assert_array_equal(result.loss[measured], surface[measured].astype(np.float32))
    scale = options.get("scale", "log")
    height = {"log": np.log, "linear": np.asarray}[scale]
    with np.errstate(invalid="ignore"):
        truth, found = height(surface), height(result.loss.astype(float))
    known = np.isfinite(truth)
    error = np.abs(found - truth)[known].max() / max(np.ptp(truth[known]), 1e-9)
    return result, error, [len(part) for part in asked]


@pytest.mark.parametrize("name", SURFACES)
@pytest.mark.parametrize("scale", ["log", "linear"])
@pytest.mark.parametrize("tolerance", [0.01, 0.003])
def test_the_error_stays_near_the_tolerance(plane, name, scale, tolerance):
    surface = SURFACES[name](*plane)
    result, error, calls = refined(surface, scale=scale, tolerance=tolerance)
    assert error <= 2 * tolerance  # a crease between nodes is the worst
    assert result.error <= 1.5 * tolerance
    assert surface.size / sum(calls) > 2.5
    assert len(calls) <= 18  # nine, and as many again after a check that fails


def test_a_network(plane):
    surface = network(*plane)
    result, error, calls = refined(surface, tolerance=0.01)
    assert error <= 0.0125
    assert 0.001 < result.error <= 0.01
    assert surface.size / sum(calls) > 4


def test_a_tip_between_nodes_on_smooth_ground(plane):
    y, x = plane
    _, error, calls = refined(np.hypot(x - 0.2, y - 0.1) + 0.2, tolerance=0.01)
    assert error < 0.01
    assert x.size / sum(calls) > 10


def test_the_check_notices_fur_the_surpluses_let_pass(plane):
    y, x = plane
    fur = np.random.default_rng(0).normal(size=x.shape)
    fine, coarse = (
        refined(1 + x + 2 * y * y + depth * fur, scale="linear", tolerance=0.01)[2]
        for depth in (0.001, 0.008)
    )
    assert sum(fine) < ROWS * COLS / 20  # far below the tolerance
    assert sum(coarse) > 0.95 * ROWS * COLS


def test_a_stricter_tolerance_measures_more(plane):
    surface = funnel(*plane)
    some, more = (refined(surface, tolerance=t)[2] for t in (0.02, 0.0005))
    assert sum(more) > sum(some)


def test_what_cannot_be_interpolated_is_measured(plane):
    fur = np.random.default_rng(0).uniform(0.1, 1, (ROWS, COLS))
    result, error, _ = refined(fur)
    assert (result.evaluated == 1).mean() > 0.95
    assert error < 0.05


def test_half_a_surface_of_fur(plane):
    y, x = plane
    surface = valley(y, x)
    surface[:, COLS // 2 :] *= np.random.default_rng(0).uniform(0.5, 2, (ROWS, COLS - COLS // 2))
    result, _, _ = refined(surface)
    assert (result.evaluated[:, COLS // 2 + 8 :] == 1).mean() > 0.9
    assert (result.evaluated[:, : COLS // 2 - 16] == 1).mean() < 0.6


def test_nothing_is_interpolated_across_what_diverged(plane):
    surface = valley(*plane)
    surface[50:80, 20:60] = np.nan
    surface[100:120, 70:90] = np.inf
    result, error, _ = refined(surface)
    np.testing.assert_array_equal(np.isnan(result.loss), np.isnan(surface))
    np.testing.assert_array_equal(np.isinf(result.loss), np.isinf(surface))
    assert error < 0.02  # the ground beside it is known less well


def test_a_flat_surface_costs_the_coarsest_grid_only(plane):
    result, _, calls = refined(np.full((ROWS, COLS), 2.3), scale="linear")[0:3]
    assert sum(calls) < ROWS * COLS / 20
    np.testing.assert_allclose(result.loss, 2.3, rtol=1e-6)
    assert result.error == 0


@pytest.mark.parametrize("shape", [(2, 2), (3, 50), (7, 2), (13, 13), (40, 5)])
def test_small_grids(shape):
    y, x = np.meshgrid(*(np.linspace(0, 1, n) for n in shape), indexing="ij")
    _, error, _ = refined(1 + x + 2 * y * y, scale="linear")
    assert error < 0.02


def test_a_hint_saves_rounds_and_changes_little(plane):
    y, x = plane
    before = refined(funnel(y, x))[0]
    after = funnel(y + 0.02, x)
    without, _, long = refined(after)
    result, error, short = refined(after, hint=before.evaluated)
    assert len(short) < len(long)
    assert error < 0.0075
    assert (result.evaluated == 1).sum() < 1.5 * (without.evaluated == 1).sum()


def test_the_same_input_gives_the_same_bits(plane):
    one, other = (refined(crease(*plane))[0] for _ in range(2))
    np.testing.assert_array_equal(one.loss, other.loss)
    np.testing.assert_array_equal(one.evaluated, other.evaluated)
    assert one.error == other.error


def test_symlog_takes_negative_losses(plane):
    surface = valley(*plane) - 1
    measure = surface.astype(np.float32).ravel().__getitem__
    result = refine(measure, ROWS, COLS, scale="symlog")
    assert np.abs(result.loss - surface).max() < 0.05
    assert (result.evaluated == 2).any()
