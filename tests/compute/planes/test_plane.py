"""Directions and the plane they span, against the formula in numpy."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call

from movinglands.errors import UserError
from movinglands.planes.plane import Plane
from movinglands.planes.random import gaussian, normalise, random_plane
from movinglands.planes.weights import flatten, unflatten, weights_of

SHAPES = {"conv": (6, 3, 3, 3), "conv1d": (5, 4, 3), "linear": (7, 9), "bias": (7,), "gain": ()}

LAYERS = {
    "linear": nn.Linear(5, 4),
    "bilinear": nn.Bilinear(3, 4, 5),
    "conv1d": nn.Conv1d(4, 6, 3),
    "conv2d": nn.Conv2d(4, 6, 3, groups=2),
    "conv3d": nn.Conv3d(2, 3, 2),
    "transposed1d": nn.ConvTranspose1d(4, 6, 3),
    "transposed2d": nn.ConvTranspose2d(4, 6, 3),
    "transposed3d": nn.ConvTranspose3d(2, 3, 2),
    "embedding": nn.Embedding(7, 4, padding_idx=0),
    "embedding bag": nn.EmbeddingBag(7, 4),
    "rnn": nn.RNN(3, 4),
    "lstm": nn.LSTM(3, 4, num_layers=2, bidirectional=True, proj_size=2),
    "gru": nn.GRU(3, 4),
    "attention": nn.MultiheadAttention(6, 2, add_bias_kv=True),
    "attention of two widths": nn.MultiheadAttention(6, 2, kdim=4, vdim=5),
    "batch norm": nn.BatchNorm2d(4),
    "instance norm": nn.InstanceNorm1d(4, affine=True),
    "group norm": nn.GroupNorm(2, 4),
    "layer norm": nn.LayerNorm(4),
    "layer norm of two dimensions": nn.LayerNorm((3, 4)),
    "prelu": nn.PReLU(4),
    "weight norm": nn.utils.parametrizations.weight_norm(nn.Linear(5, 4)),
    "empty": nn.Embedding(0, 4),
    "empty, the other way": nn.Embedding(4, 0),
}


@pytest.fixture
def weights():
    return gaussian(
        {k: torch.empty(s) for k, s in SHAPES.items()}, torch.Generator().manual_seed(1)
    )


@pytest.fixture
def direction(weights):
    return gaussian(weights, torch.Generator().manual_seed(2))


@pytest.fixture
def plane(weights):
    """One whose axes are far from orthogonal, and move everything."""
    drawn = random_plane(weights, seed=3, one_dimensional="weights")
    v = {name: 0.8 * drawn.u[name] + 3 * drawn.v[name] for name in SHAPES}
    return Plane(weights, drawn.u, v)


def float64(tensors):
    return {
        name: t.detach().to(torch.promote_types(t.dtype, torch.float64)).numpy()
        for name, t in tensors.items()
    }


def joined(tensors):
    return np.concatenate([values.ravel() for values in float64(tensors).values()])


def by_filter(d, w):
    scaled = np.empty_like(d)
    for f in range(len(d)):
        scaled[f] = d[f] * np.sqrt((abs(w[f]) ** 2).sum())
        scaled[f] /= np.sqrt((abs(d[f]) ** 2).sum()) + 1e-10
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


@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_it_is_the_formula_for_every_layer(layer):
    weights = {**weights_of(layer), "a matrix": torch.ones(2, 2)}
    direction = gaussian(weights, torch.Generator().manual_seed(5))
    plane = random_plane(weights, seed=5)
    d, w = float64(direction), float64(weights)
    for name, found in float64(plane.u).items():
        expected = by_filter(d[name], w[name]) if w[name].ndim > 1 else np.zeros(w[name].shape)
        np.testing.assert_allclose(found, expected, rtol=1e-5, err_msg=name)


@pytest.mark.parametrize("precision", [torch.float16, torch.bfloat16])
def test_the_formula_in_half_precision(precision):
    w = 1e3 * torch.ones(2, 500, 20)  # whose squares no half has room for
    w[1] = 0
    weights = {"w": w.to(precision)}
    direction = gaussian(weights, torch.Generator().manual_seed(1))
    found = normalise(direction, weights)["w"]
    assert found.dtype == precision
    expected = by_filter(*(float64(x)["w"] for x in (direction, weights)))
    np.testing.assert_allclose(float64({"w": found})["w"], expected, rtol=2e-2)


def test_the_formula_for_complex_weights():
    weights = {"w": torch.randn(3, 4, dtype=torch.complex64)}
    direction = gaussian(weights, torch.Generator().manual_seed(1))
    assert direction["w"].imag.std() > 0.3
    expected = by_filter(*(float64(x)["w"] for x in (direction, weights)))
    np.testing.assert_allclose(normalise(direction, weights)["w"], expected, rtol=1e-5)


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
    before = torch.get_rng_state()
    plane, again = (random_plane(weights, seed=9) for _ in range(2))
    other = random_plane(weights, seed=10)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(flatten(plane.u), flatten(again.u))
    assert torch.equal(flatten(plane.v), flatten(again.v))
    assert not torch.equal(other.u["conv"], plane.u["conv"])
    generator = torch.Generator().manual_seed(9)
    x, y = gaussian(weights, generator), gaussian(weights, generator)
    assert torch.equal(plane.u["conv"], normalise(x, weights)["conv"])
    assert torch.equal(plane.v["conv"], normalise(y, weights)["conv"])


def test_a_seed_is_the_same_plane_in_every_release():
    plane = random_plane({"w": torch.zeros(2, 3)}, seed=3, how="none")
    u = [[0.8033, 0.1748, 0.0890], [-0.6137, 0.0462, -1.3683]]
    v = [[0.3375, 1.0111, -1.4352], [0.9774, 0.5220, 1.2379]]
    np.testing.assert_allclose(plane.u["w"], u, atol=1e-4)
    np.testing.assert_allclose(plane.v["w"], v, atol=1e-4)


def test_a_random_plane_says_how_it_was_made(weights):
    assert random_plane(weights, 3).attrs == {
        "directions": "random Gaussian, seed 3",
        "normalisation": "filter, of the final weights; one-dimensional: ignore",
        "seed": 3,
    }
    assert random_plane(weights, 3, "none").attrs["normalisation"] == "none"


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"how": "filters"}, "normalisation = 'filters': expected one of filter, layer, none"),
        ({"one_dimensional": "zero"}, "one_dimensional = 'zero': expected one of ignore, weights"),
    ],
)
def test_settings_that_are_none(weights, settings, sentence):
    with pytest.raises(UserError, match=sentence):
        random_plane(weights, 0, **settings)


def test_a_network_without_matrices():
    weights = {"gain": torch.ones(4)}
    with pytest.raises(UserError, match="no parameter of two dimensions or more"):
        random_plane(weights, 0)
    assert random_plane(weights, 0, "none").u["gain"].all()


def test_buffers_and_integers_are_no_weights():
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    network.register_parameter("table", nn.Parameter(torch.arange(3), requires_grad=False))
    weights = weights_of(network)
    assert list(weights) == ["0.weight", "0.bias", "1.weight", "1.bias"]
    weights["0.weight"] += 1
    assert not torch.equal(weights["0.weight"], network[0].weight)
    assert not weights["0.weight"].requires_grad


def test_tied_weights_move_together():
    network = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False))
    network[1].weight = network[0].weight
    plane = random_plane(weights_of(network), seed=0)
    assert list(plane.u) == ["0.weight"]
    x, w = torch.ones(3), plane.at(0.5, -2)["0.weight"]
    moved = functional_call(network, plane.at(0.5, -2), (x,))
    torch.testing.assert_close(moved, w @ (w @ x))


def test_a_point_of_the_plane(plane):
    alpha, beta = 0.37, -1.9
    expected = joined(plane.origin) + alpha * joined(plane.u) + beta * joined(plane.v)
    np.testing.assert_allclose(joined(plane.at(alpha, beta)), expected, rtol=1e-5, atol=1e-6)
    assert torch.equal(flatten(plane.at(0, 0)), flatten(plane.origin))


def test_projection_on_axes_that_are_not_orthogonal(plane):
    point = plane.to(dtype=torch.float64).at(0.37, -1.9)
    np.testing.assert_allclose(plane.project(point), (0.37, -1.9), rtol=1e-9)
    assert plane.project(plane.origin) == (0, 0)


def test_projection_of_a_point_outside_is_least_squares(weights):
    plane = random_plane(weights, seed=3, one_dimensional="weights")
    point = gaussian(weights, torch.Generator().manual_seed(4))
    axes = np.stack([joined(plane.u), joined(plane.v)], axis=1)
    expected, *_ = np.linalg.lstsq(axes, joined(point) - joined(weights), rcond=None)
    np.testing.assert_allclose(plane.project(point), expected, rtol=1e-9)


def test_projection_of_complex_weights():
    weights = {"a": torch.randn(3), "w": torch.randn(3, 4, dtype=torch.complex128)}
    plane = random_plane(weights, 0, "none")
    np.testing.assert_allclose(plane.project(plane.at(0.3, 2)), (0.3, 2), rtol=1e-6)


@pytest.mark.parametrize("factor", [0, 1, -2.5, float("nan")])
def test_axes_that_are_dependent_tell_no_coordinates(weights, factor):
    u = random_plane(weights, 0).u
    plane = Plane(weights, u, {name: factor * d for name, d in u.items()})
    with pytest.raises(UserError, match="linearly dependent"):
        plane.project(weights)


def without(weights, name):
    return {key: w for key, w in weights.items() if key != name}


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (lambda d: without(d, "bias"), "bias is missing"),
        (lambda d: {**d, "b": d["bias"]}, "the network has no parameter b"),
        (lambda d: {**d, "bias": torch.ones(8)}, r"bias is of shape \(8,\), expected \(7,\)"),
    ],
)
def test_what_does_not_fit(weights, direction, fault, sentence):
    with pytest.raises(UserError, match=f"direction u: {sentence}"):
        Plane(weights, fault(direction), direction)
    with pytest.raises(UserError, match=f"direction v: {sentence}"):
        Plane(weights, direction, fault(direction))
    with pytest.raises(UserError, match=f"The point to project: {sentence}"):
        random_plane(weights, 0).project(fault(weights))


def test_integers_span_no_plane():
    weights = {"table": torch.arange(4)}
    with pytest.raises(UserError, match="table is torch"):
        Plane(weights, weights, weights)


def test_another_precision(plane):
    moved = plane.to("cpu", torch.float64)
    assert {w.dtype for part in (moved.origin, moved.u, moved.v) for w in part.values()} == {
        torch.float64
    }
    np.testing.assert_array_equal(joined(moved.v), joined(plane.v))
    complex_plane = random_plane({"w": torch.randn(2, 2, dtype=torch.complex64)}, 0)
    assert complex_plane.to(dtype=torch.float64).u["w"].dtype == torch.complex128


def test_one_vector_and_back():
    weights = {
        "odd": torch.randn(3, dtype=torch.float64),
        "complex": torch.randn(2, 2, dtype=torch.complex64),
        "gain": torch.randn(()),
        "none": torch.randn(0, 3),
    }
    vector = flatten(weights)
    assert vector.shape == (3 + 8 + 1,)
    back = unflatten(vector, weights)
    for name, w in weights.items():
        assert back[name].dtype == w.dtype
        assert torch.equal(back[name], w)


def test_a_plane_saved_is_the_same_plane(plane, tmp_path):
    made = Plane(plane.origin, plane.u, plane.v, {"directions": "by hand", "seed": 3})
    made.save(tmp_path / "plane.pt")
    found = Plane.load(tmp_path / "plane.pt")
    assert found.attrs == made.attrs
    for part in ("origin", "u", "v"):
        assert torch.equal(flatten(getattr(found, part)), flatten(getattr(made, part)))
