"""Planes that are found or given, against dense linear algebra in float64."""

import copy
import gc

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call, grad

from movinglands.errors import UserError
from movinglands.evaluation.objective import Objective
from movinglands.pieces.losses import classification
from movinglands.planes.file import given_plane
from movinglands.planes.hessian import hessian_plane
from movinglands.planes.pca import trajectory_plane
from movinglands.planes.random import random_plane
from movinglands.planes.through import plane_through
from movinglands.planes.weights import flatten, unflatten, weights_of
from movinglands.planes.window import half_width

LIKE = {
    "w": torch.zeros(6, 4, dtype=torch.float64),
    "b": torch.zeros(6, dtype=torch.float64),
    "z": torch.zeros(2, dtype=torch.complex128),
}


def weights_from(vector, precision=torch.float64):
    return {
        name: w.to(precision.to_complex() if w.is_complex() else precision)
        for name, w in unflatten(torch.as_tensor(vector), LIKE).items()
    }


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def vectors(plane):
    return [flatten(part).numpy() for part in (plane.u, plane.v)]


def numbers(text):
    return [float(number) for number in text.replace("(", "").replace(")", "").split(",")]


# The trajectory


@pytest.fixture
def trajectory():
    """A training of nine snapshots, most of it along two axes."""
    scales = np.r_[5, 2, np.full(32, 0.1)]
    return [weights_from(row) for row in 3 + normal(1, 9, 34) * scales]


@pytest.mark.parametrize("memory", [2**30, 8 * 34 * 4, 1])
def test_it_is_the_pca_of_the_trajectory(trajectory, memory):
    plane = trajectory_plane(trajectory.__getitem__, 9, memory=memory)
    rows = np.stack([flatten(w) - flatten(trajectory[-1]) for w in trajectory])
    _, singular, axes = np.linalg.svd(rows - rows.mean(0))
    for found, axis in zip(vectors(plane), axes, strict=False):
        farthest = max(rows @ axis, key=abs)
        np.testing.assert_allclose(found, axis * np.sign(farthest), atol=1e-12)
    shares = singular[:2] ** 2 / (singular**2).sum()
    np.testing.assert_allclose(numbers(plane.attrs["explained_variance"]), shares, rtol=1e-5)
    assert plane.attrs["directions"] == "PCA of 9 snapshots"
    assert plane.attrs["normalisation"] == "unit length"
    assert torch.equal(flatten(plane.origin), flatten(trajectory[-1]))


def test_the_projected_trajectory_has_the_variance(trajectory):
    plane = trajectory_plane(trajectory.__getitem__, 9)
    places = np.array([plane.project(w) for w in trajectory])
    assert np.all(places[-1] == 0)
    assert np.all(places.max(0) >= -places.min(0))  # the farthest lie on the positive sides
    assert np.isclose(np.corrcoef(places.T)[0, 1], 0, atol=1e-10)
    reached = half_width(places, margin=0)
    assert np.abs(places).max() == reached


def test_few_snapshots_are_in_memory():
    size, count = 1000, 8

    def numbers_alive():
        return sum(o.numel() for o in gc.get_objects() if type(o) is torch.Tensor)

    gc.collect()
    before, most = numbers_alive(), 0

    def load(t):
        nonlocal most
        if t == count - 1:  # met by every block
            most = max(most, numbers_alive() - before)
        return {"w": torch.from_numpy(normal(t, size))}

    trajectory_plane(load, count, memory=8 * size * 2)
    # The two, and a handful: the origin, the row before, the axes.
    assert 2 * size < most < 8 * size


@pytest.mark.parametrize("precision", [torch.float32, torch.float64])
def test_a_training_along_a_line(precision):
    start, way = normal(2, 34), normal(3, 34)
    line = [weights_from(start + 0.1 * t * way, precision) for t in range(6)]
    with pytest.raises(UserError, match="6 snapshots lie on one line"):
        trajectory_plane(line.__getitem__, 6)
    bent = [*line, weights_from(start + 0.01 * normal(4, 34), precision)]
    assert trajectory_plane(bent.__getitem__, 7).u


@pytest.mark.parametrize("count", [1, 2])
def test_too_short_a_training(trajectory, count):
    with pytest.raises(UserError, match=f"{count} snapshots lie on one line"):
        trajectory_plane(trajectory.__getitem__, count)
    with pytest.raises(UserError, match="9 snapshots lie on one line"):
        trajectory_plane(lambda t: trajectory[t % 2], 9)


def test_a_training_that_diverged(trajectory):
    trajectory[4]["w"][2, 2] = float("inf")
    with pytest.raises(UserError, match="Snapshot 4 has weights that are not finite"):
        trajectory_plane(trajectory.__getitem__, 9)


def test_another_network_on_the_way(trajectory):
    trajectory[2] = {"w": torch.zeros(6, 4)}
    with pytest.raises(UserError, match="Snapshot 2: b is missing"):
        trajectory_plane(trajectory.__getitem__, 9)


def test_axes_as_long_as_the_weights(trajectory):
    unit = trajectory_plane(trajectory.__getitem__, 9)
    long = trajectory_plane(trajectory.__getitem__, 9, length="weights")
    length = np.linalg.norm(flatten(trajectory[-1]))
    for found, axis in zip(vectors(long), vectors(unit), strict=True):
        np.testing.assert_allclose(found, length * axis, rtol=1e-12)
    assert long.attrs["normalisation"] == "length of the origin's weights"
    with pytest.raises(UserError, match="length = 'long': expected one of one, weights"):
        trajectory_plane(trajectory.__getitem__, 9, length="long")


def test_the_axes_are_of_the_weights_precision(trajectory):
    coarse = [weights_from(flatten(w), torch.float32) for w in trajectory]
    plane = trajectory_plane(coarse.__getitem__, 9)
    assert plane.u["w"].dtype == torch.float32
    assert plane.u["z"].dtype == torch.complex64


# Three points


@pytest.fixture
def three():
    return [weights_from(row) for row in normal(5, 3, 34)]


def test_a_plane_through_three_points(three):
    plane = plane_through(*three)
    u, v = vectors(plane)
    np.testing.assert_allclose([u @ u, u @ v, v @ v], [1, 0, 1], atol=1e-14)
    w0, w1, w2 = (flatten(w).numpy() for w in three)
    end, bend = w2 - w0, w1 - w0
    along = bend @ end / np.linalg.norm(end)
    beside = np.sqrt(bend @ bend - along**2)
    places = [(0, 0), (along, beside), (np.linalg.norm(end), 0)]
    np.testing.assert_allclose([plane.project(w) for w in three], places, atol=1e-12)
    for place, weights in zip(places, three, strict=True):
        np.testing.assert_allclose(flatten(plane.at(*place)), flatten(weights), atol=1e-12)
    np.testing.assert_allclose(numbers(plane.attrs["points"]), np.ravel(places), atol=1e-4)
    assert plane.attrs["normalisation"] == "unit length"


def test_coordinates_in_lengths_of_the_weights(three):
    plane = plane_through(*three, length="weights")
    alpha, beta = plane.project(three[2])
    np.testing.assert_allclose(numbers(plane.attrs["points"])[4:], [alpha, beta], atol=1e-5)
    w0, w2 = (flatten(three[i]).numpy() for i in (0, 2))
    assert np.isclose(alpha, np.linalg.norm(w2 - w0) / np.linalg.norm(w0))


@pytest.mark.parametrize("precision", [torch.float32, torch.float64])
@pytest.mark.parametrize("shares", [(0.5, 1), (0, 1), (1, 1), (0.3, 0), (0, 0), (float("nan"), 1)])
def test_three_points_on_a_line(precision, shares):
    start, end = normal(6, 2, 34)
    points = [(1 - t) * start + t * end for t in (0, *shares)]
    with pytest.raises(UserError, match="three points lie on one line"):
        plane_through(*(weights_from(point, precision) for point in points))


def test_three_points_of_other_networks(three):
    with pytest.raises(UserError, match="The plane's third point: b is missing"):
        plane_through(three[0], three[1], {"w": three[2]["w"], "z": three[2]["z"]})


# Curvature


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    parts = [nn.Conv1d(2, 3, 3), nn.BatchNorm1d(3), nn.Tanh(), nn.Flatten(), nn.Linear(12, 4)]
    return nn.Sequential(*parts).double()


@pytest.fixture(scope="module")
def batch():
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(20, 2, 6, generator=generator, dtype=torch.float64)
    return inputs, torch.randint(4, (20,), generator=generator)


@pytest.fixture(scope="module")
def curvature(network, batch):
    """The loss, and the eigenvalues and eigenvectors of its dense Hessian, the largest first.

    By central differences: ``torch.func.hessian`` is wrong for BatchNorm.
    """
    of_weights = Objective(network, classification, [batch]).loss
    weights = weights_of(network)
    gradient = grad(lambda x: of_weights(unflatten(x, weights)))
    at, steps = flatten(weights), 1e-5 * torch.eye(len(flatten(weights)), dtype=torch.float64)
    dense = torch.stack([(gradient(at + s) - gradient(at - s)) / 2e-5 for s in steps])
    values, axes = np.linalg.eigh(dense.numpy())
    return of_weights, values[::-1], axes.T[::-1]


def test_it_is_the_hessian(network, curvature):
    of_weights, values, axes = curvature
    plane = hessian_plane(of_weights, weights_of(network), k=3, tolerance=1e-12)
    for found, axis in zip(vectors(plane), axes, strict=False):
        np.testing.assert_allclose(found, axis * np.sign(found @ axis), atol=1e-7)
        assert max(found, key=abs) > 0
    np.testing.assert_allclose(numbers(plane.attrs["eigenvalues"]), values[:3], rtol=1e-5)
    assert plane.attrs["directions"] == "Hessian, largest eigenvalues, seed 0"


def test_the_hessian_in_float32(network, batch, curvature):
    _, values, axes = curvature
    single = copy.deepcopy(network).float()
    of_weights = Objective(single, classification, [(batch[0].float(), batch[1])]).loss
    plane = hessian_plane(of_weights, weights_of(single))
    assert plane.u["0.weight"].dtype == torch.float32
    for found, axis in zip(vectors(plane), axes, strict=False):
        assert abs(found @ axis) > 1 - 1e-5
    np.testing.assert_allclose(numbers(plane.attrs["eigenvalues"]), values[:2], rtol=1e-3)


def quadratic(curvatures):
    """Return half the sum of squares with these factors, and where to begin."""
    factors = torch.tensor(curvatures, dtype=torch.float64)
    return (lambda weights: (factors * weights["w"] ** 2).sum() / 2), {
        "w": torch.ones_like(factors)
    }


def test_leading_is_the_largest_not_the_strongest():
    of_weights, weights = quadratic([-9.0, 3.0, 1.0, 5.0, -7.0])
    plane = hessian_plane(of_weights, weights, tolerance=1e-12)
    np.testing.assert_allclose(plane.u["w"], [0, 0, 0, 1, 0], atol=1e-9)
    np.testing.assert_allclose(plane.v["w"], [0, 1, 0, 0, 0], atol=1e-9)
    assert plane.attrs["eigenvalues"] == "5, 3"


def test_a_seed_is_the_same_hessian_plane(network, curvature):
    before = torch.get_rng_state()
    planes = [
        hessian_plane(curvature[0], weights_of(network), seed=s, tolerance=1e-3) for s in (4, 4, 5)
    ]
    assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_allclose(vectors(planes[0]), vectors(planes[1]), atol=1e-12)
    assert not np.allclose(vectors(planes[0]), vectors(planes[2]), atol=1e-12)


class Graph:
    """There as long as the graph of a loss is."""

    now = most = 0

    def __init__(self):
        Graph.now += 1
        Graph.most = max(Graph.most, Graph.now)

    def __del__(self):
        Graph.now -= 1


class Counted(torch.autograd.Function):
    """What it is given, with a Graph in the graph."""

    @staticmethod
    def forward(ctx, x):
        ctx.graph = Graph()
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient


def test_batch_by_batch_it_is_the_same_hessian_in_the_memory_of_one(network):
    generator, weights = torch.Generator().manual_seed(2), weights_of(network)
    inputs = torch.randn(6, 50, 2, 6, generator=generator, dtype=torch.float64)
    losses = [
        Objective(network, classification, [(some, torch.arange(50) % 4)]).loss for some in inputs
    ]

    def plane(of_weights):
        Graph.most = 0
        found = hessian_plane(of_weights, weights, tolerance=1e-10)
        assert Graph.now == 0
        return found, Graph.most

    whole, graphs = plane(lambda w: sum(Counted.apply(loss(w)) for loss in losses))
    assert graphs == 6
    found, graphs = plane(lambda w: (Counted.apply(loss(w)) for loss in losses))
    assert graphs == 1
    in_a_list, _ = plane(lambda w: [loss(w) for loss in losses])
    for other in (found, in_a_list):
        np.testing.assert_allclose(vectors(other), vectors(whole), atol=1e-7)
        assert other.attrs == whole.attrs


def test_a_term_without_curvature_adds_none():
    of_weights, weights = quadratic([1.0, 2.0, 3.0, 4.0, 5.0])
    terms = (lambda w: [of_weights(w), w["w"].sum(), torch.ones(())]), of_weights
    planes = [hessian_plane(loss, weights, tolerance=1e-12) for loss in terms]
    np.testing.assert_allclose(vectors(planes[0]), vectors(planes[1]), atol=1e-9)


def test_under_no_grad_and_without_a_trace(network, batch):
    of_weights = Objective(network, classification, [batch]).loss
    before = weights_of(network)
    with torch.no_grad():
        hessian_plane(of_weights, before)
    assert all(p.grad is None for p in network.parameters())
    assert torch.equal(flatten(before), flatten(weights_of(network)))


def test_attention_has_curvature():
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0).double()
    x = torch.randn(5, 3, 8, dtype=torch.float64)

    def of_weights(weights):
        return functional_call(layer, weights, (x,)).pow(3).mean()

    plane = hessian_plane(of_weights, weights_of(layer), tolerance=1e-8)
    start, step = flatten(plane.origin), 1e-3
    at = [
        of_weights(unflatten(start + s * flatten(plane.u), plane.origin)) for s in (-step, 0, step)
    ]
    measured = (at[0] - 2 * at[1] + at[2]) / step**2
    assert np.isclose(measured.item(), numbers(plane.attrs["eigenvalues"])[0], rtol=1e-3)


def test_what_does_not_converge(network, curvature):
    with pytest.raises(UserError, match="did not converge to 1e-15 in 1 restarts"):
        hessian_plane(curvature[0], weights_of(network), tolerance=1e-15, restarts=1)


@pytest.mark.parametrize(
    "of_weights",
    [
        lambda w: w["w"].sum(),
        lambda w: w["w"].sum() * float("nan"),
        lambda w: (w["w"] ** 2).sum() * float("inf"),
        lambda w: torch.ones(()),
        lambda w: [],
        lambda w: ((w["w"] * factor).sum() for factor in (1, 2)),
        lambda w: [(w["w"] ** 2).sum(), (w["w"] ** 2).sum() * float("nan")],
    ],
    ids=["linear", "NaN", "infinite", "constant", "none", "linear terms", "a NaN term"],
)
def test_what_has_no_curvature(of_weights):
    with pytest.raises(UserError, match="no finite second derivative"):
        hessian_plane(of_weights, {"w": torch.ones(5)})


@pytest.mark.parametrize("k", [1, 5])
def test_how_many_eigenvalues_there_are(k):
    of_weights, weights = quadratic([1.0, 2.0, 3.0, 4.0, 5.0])
    with pytest.raises(UserError, match=f"k = {k}: expected 2 eigenvalues or more, fewer than 5"):
        hessian_plane(of_weights, weights, k=k)


# Given directions


@pytest.mark.parametrize("kind", ["pt", "safetensors"])
def test_directions_that_are_given(three, tmp_path, kind):
    path = tmp_path / f"mine.{kind}"
    three = [{name: w for name, w in weights.items() if name != "z"} for weights in three]
    origin = {name: w.float() for name, w in three[0].items()}
    parts = {"u": three[1], "v": three[2]}
    if kind == "pt":
        torch.save(parts, path)
    else:
        safetensors = pytest.importorskip("safetensors.torch")
        named = {f"{part}.{n}": d for part, axis in parts.items() for n, d in axis.items()}
        safetensors.save_file(named, path)
    plane = given_plane(path, origin)
    assert plane.origin is origin
    assert plane.u["w"].dtype == torch.float32
    np.testing.assert_allclose(flatten(plane.u), flatten(three[1]), rtol=1e-6)
    np.testing.assert_allclose(flatten(plane.v), flatten(three[2]), rtol=1e-6)
    assert plane.attrs == {"directions": f"given, mine.{kind}", "normalisation": "as given"}
    with pytest.raises(UserError, match=f"mine.{kind}: direction u: the network has no .* b"):
        given_plane(path, {"w": origin["w"]})


def test_a_saved_plane_is_given_too(three, tmp_path):
    plane = random_plane(three[0], seed=1)
    plane.save(tmp_path / "plane.pt")
    found = given_plane(tmp_path / "plane.pt", three[1])
    np.testing.assert_array_equal(vectors(found), vectors(plane))


@pytest.mark.parametrize("content", [None, [1, 2], {"u": 3}, {"w": LIKE}])
def test_a_file_that_holds_no_directions(three, tmp_path, content):
    path = tmp_path / "mine.pt"
    if content is not None:
        torch.save(content, path)
    with pytest.raises(UserError, match=str(path)):
        given_plane(path, three[0])


# The window


def test_a_window_shows_all_points():
    points = [(0, 0), (3, -1), (1, 2)]
    assert half_width(points, margin=0) == 3
    assert half_width(points, (1.5, 0.5), margin=0) == 1.5
    assert np.isclose(half_width(points), 3.6)


@pytest.mark.parametrize("points", [[(0, 0)], [(0, 0), (np.nan, 1)], [(np.inf, 1)]])
def test_a_window_of_nothing(points):
    with pytest.raises(UserError, match="points to show"):
        half_width(points)
