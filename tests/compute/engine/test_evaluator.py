"""The loss over a plane, by every way there is, against plain loops in float64."""

import copy
import shutil

import numpy as np
import pytest
import torch
from cases import Block, Case, built, cases, cross_entropy, images, randomness, sentences, unequal
from torch import nn
from torch.fx.experimental.proxy_tensor import make_fx

from movinglands.engine.compiling import hoist
from movinglands.engine.evaluator import Evaluator, grid
from movinglands.engine.plan import Plan
from movinglands.evaluation.measure import Measure
from movinglands.evaluation.objective import Objective
from movinglands.networks.convnet import convnet
from movinglands.planes.plane import Plane
from movinglands.planes.random import random_plane
from movinglands.planes.weights import weights_of

CASES = cases()
MAPPED = [name for name, case in CASES.items() if case.mapped]
POINTS = np.concatenate([[[0, 0]], np.random.default_rng(0).uniform(-1, 1, (10, 2))])
INDEX = np.array([0, 7, 3, 12345, 2, 99, 1, 10**9, 50, 4, 11])


@pytest.fixture
def evaluator(tmp_path):
    """Make evaluators, and close them."""
    made = []

    def make(case, plan=None):
        made.append(Evaluator(case.objective(), case.plane(), tmp_path, plan))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(scope="module")
def truths():
    return {name: case.truth(POINTS) for name, case in CASES.items()}


@pytest.mark.parametrize("name", CASES)
def test_a_point_at_a_time(evaluator, truths, name):
    values = evaluator(CASES[name], Plan(seeded=CASES[name].draws))(POINTS, INDEX)
    assert values.shape == truths[name].shape
    np.testing.assert_allclose(values, truths[name], rtol=1e-5)


@pytest.mark.parametrize("name", MAPPED)
def test_many_at_once(evaluator, truths, name):
    values = evaluator(CASES[name], Plan("vmap", 4, seeded=CASES[name].draws))(POINTS, INDEX)
    assert values.shape == truths[name].shape
    np.testing.assert_allclose(values, truths[name], rtol=1e-5)


@pytest.mark.parametrize("name", MAPPED)
def test_neither_launch_nor_order_change_a_value(evaluator, name):
    case = CASES[name]
    expected = evaluator(case, Plan(seeded=case.draws))(POINTS, INDEX)
    order = np.random.default_rng(1).permutation(len(POINTS))
    for launch in (2, 11, 16):
        evaluate = evaluator(case, Plan("vmap", launch, seeded=case.draws))
        values = evaluate(POINTS, INDEX)
        close = {"rtol": 1e-6, "atol": 1e-6 * np.abs(expected).max()}
        np.testing.assert_allclose(values, expected, **close)
        np.testing.assert_allclose(evaluate(POINTS[order], INDEX[order]), values[order], **close)
        np.testing.assert_array_equal(evaluate(POINTS, INDEX), values)


def noisy(**measure):
    """A case of every randomness there is, but what the global generator gives."""
    network = nn.Sequential(
        nn.Dropout2d(0.2), built(convnet, 1, 3, 2, 10, 3)[:-1], nn.Dropout(0.3), nn.Linear(3, 10)
    )
    return Case(network, cross_entropy, [images(24)], Measure(**measure))


@pytest.mark.parametrize("minibatch", [None, 6])
@pytest.mark.parametrize("plan", [Plan(), Plan("vmap", 3)], ids=["loop", "vmap"])
def test_a_points_randomness_is_its_numbers(evaluator, plan, minibatch):
    case = noisy(noise="point", minibatch=minibatch)
    evaluate, other = evaluator(case, plan), evaluator(case, Plan("vmap", 5))
    here, numbers = np.zeros((8, 2)), np.arange(8)
    values = evaluate(here, numbers)
    assert len(np.unique(values)) == 8
    np.testing.assert_allclose(evaluate(here[::-1], numbers[::-1]), values[::-1], rtol=1e-6)
    np.testing.assert_allclose(evaluate(here[3:4], numbers[3:4]), values[3:4], rtol=1e-6)
    np.testing.assert_allclose(other(here, numbers), values, rtol=1e-6)
    plainly = [float(case.objective().at(weights_of(case.module), index=n)) for n in numbers]
    np.testing.assert_allclose(values[:, 0], plainly, rtol=1e-6)


@pytest.mark.parametrize("plan", [Plan(), Plan("vmap", 3)], ids=["loop", "vmap"])
def test_fixed_noise_is_the_same_everywhere(evaluator, plan):
    values = evaluator(noisy(), plan)(np.zeros((8, 2)), np.arange(8))
    np.testing.assert_allclose(values, values[:1].repeat(8, 0), rtol=1e-6)


def test_what_the_loss_draws_is_the_same_everywhere(evaluator):
    for name in ("critic, autograd, drawn", "critic, func, drawn"):
        evaluate = evaluator(CASES[name])
        plan = evaluate.tune(20, compiling=False)
        assert plan.seeded
        values = evaluate(np.zeros((9, 2)), np.arange(9))
        np.testing.assert_allclose(values, values[:1].repeat(9, 0), rtol=1e-5)


def test_what_the_loss_draws_at_each_point(evaluator):
    case = copy.copy(CASES["critic, func, drawn"])
    case.measure = Measure(noise="point")
    evaluate = evaluator(case)
    evaluate.tune(20, compiling=False)
    values = evaluate(np.zeros((9, 2)), np.arange(9))
    assert len(np.unique(values)) == 9
    order = np.array([4, 0, 8, 2])
    np.testing.assert_array_equal(evaluate(np.zeros((4, 2)), order), values[order])
    assert evaluate.objective.at(weights_of(case.module), index=4).numpy() == values[4]


def test_several_batches_draw_alike_by_every_way(evaluator):
    case = copy.copy(CASES["critic, func, drawn"])
    case.batches = unequal_dicts(case.batches[0], 5, 3)
    evaluate = evaluator(case, Plan("vmap", 3, seeded=True))
    values = evaluate(POINTS, INDEX)
    np.testing.assert_allclose(values, case.truth(POINTS), rtol=1e-5)
    found = case.objective().at(weights_of(case.module)).numpy()
    np.testing.assert_allclose(values[0], found, rtol=1e-5)


def unequal_dicts(batch, *sizes):
    pieces = unequal(batch.values(), *sizes)
    return [dict(zip(batch, piece, strict=True)) for piece in pieces]


class Remembering(nn.Module):
    """An LSTM with dropout between its layers, which vmap cannot take."""

    def __init__(self):
        super().__init__()
        self.words, self.head = nn.Embedding(20, 5), nn.Linear(6, 10)
        self.memory = nn.LSTM(5, 6, num_layers=2, dropout=0.5, batch_first=True)

    def forward(self, tokens):
        return self.head(self.memory(self.words(tokens))[0][:, -1])


def test_an_lstm(evaluator):
    network = built(Remembering)
    case = Case(network, cross_entropy, [sentences(8)], Measure("eval"))
    evaluate = evaluator(case)
    assert evaluate.tune(20, compiling=False).way == "loop"
    np.testing.assert_allclose(evaluate(POINTS, INDEX), case.truth(POINTS), rtol=1e-5)


def test_an_lstms_noise(evaluator):
    case = Case(built(Remembering), cross_entropy, [sentences(8)], Measure("train"))
    evaluate = evaluator(case)
    before = randomness()
    plan = evaluate.tune(20, compiling=False)
    assert (plan.way, plan.seeded) == ("loop", True)
    values = evaluate(np.zeros((5, 2)), np.arange(5))
    assert len(np.unique(values)) == 1
    assert randomness() == before


def test_complex_weights(evaluator):
    class Waves(nn.Module):
        def __init__(self):
            super().__init__()
            self.gain = nn.Parameter(torch.randn(1, 8, 5, dtype=torch.complex64))
            self.head = nn.Linear(64, 10)

        def forward(self, x):
            waves = torch.fft.rfft2(x[:, 0]) * self.gain
            return self.head(torch.fft.irfft2(waves).flatten(1))

    network = built(Waves)
    weights, plane = weights_of(network), random_plane(weights_of(network), 5)
    objective = Objective(network, cross_entropy, [images(8)])
    for plan in (Plan(), Plan("vmap", 4)):
        values = Evaluator(objective, plane, None, plan)(POINTS, INDEX)
        for point, value in zip(POINTS, values, strict=True):
            moved = {
                n: w.to(torch.complex128 if w.is_complex() else torch.float64)
                + point[0] * plane.u[n]
                + point[1] * plane.v[n]
                for n, w in weights.items()
            }
            inputs, labels = images(8)
            waves = np.fft.rfft2(inputs[:, 0].double().numpy()) * moved["gain"].numpy()
            features = torch.from_numpy(np.fft.irfft2(waves)).flatten(1)
            answers = nn.functional.linear(features, moved["head.weight"], moved["head.bias"])
            expected = nn.functional.cross_entropy(answers, labels)
            np.testing.assert_allclose(value, expected, rtol=1e-5)


def test_the_window_moves(evaluator):
    first, second = built(convnet, 1, 4, 3, 10, 3), built(convnet, 1, 4, 3, 10, 8)
    second[1].running_mean += 1
    case = Case(first, cross_entropy, [images(16)], Measure("eval"))
    moved = Case(second, cross_entropy, [images(16)], Measure("eval"))
    moved.plane = case.plane
    for plan in (Plan(), Plan("vmap", 4)):
        evaluate = evaluator(case, plan)
        evaluate(POINTS, INDEX)
        evaluate.place(weights_of(second), dict(second.named_buffers()))
        np.testing.assert_allclose(evaluate(POINTS, INDEX), moved.truth(POINTS), rtol=1e-5)
    torch.testing.assert_close(case.plane().origin, weights_of(first))


def test_rows_are_beta_and_columns_alpha(tmp_path):
    alpha, beta = np.linspace(-1.2, 1.2, 5), np.linspace(-0.9, 0.7, 4)
    network = nn.Linear(2, 1, bias=False)
    plane = Plane(
        {"weight": torch.zeros(1, 2)},
        {"weight": torch.tensor([[1.0, 0]])},
        {"weight": torch.tensor([[0, 1.0]])},
    )

    def loss(module, batch):
        return module(batch[0]).sum()

    objective = Objective(network, loss, [(torch.tensor([[10.0, 1.0]]),)])
    evaluate = Evaluator(objective, plane, tmp_path, Plan("vmap", 3))
    found = evaluate(grid(alpha, beta), np.arange(20)).reshape(4, 5)
    np.testing.assert_allclose(found, 10 * alpha[None, :] + beta[:, None], rtol=1e-6)


def test_a_network_that_diverges_says_so(evaluator):
    case = CASES["convnet eval"]
    network = copy.deepcopy(case.module)
    with torch.no_grad():
        network[0].bias[0] = torch.inf
    broken = Case(network, case.loss, case.batches, case.measure)
    broken.plane = case.plane
    truth = broken.truth(POINTS)
    assert np.isnan(truth[:, 0]).any()
    for plan in (Plan(), Plan("vmap", 4)):
        evaluate = evaluator(case, plan)
        evaluate.place(weights_of(network), dict(network.named_buffers()))
        np.testing.assert_allclose(evaluate(POINTS, INDEX), truth, rtol=1e-5)
    assert evaluate.tune(20, compiling=False).way == "vmap"


def test_tuning_finds_a_way_that_is_right(evaluator, truths):
    for name in ("convnet train", "recomputed", "critic, func"):
        evaluate = evaluator(CASES[name])
        plan = evaluate.tune(1000, compiling=False)
        assert plan is evaluate.plan
        assert plan.way == "vmap"
        assert plan.rate > 0
        assert plan.tile % plan.launch == 0
        np.testing.assert_allclose(evaluate(POINTS, INDEX), truths[name], rtol=1e-5)


def test_tuning_drops_what_cannot_be_or_answers_otherwise(evaluator, truths):
    evaluate = evaluator(CASES["critic, autograd"])
    plan = evaluate.tune(1000, compiling=False)
    assert (plan.way, plan.launch) == ("loop", 1)
    assert "RuntimeError" in plan.note
    np.testing.assert_allclose(evaluate(POINTS, INDEX), truths["critic, autograd"], rtol=1e-5)

    def treacherous(module, batch):
        mapped = torch._C._functorch.peek_interpreter_stack() is not None
        return cross_entropy(module, batch) * (1.01 if mapped else 1)

    case = copy.copy(CASES["convnet train"])
    case.loss = treacherous
    plan = evaluator(case).tune(1000, compiling=False)
    assert (plan.way, plan.launch) == ("loop", 1)
    assert "other values" in plan.note


def test_compiling_is_tried_where_it_pays(evaluator, monkeypatch):
    tried = []
    monkeypatch.setattr(
        "movinglands.engine.launcher.compiled_launch", lambda *_: tried.append(1) or 1 / 0
    )
    case = CASES["convnet train"]
    evaluator(case).tune(10)
    evaluator(case).tune(10**9, compiling=False)
    assert not tried
    plan = evaluator(case).tune(10**9)
    assert tried
    assert plan.way == "vmap"
    assert "ZeroDivisionError" in plan.note
    tried.clear()
    evaluator(case).tune(10, compiling=True)
    assert tried


def state_of_torch():
    return (
        randomness(),
        torch.get_num_threads(),
        torch.is_grad_enabled(),
        torch.get_default_dtype(),
        torch.backends.cuda.matmul.allow_tf32,
        torch.backends.cudnn.allow_tf32,
        torch.is_autocast_enabled("cpu"),
    )


@pytest.fixture(params=[True, False])
def flag(request):
    """The user's own settings, on or off."""
    backends = torch.backends.cuda.matmul, torch.backends.cudnn
    before = [backend.allow_tf32 for backend in backends]
    for backend in backends:
        backend.allow_tf32 = request.param
    yield request.param
    for backend, setting in zip(backends, before, strict=True):
        backend.allow_tf32 = setting


def test_newer_settings_of_precision_stay_too(evaluator):
    """Which torch refuses to have read by their older names."""
    settings = torch.backends.cuda.matmul, torch.backends.cudnn.conv
    before = [setting.fp32_precision for setting in settings]
    try:
        for setting in settings:
            setting.fp32_precision = "ieee"
        settings[0].fp32_precision = "tf32"
        evaluator(CASES["convnet train"], Plan("vmap", 4))(POINTS, INDEX)
        assert [setting.fp32_precision for setting in settings] == ["tf32", "ieee"]
    finally:
        for setting, value in zip(settings, before, strict=True):
            setting.fp32_precision = value


@pytest.mark.parametrize("precision", ["float32", "tf32", "bf16"])
def test_nothing_of_the_users_is_touched(evaluator, precision, flag):
    case = copy.copy(CASES["critic, func, drawn"])
    case.measure = Measure(precision=precision)
    state = copy.deepcopy(case.module.state_dict())
    modes = [part.training for part in case.module.modules()]
    with torch.set_grad_enabled(flag):
        before = state_of_torch()
        evaluate = evaluator(case)
        evaluate.tune(100, compiling=False)
        evaluate(POINTS, INDEX)
        assert state_of_torch() == before

        def failing(module, batch):
            raise RuntimeError("require grad")

        evaluate.objective.copy._measured.__dict__["loss"] = failing
        with pytest.raises(RuntimeError):
            evaluate(POINTS, INDEX)
        assert state_of_torch() == before
    assert [part.training for part in case.module.modules()] == modes
    assert all(p.requires_grad and p.grad is None for p in case.module.parameters())
    for name, value in case.module.state_dict().items():
        assert torch.equal(value, state[name]), name


compiling = pytest.mark.skipif(not shutil.which("g++"), reason="there is no compiler")


@pytest.fixture(scope="session")
def packages(tmp_path_factory):
    return tmp_path_factory.mktemp("packages")


@compiling
@pytest.mark.slow
def test_compiled_many_at_once(packages, truths):
    case = CASES["convnet train"]
    before, folder = state_of_torch(), packages / "convnet"
    evaluate = Evaluator(case.objective(), case.plane(), folder, Plan("compiled", 4, workers=2))
    values = evaluate(POINTS, INDEX)
    np.testing.assert_allclose(values, truths["convnet train"], rtol=1e-5)
    np.testing.assert_array_equal(evaluate(POINTS, INDEX), values)
    order = np.random.default_rng(1).permutation(len(POINTS))
    found = evaluate(POINTS[order], INDEX[order])
    np.testing.assert_allclose(found, values[order], rtol=1e-6)

    compiled = {file: file.stat().st_mtime_ns for file in folder.iterdir()}
    assert len(compiled) == 1
    evaluate.use(Plan("compiled", 4, workers=1))
    np.testing.assert_array_equal(evaluate(POINTS, INDEX), values)
    other = Evaluator(case.objective(), case.plane(), folder, Plan("compiled", 4, workers=2))
    np.testing.assert_array_equal(other(POINTS, INDEX), values)
    assert {file: file.stat().st_mtime_ns for file in folder.iterdir()} == compiled

    second = built(convnet, 1, 4, 3, 10, 8)
    other.place(weights_of(second), dict(second.named_buffers()))
    moved = Case(second, cross_entropy, case.batches, case.measure)
    moved.plane = case.plane
    np.testing.assert_allclose(other(POINTS, INDEX), moved.truth(POINTS), rtol=1e-5)
    other.close()
    evaluate.close()
    assert state_of_torch() == before


@compiling
@pytest.mark.slow
def test_what_depends_on_the_batch_alone_is_computed_once():
    weight, batch = torch.randn(3), torch.randn(5, 3)
    graph = make_fx(lambda w, x: w * x.exp().sum(0) + torch.rand_like(x[0]) * 0)(weight, batch)
    expected = graph(weight, batch)
    hoisted = hoist(graph, {1}, [weight, batch])
    assert torch.equal(graph(weight, batch, *hoisted), expected)
    called = {str(node.target) for node in graph.graph.nodes}
    assert "aten.mul.Tensor" in called
    assert "aten.exp.default" not in called
    assert "aten.rand_like.default" in called

    graph = make_fx(lambda w, x: x.exp().mul_(w))(weight, batch)  # would multiply each time
    assert not hoist(graph, {1}, [weight, batch])
    assert torch.equal(graph(weight, batch), batch.exp() * weight)

    held = torch.randn(3)
    graph = make_fx(lambda w, x: (w * held).add_(1), _allow_non_fake_inputs=True)(weight, batch)
    (hoisted,) = hoist(graph, {1}, [weight, batch])
    assert hoisted is held
    assert torch.equal(graph(weight, batch, torch.zeros(3)), torch.ones(3))


def test_compiled_a_point_at_a_time(packages):
    """With all that is traced otherwise: a skip, strides, noise of each point, minibatches."""
    features = nn.Sequential(Block(1, 4, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    network = nn.Sequential(features, nn.Dropout(0.3), nn.Linear(4, 10))
    case = Case(network, cross_entropy, [images(24)], Measure("train", minibatch=8, noise="point"))
    objective, folder = case.objective(), packages / "block"
    plan = Plan("compiled", 1, workers=2, channels_last=True)
    evaluate = Evaluator(objective, case.plane(), folder, plan)
    values = evaluate(POINTS, INDEX)
    plain = Evaluator(case.objective(), case.plane(), folder)(POINTS, INDEX)
    np.testing.assert_allclose(values, plain, rtol=1e-5)
    evaluate.close()
    files = set(folder.iterdir())
    again = Evaluator(case.objective(), case.plane(), folder, plan)  # from what was kept
    np.testing.assert_array_equal(again(POINTS, INDEX), values)
    again.close()
    assert set(folder.iterdir()) == files


@compiling
@pytest.mark.slow
def test_workers_never_share_a_network(tmp_path):
    """Shapes more than are compiled, short tails, and threads: every point is its own."""
    network = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 10))
    generator = torch.Generator().manual_seed(1)

    def batch(count):
        labels = torch.randint(10, (count,), generator=generator)
        return torch.randn(count, 8, generator=generator), labels

    batches = [batch(count) for count in (64, 64, 40, 24, 16, 8, 4, 3)]
    case = Case(network, cross_entropy, batches)
    points = np.random.default_rng(0).uniform(-1, 1, (900, 2))
    index = np.arange(len(points))
    plain = Evaluator(case.objective(), case.plane(), tmp_path)(points, index)
    np.testing.assert_allclose(plain[:5], case.truth(points[:5]), rtol=1e-5)
    evaluate = Evaluator(case.objective(), case.plane(), tmp_path, Plan("compiled", 8, workers=4))
    for _ in range(3):
        np.testing.assert_allclose(evaluate(points, index), plain, rtol=1e-5)
    evaluate.close()
