"""Snapshots from whatever a training left, and the recorder that takes them."""

import itertools
import json
import pickle
import re
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from movinglands.errors import UserError
from movinglands.snapshots.recorder import Recorder
from movinglands.snapshots.snapshots import Snapshots


def network(seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(3, 2))


def state(seed):
    """A state dict, with what is not a float in it too (BatchNorm's counter)."""
    return network(seed).state_dict()


def prefixed(tensors, prefix):
    return {prefix + name: value for name, value in tensors.items()}


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].device.type == "cpu"
        assert found[name].dtype == value.dtype
        assert torch.equal(found[name], value), name


def sentence(error):
    """The message, which is one line that ends."""
    message = str(error.value)
    assert "\n" not in message and message.endswith(".")
    return message


OPTIMIZER = {"state": {0: {"momentum_buffer": torch.ones(2)}}, "param_groups": [{"lr": 0.1}]}


@pytest.mark.parametrize(
    ("pack", "options"),
    [
        (lambda s: s, {}),
        (lambda s: prefixed(s, "module."), {}),
        (lambda s: prefixed(s, "_orig_mod."), {}),
        (lambda s: prefixed(s, "module._orig_mod."), {}),
        (lambda s: prefixed(s, "_orig_mod.module."), {}),
        (lambda s: {"epoch": 3, "state_dict": prefixed(s, "module."), "optimizer": OPTIMIZER}, {}),
        (lambda s: {"model_state_dict": s, "optimizer_state_dict": OPTIMIZER, "loss": 0.3}, {}),
        (lambda s: {"model": s, "model_ema": state(9), "lr_scheduler": {"last_epoch": 1}}, {}),
        (lambda s: {"net": s, "acc": 93.1, "epoch": 7}, {}),
        (lambda s: {"student": s, "optimizer": OPTIMIZER}, {}),
        (lambda s: {"module": s, "scalars": {"loss": 0.3}}, {}),
        (lambda s: {"generator": s, "critic": state(9)}, {"entry": "generator"}),
        (lambda s: {"model": state(9), "ema": prefixed(s, "module.")}, {"entry": "ema"}),
        (
            lambda s: {"state_dict": {**prefixed(s, "model."), "criterion.weight": torch.ones(2)}},
            {"prefix": "model."},
        ),
        (lambda s: {"state_dict": prefixed(s, "model._orig_mod.")}, {"prefix": "model."}),
        (lambda s: {"module": prefixed(s, "model."), "scalars": {}}, {"prefix": "model."}),
    ],
)
def test_the_network_is_found_in_a_file(tmp_path, pack, options):
    for step in (0, 10):
        torch.save(pack(state(step)), tmp_path / f"step{step}.pt")
    snapshots = Snapshots.in_folder(tmp_path, **options)
    assert (snapshots.steps, len(snapshots)) == ([0, 10], 2)
    assert_same(snapshots[0], state(0))
    assert_same(snapshots[-1], state(10))
    snapshots.check(network())


def test_a_module_of_that_name_is_not_taken_for_a_wrapper(tmp_path):
    """In a recorder's own file, where it is known that there is none."""
    net = nn.Module()
    net.module = nn.Linear(2, 1)
    recorder = Recorder(tmp_path)
    recorder.record(net, 0)
    assert_same(recorder.snapshots.check(net)[0], net.state_dict())


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin", ".ckpt", ".safetensors"])
def test_each_kind_of_file(tmp_path, suffix):
    save = save_file if suffix == ".safetensors" else torch.save
    for step in (3, 20, 100):
        save(state(step), tmp_path / f"net_{step}{suffix}")
    (tmp_path / "log_7.txt").write_text("no snapshot")
    snapshots = Snapshots.in_folder(str(tmp_path))
    assert snapshots.steps == [3, 20, 100]
    for t, step in enumerate(snapshots.steps):
        assert_same(snapshots[t], state(step))
    assert snapshots.scalars == {}


def test_a_file_from_before_torch_1_6(tmp_path):
    torch.save(state(1), tmp_path / "1.pt", _use_new_zipfile_serialization=False)
    assert_same(Snapshots.in_folder(tmp_path)[0], state(1))


def shards(folder, whole, save, tensors):
    names = sorted(tensors)
    stem, suffix = whole.split(".")
    files = {
        f"{stem}-00001-of-00002.{suffix}": names[:3],
        f"{stem}-00002-of-00002.{suffix}": names[3:],
    }
    for file, held in files.items():
        save({name: tensors[name] for name in held}, folder / file)
    index = {"metadata": {}, "weight_map": {n: file for file, held in files.items() for n in held}}
    (folder / f"{whole}.index.json").write_text(json.dumps(index))


@pytest.mark.parametrize(
    ("whole", "save"), [("model.safetensors", save_file), ("pytorch_model.bin", torch.save)]
)
@pytest.mark.parametrize("sharded", [False, True])
def test_a_folder_for_each_checkpoint(tmp_path, whole, save, sharded):
    for step in (500, 1000, 60):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        torch.save(OPTIMIZER, folder / "optimizer.pt")
        if sharded:
            shards(folder, whole, save, state(step))
        else:
            save(state(step), folder / whole)
    (tmp_path / "runs").mkdir()
    save(state(9), tmp_path / whole)  # the final network, and what else stands beside
    torch.save({"lr": 1.0}, tmp_path / "training_args.bin")
    snapshots = Snapshots.in_folder(tmp_path)
    assert snapshots.steps == [60, 500, 1000]
    for t, step in enumerate(snapshots.steps):
        assert_same(snapshots[t], state(step))
    assert Snapshots.in_folder(tmp_path, "checkpoint-?00*").steps == [500, 1000]


@pytest.mark.parametrize(
    ("names", "steps"),
    [
        (["epoch=3-step=1200.ckpt", "epoch=12-step=40.ckpt"], [40, 1200]),
        (["step=40-epoch=12.ckpt", "step=1200-epoch=3.ckpt"], [40, 1200]),
        (["000000120.pt", "000000007.pt"], [7, 120]),
        (["global_step500.pt", "global_step20.pt"], [20, 500]),
        (["Steps_2.pt", "STEP-11.pt"], [2, 11]),
        (["resnet18_epoch10_acc0.93.pt", "resnet18_epoch9_acc0.92.pt"], [9, 10]),
        (["iter_100_loss_3.pt", "iteration-50 loss 4.pt"], [50, 100]),
        (["resnet20-10.pt", "resnet20-9.pt"], [9, 10]),
        (["net_v1.5_30.pt", "net_v1.5_4_0.25.pt"], [4, 30]),
        (["model.3.pt", "model.12.pt"], [3, 12]),
    ],
)
def test_the_step_is_in_the_name(tmp_path, names, steps):
    for name in names:
        torch.save(state(0), tmp_path / name)
    assert Snapshots.in_folder(tmp_path).steps == steps


def test_the_step_may_be_in_the_name_of_the_folder(tmp_path):
    for epoch in (2, 10):
        (tmp_path / f"epoch_{epoch}").mkdir()
        torch.save(state(epoch), tmp_path / f"epoch_{epoch}" / "net.tar")
        torch.save(OPTIMIZER, tmp_path / f"epoch_{epoch}" / "optimizer.tar")
    snapshots = Snapshots.in_folder(tmp_path, "*/net.tar")
    assert snapshots.steps == [2, 10]
    assert_same(snapshots[1], state(10))


@pytest.mark.parametrize(
    ("names", "pattern", "said"),
    [
        ([], None, ["no snapshots", ".safetensors"]),
        (["a.pt"], "*.ckpt", ["no snapshots", "*.ckpt"]),
        (["first.pt", "last.pt"], None, ["first.pt", "no number"]),
        (["1.pt", "v1.5.pt"], None, ["v1.5.pt", "no number"]),
        (["step=7.ckpt", "step=7-v1.ckpt"], None, ["step=7.ckpt", "step=7-v1.ckpt", "step 7"]),
    ],
)
def test_a_folder_that_tells_no_order_is_refused(tmp_path, names, pattern, said):
    for name in names:
        torch.save(state(0), tmp_path / name)
    with pytest.raises(UserError) as error:
        Snapshots.in_folder(tmp_path, pattern)
    assert all(part in sentence(error) for part in [str(tmp_path), *said])


def test_no_folder(tmp_path):
    with pytest.raises(UserError, match=re.escape(str(tmp_path / "runs"))):
        Snapshots.in_folder(tmp_path / "runs")


def test_a_file_is_opened_when_it_is_asked_for(tmp_path):
    for step in (1, 2):
        torch.save(state(step), tmp_path / f"{step}.pt")
    (tmp_path / "3.pt").write_bytes(b"not yet whole")
    snapshots = Snapshots.in_folder(tmp_path)
    assert_same(snapshots[1], state(2))
    with pytest.raises(UserError, match=r"3\.pt"):
        snapshots[2]
    torch.save(state(3), tmp_path / "3.pt")
    assert_same(snapshots[2], state(3))


class Trap:
    """Runs code where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return exec, (f"open({str(self.path)!r}, 'w')",)


@pytest.mark.parametrize("zipped", [True, False])
def test_what_could_run_code_is_not_opened(tmp_path, zipped):
    sprung, path = tmp_path / "sprung", tmp_path / "step5.pt"
    content = {"state_dict": state(0), "args": Trap(sprung)}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(UserError) as error:
        Snapshots.in_folder(tmp_path)[0]
    assert not sprung.exists()
    assert all(part in sentence(error) for part in [str(path), "exec", "run any code"])
    torch.load(path, weights_only=False)
    assert sprung.exists(), "the trap would have worked"


def whole_file(tmp_path):
    torch.save(state(0), tmp_path / "whole")
    return (tmp_path / "whole").read_bytes()


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize(
    "content",
    [
        lambda _: b"",
        lambda _: b"what is this",
        lambda _: pickle.dumps({"a": 1}),
        lambda folder: whole_file(folder)[:-100],
        lambda folder: whole_file(folder)[:2000],
    ],
    ids=["empty", "text", "pickle", "end cut off", "half"],
)
@pytest.mark.filterwarnings("ignore")
def test_a_broken_file_is_named(tmp_path, content, suffix):
    path = tmp_path / f"step5{suffix}"
    path.write_bytes(content(tmp_path))
    with pytest.raises(UserError) as error:
        Snapshots.in_folder(tmp_path)[0]
    assert f"{path}: is no " in sentence(error)


@pytest.mark.parametrize(
    ("content", "options", "said"),
    [
        ({"generator": state(0), "critic": state(1)}, {}, ["'generator', 'critic'", "entry="]),
        ({"generator": state(0)}, {"entry": "critic"}, ["under 'critic'", "'generator'"]),
        ({"epoch": 3, "loss": 0.1}, {}, ["'epoch', 'loss'"]),
        ({**state(0), "epoch": 3}, {}, ["'epoch'"]),
        ([torch.ones(2)], {}, ["none"]),
        (torch.ones(2), {"entry": "net"}, ["under 'net'"]),
        (state(0), {"prefix": "model."}, ["'model.'", "'0.weight'"]),
    ],
)
def test_a_file_without_the_network_is_named(tmp_path, content, options, said):
    torch.save(content, tmp_path / "5.pt")
    with pytest.raises(UserError) as error:
        Snapshots.in_folder(tmp_path, **options)[0]
    assert all(part in sentence(error) for part in [str(tmp_path / "5.pt"), *said])


def test_a_broken_index_is_named(tmp_path):
    folder = tmp_path / "checkpoint-5"
    folder.mkdir()
    index = folder / "model.safetensors.index.json"
    for text in ("{", "[]", '{"weights": {}}'):
        index.write_text(text)
        with pytest.raises(UserError, match=re.escape(str(index))):
            Snapshots.in_folder(tmp_path)[0]


def test_safetensors_may_not_be_there(tmp_path, monkeypatch):
    save_file(state(0), tmp_path / "5.safetensors")
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(UserError, match=r"pip install 'movinglands\[safetensors\]'"):
        Snapshots.in_folder(tmp_path)[0]


# In memory.


def test_states_in_memory():
    states = [state(k) for k in range(3)]
    snapshots = Snapshots.of(states, np.array([0, 5, 6]), {"loss": [3, 2, torch.tensor(1.5)]})
    assert snapshots.steps == [0, 5, 6]
    assert_same(snapshots[-2], states[1])
    assert snapshots.scalars["loss"].dtype == np.float64
    np.testing.assert_array_equal(snapshots.scalars["loss"], [3, 2, 1.5])
    with pytest.raises(IndexError):
        snapshots[3]


@pytest.mark.parametrize(
    ("count", "steps", "scalars", "said"),
    [
        (0, [], None, "expected one at least"),
        (2, [1], None, "steps: 1 values"),
        (2, [1, 1], None, "increase"),
        (2, [5, 1], None, "increase"),
        (2, [1, 5], {"loss": [1]}, "loss: 1 values"),
    ],
)
def test_states_in_memory_must_belong_together(count, steps, scalars, said):
    with pytest.raises(UserError, match=said):
        Snapshots.of([state(0)] * count, steps, scalars)


@pytest.mark.parametrize(
    "steps", [np.array([3, 9]), [3.0, 9.0], torch.tensor([3, 9]), [torch.tensor(3), np.float32(9)]]
)
def test_steps_in_memory_are_whole_numbers_of_any_kind(steps):
    assert Snapshots.of([state(0), state(1)], steps).steps == [3, 9]


@pytest.mark.parametrize("step", [3.5, "3", None, float("nan")])
def test_what_is_no_whole_number_is_no_step(step):
    with pytest.raises(UserError, match="expected a whole number"):
        Snapshots.of([state(0)], [step])


@pytest.mark.parametrize(
    "kind",
    [
        lambda w: nn.Parameter(w, requires_grad=w.is_floating_point()),
        lambda w: w.numpy(),
        lambda w: w.numpy().astype(w.numpy().dtype.newbyteorder(">")),
    ],
    ids=["parameters", "arrays", "arrays of another machine"],
)
def test_states_in_memory_hold_tensors_of_any_kind(kind):
    snapshots = Snapshots.of([{name: kind(w) for name, w in state(1).items()}], [0])
    assert_same(snapshots[0], state(1))
    assert not any(w.requires_grad for w in snapshots.check(network())[0].values())


@pytest.mark.parametrize(
    ("held", "said"),
    [
        ({"w": {"a": 1}}, "step 4: 'w' is a dict"),
        ({"w": torch.ones(1, device="meta")}, "step 4: 'w' is on the meta device"),
        ({"w": np.array(["a"])}, "step 4: 'w' is an array that torch cannot take"),
        (nn.Linear(1, 1), "step 4: is a Linear, expected a state dict"),
    ],
)
def test_what_is_no_tensor_in_memory_is_named(held, said):
    with pytest.raises(UserError, match=said):
        Snapshots.of([held], [4])[0]


@pytest.mark.parametrize(
    ("length", "count"), list(itertools.product([1, 2, 7, 60, 61], [2, 3, 7, 60]))
)
def test_thinned_is_even_and_keeps_both_ends(length, count):
    steps = [k**2 for k in range(length)]
    snapshots = Snapshots.of([{"w": torch.tensor(s)} for s in steps], steps, {"step": steps})
    thinned = snapshots.thinned(count)
    assert len(thinned) == min(length, count)
    assert (thinned.steps[0], thinned.steps[-1]) == (steps[0], steps[-1])
    gaps = np.diff(np.sqrt(thinned.steps))
    assert len(gaps) == 0 or (gaps.min() >= 1 and gaps.max() - gaps.min() <= 1)
    assert [int(thinned[t]["w"]) for t in range(len(thinned))] == thinned.steps
    np.testing.assert_array_equal(thinned.scalars["step"], thinned.steps)


def test_thinned_to_one_is_refused():
    with pytest.raises(UserError, match="first and the last"):
        Snapshots.of([state(0)], [0]).thinned(1)


# Against the user's module.


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: s.pop("3.bias"), "lacks '3.bias'"),
        (lambda s: s.update({"4.bias": torch.ones(2)}), "holds '4.bias'"),
        (lambda s: s.update({"3.weight": torch.ones(5, 3)}), "'3.weight' is (5, 3), expected (2"),
        (lambda s: s.pop("1.running_mean"), "lacks '1.running_mean'"),
        (lambda s: s.update({f"net.{name}": s.pop(name) for name in list(s)}), "prefix='net.'"),
        (lambda s: s.update({"3.weight": s["3.weight"].to(torch.complex64)}), "is torch.complex64"),
        (lambda s: s.update({"3.weight": s["3.weight"].to(torch.int8)}), "is torch.int8"),
        (lambda s: s.update({"3.bias": s["3.bias"][None]}), "'3.bias' is (1, 2), expected (2,)"),
    ],
)
def test_check_names_file_key_and_shapes(tmp_path, change, said):
    torch.save(state(0), tmp_path / "1.pt")
    changed = state(1)
    change(changed)
    torch.save(changed, tmp_path / "2.pt")
    with pytest.raises(UserError) as error:
        Snapshots.in_folder(tmp_path).check(network())
    assert str(tmp_path / "2.pt") in sentence(error) and said in sentence(error)
    with pytest.raises(UserError, match="step 8"):
        Snapshots.of([state(0), changed], [0, 8]).check(network())


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(5, 2)
        self.head = nn.Linear(2, 5, bias=False)
        self.head.weight = self.embedding.weight


@pytest.mark.parametrize("dropped", ["embedding.weight", "head.weight"])
def test_check_gives_tied_names_what_the_other_has(tmp_path, dropped):
    net = Tied()
    tensors = {name: w for name, w in net.state_dict().items() if name != dropped}
    save_file(tensors, tmp_path / "1.safetensors")
    found = Snapshots.in_folder(tmp_path)
    assert_same(found[0], tensors)
    assert_same(found.check(net)[0], net.state_dict())
    assert_same(found.check(net).thinned(2)[0], net.state_dict())
    untied = Tied()
    untied.head.weight = nn.Parameter(torch.ones(5, 2))
    with pytest.raises(UserError, match=f"lacks '{dropped}'"):
        found.check(untied)


class Scaled(nn.Linear):
    """A layer that keeps something beside its tensors, as those of FP8 do."""

    def __init__(self, extra):
        super().__init__(3, 2)
        self.extra = extra

    def get_extra_state(self):
        return self.extra

    def set_extra_state(self, state):
        self.extra = state


@pytest.mark.parametrize("extra", [b"", b"abc", {"amax": 1.0}, torch.zeros(4), None])
@pytest.mark.parametrize("way", ["recorded", "in memory", "in a folder"])
def test_extra_state_is_no_weight(tmp_path, extra, way):
    net = nn.Sequential(Scaled(extra), nn.Linear(2, 1))
    if way == "in memory":
        snapshots = Snapshots.of([net.state_dict()], [0])
    elif way == "recorded":
        recorder = Recorder(tmp_path)
        recorder.record(net, 0)
        snapshots = recorder.snapshots
    else:
        torch.save({"model": net.state_dict()}, tmp_path / "1.pt")
        snapshots = Snapshots.in_folder(tmp_path)
    net[0].extra = torch.zeros(9)  # it has grown since
    checked = snapshots.check(net)
    assert checked[0].keys() == dict(net.named_parameters()).keys()
    assert checked.notes == ("extra state, left as the network has it: 0._extra_state",)


class Masked(nn.Module):
    """Attention's furniture: a mask with infinities, and positions that are not saved."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(2.0))
        self.register_buffer("mask", torch.full((3, 3), -torch.inf).triu(1))
        self.register_buffer("places", torch.arange(3.0), persistent=False)


@pytest.mark.parametrize(
    ("change", "notes"),
    [
        (lambda s: s.pop("1.num_batches_tracked"), "taken from the network: 1.num_batches_tracked"),
        (lambda s: s.update(total_ops=torch.zeros(1)), "ignored in the snapshots: total_ops"),
        (lambda s: s.update({"3.position_ids": torch.arange(4)}), "ignored.*3.position_ids"),
        (lambda s: s.update({"3.mask": torch.eye(4)}), "ignored.*3.mask"),
        (lambda s: s.update({"criterion.weight": torch.rand(2)}), "ignored.*criterion.weight"),
        (lambda s: s.update(n_averaged=torch.tensor(3)), "ignored.*n_averaged"),
        (
            lambda s: s.update({f"{k}.total_ops": torch.zeros(1) for k in range(5)}),
            "ignored in the snapshots: 0.total_ops, 1.total_ops, 2.total_ops and 2 more",
        ),
    ],
)
def test_what_cannot_change_a_value_may_be_missing_or_too_many(change, notes):
    changed = state(3)
    change(changed)
    checked = Snapshots.of([state(2), changed], [0, 1]).check(network())
    assert_same(checked[1], {**state(3), "1.num_batches_tracked": torch.tensor(0)})
    assert len(checked.notes) == 1 and re.search(notes, checked.notes[0])
    assert checked.thinned(2).notes == checked.notes


def test_a_buffer_that_the_network_does_not_save_is_ignored():
    net = Masked()
    checked = Snapshots.of([{**net.state_dict(), "places": torch.ones(3)}], [0]).check(net)
    assert_same(checked[0], net.state_dict())
    assert checked.notes == ("ignored in the snapshots: places",)


def test_leniency_takes_buffers_and_never_parameters(tmp_path):
    net, held = network(5), state(1)
    net[1].running_mean += 0.5
    del held["1.running_mean"]
    torch.save({**held, "4.bias": torch.ones(2)}, tmp_path / "1.pt")
    with pytest.raises(UserError, match=r"lacks '1\.running_mean'.*strict=False"):
        Snapshots.in_folder(tmp_path).check(net)
    for found in (
        Snapshots.in_folder(tmp_path, strict=False),
        Snapshots.of([torch.load(tmp_path / "1.pt")], [1], strict=False),
    ):
        checked = found.thinned(2).check(net)
        assert_same(checked[0], {**state(1), "1.running_mean": torch.full((3,), 0.5)})
        assert checked.notes == (
            "ignored in the snapshots: 4.bias",
            "not in the snapshots, taken from the network: 1.running_mean",
        )
    del held["3.bias"]
    with pytest.raises(UserError, match=r"lacks '3\.bias'"):
        Snapshots.of([held], [0], strict=False).check(net)


@pytest.mark.parametrize("file", [torch.float16, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("net", [torch.float32, torch.float64, torch.float16])
def test_check_gives_the_networks_precision_and_leaves_the_users_tensors(file, net):
    held = {n: w.to(file) if w.is_floating_point() else w.int() for n, w in state(1).items()}
    copies = {name: w.clone() for name, w in held.items()}
    module = network().to(net)
    checked = Snapshots.of([held], [0]).check(module)
    module.load_state_dict(held)
    assert_same(checked[0], module.state_dict())
    assert_same(held, copies)


def test_a_number_may_be_a_tensor_of_one_as_in_old_files():
    net = Masked()
    found = Snapshots.of([{**net.state_dict(), "scale": torch.tensor([5.0])}], [0]).check(net)[0]
    assert_same(found, {**net.state_dict(), "scale": torch.tensor(5.0)})


def test_check_needs_no_values_of_the_network():
    with torch.device("meta"):
        net, masked = network(), Masked()
    held = state(1)
    del held["1.num_batches_tracked"]
    assert_same(Snapshots.of([held], [0]).check(net)[0], state(1))
    assert Snapshots.of([Masked().state_dict()], [0]).check(masked).diverged == ()


def test_check_of_modules_of_other_kinds():
    scripted = torch.jit.script(network())
    assert_same(Snapshots.of([state(1)], [0]).check(scripted)[0], state(1))
    with pytest.raises(UserError, match=r"'0\.weight' has no shape yet: call the network once"):
        Snapshots.of([state(1)], [0]).check(nn.Sequential(nn.LazyLinear(2)))


def compiled_inside(seed):
    net = network(seed)
    net[3] = torch.compile(net[3], backend="eager")
    return net


@pytest.mark.parametrize("make", [network, compiled_inside])
@pytest.mark.parametrize(
    "rename",
    [
        lambda name: name,
        lambda name: name.replace("3.", "3._orig_mod."),
        lambda name: "module." + name.replace("0.", "0._orig_mod.module."),
    ],
)
def test_wrappers_within_names_count_nowhere(make, rename):
    held = {rename(name): w for name, w in state(1).items()}
    found = Snapshots.of([held], [0]).check(make(0))[0]
    assert_same(found, make(1).state_dict())


def test_a_prefix_that_is_named_works(tmp_path):
    held = {"model._orig_mod." + name: w for name, w in compiled_inside(1).state_dict().items()}
    torch.save({"state_dict": {**held, "criterion.weight": torch.ones(2)}}, tmp_path / "1.pt")
    with pytest.raises(UserError) as error:
        Snapshots.in_folder(tmp_path).check(network())
    (prefix,) = re.findall(r"prefix='(.*?)'", sentence(error))
    checked = Snapshots.in_folder(tmp_path, prefix=prefix).check(network())
    assert_same(checked[0], state(1))


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("name", ["3.weight", "1.running_var"])
def test_snapshots_that_are_not_finite_are_told(name, value):
    states = [state(k) for k in range(4)]
    for t in (1, 3):
        states[t][name].flatten()[-1] = value
    checked = Snapshots.of(states, range(4)).check(network())
    assert checked.diverged == (1, 3)
    assert checked.thinned(2).diverged == (1,)


def test_a_mask_of_infinities_has_not_diverged():
    net = Masked()
    held = net.state_dict()
    worse = {**held, "mask": torch.full((3, 3), -torch.inf)}
    assert Snapshots.of([held, worse], [0, 1]).check(net).diverged == (1,)


# The recorder.


@pytest.fixture(params=["folder", "memory"])
def place(request, tmp_path):
    return tmp_path / "run" / "snapshots" if request.param == "folder" else None


def updates(net, count):
    """Train for a few steps of SGD; yield the step, the loss and a copy before each of them."""
    optimizer = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)
    generator = torch.Generator().manual_seed(1)
    for step in range(count):
        images = torch.randn(4, 1, 3, 3, generator=generator)
        loss = net(images).square().mean()
        yield step, loss, {name: w.clone() for name, w in net.state_dict().items()}
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def test_what_is_recorded_is_what_was(place):
    net, recorder, expected = network(), Recorder(place, every=3), []
    for step, loss, copy in updates(net, 8):
        before = torch.random.get_rng_state()
        recorder.record(net, step, loss=loss, learning_rate=0.1)
        assert torch.equal(torch.random.get_rng_state(), before)
        if step % 3 == 0:
            expected.append((copy, loss.item()))
    recorder.keep(net, 8)
    expected.append((net.state_dict(), np.nan))
    snapshots = recorder.snapshots.check(net)
    assert snapshots.steps == [0, 3, 6, 8]
    for t, (copy, _) in enumerate(expected):
        assert_same(snapshots[t], copy)
    assert not torch.equal(snapshots[0]["3.weight"], snapshots[1]["3.weight"])
    assert snapshots.scalars.keys() == {"loss", "learning_rate"}
    np.testing.assert_array_equal(snapshots.scalars["loss"], [loss for _, loss in expected])
    np.testing.assert_array_equal(snapshots.scalars["learning_rate"], [0.1, 0.1, 0.1, np.nan])
    assert net.training and net[0].weight.grad is not None


def test_a_step_recorded_again_replaces_the_earlier(place):
    recorder = Recorder(place)
    for step in (0, 1, 2):
        recorder.record(network(step), step, loss=step)
    resumed = recorder if place is None else Recorder(place)
    resumed.record(network(7), 1, loss=7)
    snapshots = resumed.snapshots
    assert snapshots.steps == [0, 1, 2]
    assert_same(snapshots[1], state(7))
    assert_same(snapshots[2], state(2))
    np.testing.assert_array_equal(snapshots.scalars["loss"], [0, 7, 2])


def test_a_snapshot_is_a_file_and_whole(tmp_path, monkeypatch):
    recorder = Recorder(tmp_path)
    recorder.record(network(1), 120, loss=0.5)
    assert [path.name for path in tmp_path.iterdir()] == ["000000120.pt"]

    def fail(content, path):
        path.write_bytes(b"half a file")
        raise OSError("No space left on device")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(OSError, match="No space"):
        recorder.record(network(2), 120)
    assert [path.name for path in tmp_path.iterdir()] == ["000000120.pt"]
    assert_same(recorder.snapshots[0], state(1))


def test_the_files_of_the_projects_own_training(tmp_path):
    for step in (0, 5):
        kept = {"module": state(step), "scalars": {"train_loss": 0.5 + step}}
        torch.save(kept, tmp_path / f"{step:09d}.pt")
    snapshots = Snapshots.in_folder(tmp_path)
    assert_same(snapshots[1], state(5))
    np.testing.assert_array_equal(snapshots.scalars["train_loss"], [0.5, 5.5])


def test_tied_weights_remain_one_tensor(place):
    net, recorder = Tied(), Recorder(place)
    recorder.record(net, 0)
    found = recorder.snapshots.check(net)[0]
    assert_same(found, net.state_dict())
    assert found["embedding.weight"].data_ptr() == found["head.weight"].data_ptr()
    assert found["embedding.weight"].data_ptr() != net.head.weight.data_ptr()


def test_a_view_does_not_take_its_whole_storage_along(tmp_path):
    recorder = Recorder(tmp_path)
    recorder.record({"w": torch.ones(1_000_000)[:4]}, 0)
    assert (tmp_path / "000000000.pt").stat().st_size < 10_000


def test_wrappers_are_seen_through(place):
    net, recorder = network(3), Recorder(place)
    store = torch.distributed.HashStore()
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        wrapped = torch.compile(nn.parallel.DistributedDataParallel(net))
        for step, model in enumerate([wrapped, nn.DataParallel(net), net.state_dict()]):
            recorder.record(model, step)
    finally:
        torch.distributed.destroy_process_group()
    snapshots = recorder.snapshots.check(wrapped)
    for t in range(3):
        assert_same(snapshots[t], state(3))


def test_only_rank_0_records(place):
    from torch.testing._internal.distributed.fake_pg import FakeStore

    recorder = Recorder(place)
    for rank in (1, 0):
        torch.distributed.init_process_group("fake", store=FakeStore(), rank=rank, world_size=2)
        try:
            recorder.record(network(), rank)
        finally:
            torch.distributed.destroy_process_group()
    assert recorder.snapshots.steps == [0]


class Marked(torch.Tensor):
    """A tensor that may mean something else by its values."""


@pytest.mark.parametrize(
    ("model", "step", "scalars", "said"),
    [
        ({"w": torch.ones(1)}, -1, {}, "step -1"),
        ({"w": torch.ones(1)}, 1, {"loss": torch.ones(2)}, r"loss: .* tensor \(2,\)"),
        ({"w": torch.ones(1)}, 1, {"loss": None}, "loss: .* None"),
        ({"w": np.ones(1)}, 1, {}, "'w' is a ndarray"),
        ({"w": torch.ones(1)}, 1.0, {}, "step 1.0, expected a whole number"),
        ({"w": torch.ones(1)}, 1.5, {}, "step 1.5, expected a whole number"),
        ({"w": torch.ones(1).as_subclass(Marked)}, 1, {}, "'w' is a Marked"),
        ({"w": torch.ones(1, device="meta")}, 1, {}, "'w' is on the meta device"),
        (nn.LazyLinear(2), 1, {}, "'weight' has no shape yet: call the network"),
        ({"w.dtype": torch.qint8}, 1, {}, "'w.dtype' belongs to a quantised network"),
    ],
)
def test_what_cannot_be_recorded_is_named(place, model, step, scalars, said):
    recorder = Recorder(place)
    with pytest.raises(UserError, match=said):
        recorder.record(model, step, **scalars)
    with pytest.raises(UserError):
        recorder.snapshots[0]


def test_every_is_one_at_least():
    with pytest.raises(UserError, match="every = 0"):
        Recorder(every=0)
