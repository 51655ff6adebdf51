"""Directions, against the formula in numpy."""

import numpy as np
import pytest
import torch

from movinglands.directions import gaussian, normalise, project, random_plane

SHAPES = {"conv": (6, 3, 3, 3), "conv1d": (5, 4, 3), "linear": (7, 9), "bias": (7,), "gain": ()}


@pytest.fixture
def weights():
    return gaussian(
        {k: torch.empty(s) for k, s in SHAPES.items()}, torch.Generator().manual_seed(1)
    )


@pytest.fixture
def direction(weights):
    return gaussian(weights, torch.Generator().manual_seed(2))


def float64(tensors):
    return {name: t.double().numpy() for name, t in tensors.items()}


def by_filter(d, w):
    scaled = np.empty_like(d)
    for f in range(len(d)):
        scaled[f] = d[f] * np.sqrt((w[f] ** 2).sum()) / (np.sqrt((d[f] ** 2).sum()) + 1e-10)
    return scaled


def by_layer(d, w):
    return d * np.sqrt((w**2).sum()) / (np.sqrt((d**2).sum()) + 1e-10)


@pytest.mark.parametrize(("how", "formula"), [("filter", by_filter), ("layer", by_layer)])
@pytest.mark.parametrize("one_dimensional", ["ignore", "weights"])
def test_it_is_the_formula(weights, direction, how, formula, one_dimensional):
    found = float64(normalise(direction, weights, how, one_dimensional))
    d, w = float64(direction), float64(weights)
    for name, shape in SHAPES.items():
        if len(shape) > 1:
            expected = formula(d[name], w[name])
        else:
            expected = w[name] if one_dimensional == "weights" else np.zeros(shape)
        np.testing.assert_allclose(found[name], expected, rtol=1e-5, err_msg=name)


def test_none_leaves_everything(weights, direction):
    found = normalise(direction, weights, "none")
    assert all(torch.equal(found[name], direction[name]) for name in SHAPES)


def test_a_filter_of_zeros_stays(weights, direction):
    weights["conv"][2] = 0
    direction["linear"][3] = 0
    found = normalise(direction, weights)
    assert not found["conv"][2].any()
    assert not found["linear"][3].any()


def test_a_copy_is_returned(weights, direction):
    found = normalise(direction, weights, one_dimensional="weights")
    found["bias"] += 1
    assert not torch.equal(found["bias"], weights["bias"])


def test_a_seed_is_a_plane_and_x_is_drawn_first(weights):
    u, v = random_plane(weights, seed=9)
    for again, axis in zip(random_plane(weights, seed=9), (u, v), strict=True):
        assert all(torch.equal(again[name], axis[name]) for name in SHAPES)
    other, _ = random_plane(weights, seed=10)
    assert not torch.equal(other["conv"], u["conv"])
    generator = torch.Generator().manual_seed(9)
    x, y = gaussian(weights, generator), gaussian(weights, generator)
    assert torch.equal(u["conv"], normalise(x, weights)["conv"])
    assert torch.equal(v["conv"], normalise(y, weights)["conv"])


def test_projection_on_axes_that_are_not_orthogonal(weights):
    u, v = random_plane(weights, seed=3, one_dimensional="weights")
    v = {name: 0.8 * u[name] + 3 * v[name] for name in SHAPES}
    alpha, beta = 0.37, -1.9
    point = {n: (weights[n].double() + alpha * u[n] + beta * v[n]) for n in SHAPES}
    found = project(point, weights, u, v)
    np.testing.assert_allclose(found, (alpha, beta), rtol=1e-6)
    assert project(weights, weights, u, v) == (0, 0)


def test_projection_of_a_point_outside_is_least_squares(weights):
    u, v = random_plane(weights, seed=3, one_dimensional="weights")
    point = gaussian(weights, torch.Generator().manual_seed(4))
    a, b, d = (
        np.concatenate([values[name].ravel() for name in SHAPES])
        for values in (
            float64(u),
            float64(v),
            {n: float64(point)[n] - float64(weights)[n] for n in SHAPES},
        )
    )
    gram = np.array([[a @ a, a @ b], [a @ b, b @ b]])
    expected = np.linalg.solve(gram, [a @ d, b @ d])
    np.testing.assert_allclose(project(point, weights, u, v), expected, rtol=1e-6)
