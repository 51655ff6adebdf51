"""Which step a file's name tells, and where in a file the network is."""

import argparse
import collections
import datetime
import enum
import pathlib
import re

import numpy as np
import pytest
import torch
from torch import nn

from movinglands.errors import UserError
from movinglands.snapshots.snapshots import Snapshots


def network(seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


STATE = network(1).state_dict()


def prefixed(prefix):
    return {prefix + name: w for name, w in STATE.items()}


def opened(folder, content, **options):
    torch.save(content, folder / "epoch_1.pt", **options)
    return Snapshots.in_folder(folder)


def assert_opens(snapshots):
    found = snapshots.check(network())[0]
    assert found.keys() == STATE.keys()
    assert all(torch.equal(found[name], w) for name, w in STATE.items())


def folder_of(folder, names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


# Names.


@pytest.mark.parametrize(
    ("names", "pattern", "steps"),
    [
        (["net_0.t7", "net_20.t7", "net_5.t7"], None, [0, 5, 20]),
        (["net_7.t7"], "*.t7", [7]),
        (["ckpt_1.pth.tar", "ckpt_30.pth.tar", "data.tar"], None, [1, 30]),
        (["epoch_12.pth.tar"], None, [12]),
        (["1_resnet50.pt", "3_resnet50.pt"], None, [1, 3]),
        (["resnet50-1.pt", "resnet50-30.pt"], None, [1, 30]),
        (["weights.01-0.95.pt", "weights.12-0.9.pt"], None, [1, 12]),
        (["ckpt_2e3.pt", "ckpt_1e3.pt"], None, [1000, 2000]),
        (["gpt-124M-1k.pt", "gpt-124M-1.5k.pt", "gpt-124M-2M.pt"], None, [1000, 1500, 2_000_000]),
        (["lr1e-3_10.pt", "lr1e-3_20.pt"], None, [10, 20]),
        (["epoch=2-val_loss=0.5.ckpt", "epoch=10-val_loss=0.4.ckpt"], None, [2, 10]),
        (["agent_500_steps.pt", "agent_1000_steps.pt"], None, [500, 1000]),
        (["steps40_epoch1.pt", "steps40_epoch2.pt"], None, [1, 2]),
        (["run_2024-05-01_7.pt", "run_2024-05-01_8.pt"], None, [7, 8]),
        (["clip_4.mp4", "clip_9.mp4"], "*.mp4", [4, 9]),
        (
            [f"checkpoint-{k}/adapter_model.safetensors" for k in (50, 100)],
            None,
            [50, 100],
        ),
        (["net_1_93.pt", "net_2_94.pt"], "net_{step}_*.pt", [1, 2]),
        (["net_1_93.pt", "net_2_94.pt", "other_5.pt"], "net_*{step}.pt", [93, 94]),
        (["a1/net_5.pt", "a2/net_10.pt"], "*/net_{step}.pt", [5, 10]),
    ],
)
def test_the_number_that_counts_is_found(tmp_path, names, pattern, steps):
    assert Snapshots.in_folder(folder_of(tmp_path, names), pattern).steps == steps


def test_a_name_without_a_number_is_left_out_and_that_is_said(tmp_path):
    folder_of(tmp_path, ["epoch_1.pt", "epoch_2.pt", "best.pt", "last.pt"])
    snapshots = Snapshots.in_folder(tmp_path)
    assert snapshots.steps == [1, 2]
    assert snapshots.notes == ("left out, as their names tell no step: best.pt, last.pt",)
    assert snapshots.thinned(2).notes == snapshots.notes


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["step_-1.pt", "step_5.pt"], "step_-1.pt: is of step -1"),
        (["net_-1.pt", "net_5.pt"], "net_-1.pt: is of step -1"),
        (["2024-05-01_12-00.pt", "2024-06-02_12-00.pt"], "tells a date"),
        (["20240501.pt"], "tells a date"),
        (["epoch=0.ckpt", "epoch=0-v1.ckpt"], "is of step 0 like"),
        (["3fa9c1.pt", "88ab12.pt"], "which of 3, 9, 1 is the step"),
    ],
)
def test_a_name_that_is_not_sure_is_refused(tmp_path, names, said):
    with pytest.raises(UserError, match=re.escape(said)) as error:
        Snapshots.in_folder(folder_of(tmp_path, names))
    assert str(tmp_path) in str(error.value)


@pytest.mark.parametrize(
    ("names", "steps"),
    [
        (["net_1_93.pt", "net_2_94.pt"], [1, 2]),
        (["resnet18_7.pt", "resnet34_9.pt"], [18, 34]),
        (["net[1]_4_1.pt", "net[1]_5_2.pt"], [4, 5]),
        (["epoch_1.pt", "epoch_2.pt", "best_0.93.pt"], [1, 2]),
        (["epoch_1.pt", "epoch_2.pt", "last-v1.pt"], [1, 2]),
        (["b16_10.pt", "b16_20.pt", "b16.pt"], [10, 20]),
        (["net_1.pt", "net_2.pt", "optimizer_1.pt", "optimizer_2.pt"], [1, 2]),
    ],
)
def test_a_pattern_that_is_named_works(tmp_path, names, steps):
    with pytest.raises(UserError) as error:
        Snapshots.in_folder(folder_of(tmp_path, names))
    pattern = re.search(r"pattern='(.*?)'", str(error.value))[1]
    assert Snapshots.in_folder(tmp_path, pattern).steps == steps


def test_a_pattern_that_is_none_is_named(tmp_path):
    with pytest.raises(UserError, match=re.escape("'/net*'")):
        Snapshots.in_folder(tmp_path, "/net*")


# Contents.


class Colour(enum.Enum):
    RED = 1


class Settings:
    def __init__(self):
        self.rate, self.colour = 0.1, Colour.RED

    def __setstate__(self, state):
        raise AssertionError("nothing of a class in a file runs")


@pytest.mark.parametrize("zipped", [True, False], ids=["zipped", "as of old"])
@pytest.mark.parametrize(
    "beside",
    [
        np.float64(91.2),
        np.float32(91.2),
        np.array([{}], object),
        np.random.RandomState(0).get_state(),
        argparse.Namespace(rate=0.1, settings=Settings()),
        pathlib.Path("data"),
        datetime.datetime(2024, 5, 1),
        collections.defaultdict(list, {1: [2]}),
        torch.__version__,
        nn.functional.relu,
        int,
    ],
    ids=lambda beside: type(beside).__name__,
)
def test_what_stands_beside_the_network_stays_closed(tmp_path, beside, zipped):
    content = {"state_dict": STATE, "beside": beside, "more": [beside]}
    assert_opens(opened(tmp_path, content, _use_new_zipfile_serialization=zipped))


@pytest.mark.parametrize(
    "content",
    [
        {"checkpoint": {"model": STATE, "epoch": 3}},
        [STATE],
        (3, {"weights": STATE}),
        {"student": STATE, "rng": {"cpu": torch.get_rng_state()}, "log": {"loss": torch.ones(9)}},
        {"run": {"net": STATE, "optimizer": torch.optim.Adam(network().parameters()).state_dict()}},
        {"averaged": prefixed("module.") | {"n_averaged": torch.tensor(4)}},
        {name: w.numpy() for name, w in STATE.items()},
        {"net": {name: np.asfortranarray(w.numpy()) for name, w in STATE.items()}},
        {"net": {name: w.numpy().astype(w.numpy().dtype.str[1:]) for name, w in STATE.items()}},
    ],
)
def test_the_only_network_is_found(tmp_path, content):
    assert_opens(opened(tmp_path, content))


@pytest.mark.parametrize(
    "pack",
    [lambda net: net, lambda net: {"model": net, "epoch": 1}, lambda net: nn.DataParallel(net)],
)
def test_a_network_that_was_saved_whole(tmp_path, pack):
    net = network(1)
    net.register_buffer("unsaved", torch.ones(2), persistent=False)
    assert_opens(opened(tmp_path, pack(net)))


@pytest.mark.parametrize("entry", ["a.net", "a.other", "b"])
def test_an_entry_within_an_entry(tmp_path, entry):
    other = {name: w + 1 for name, w in STATE.items()}
    torch.save({"a": {"net": STATE, "other": other}, "b": {"ema": STATE}}, tmp_path / "1.pt")
    found = Snapshots.in_folder(tmp_path, entry=entry)[0]
    expected = other if entry == "a.other" else STATE
    assert all(torch.equal(found[name], w) for name, w in expected.items())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"run": {"net": STATE, "ema": STATE}}, "'run.net', 'run.ema': give one with entry="),
        ({"model": STATE, "state_dict": STATE}, "'state_dict', 'model': give one with entry="),
        ({**STATE, "epoch": 3}, "holds 'epoch' among tensors: save"),
        ({"net": {**STATE, "names": np.array(["a"])}}, "'names' is an array that torch cannot"),
    ],
)
def test_what_is_not_one_network_is_named(tmp_path, content, said):
    with pytest.raises(UserError, match=re.escape(said)):
        opened(tmp_path, content)[0]


def test_a_prefix_may_be_a_wrappers(tmp_path):
    torch.save(prefixed("module.") | {"n_averaged": torch.tensor(4)}, tmp_path / "1.pt")
    assert_opens(Snapshots.in_folder(tmp_path, prefix="module."))


class Config(dict):
    """Made in a way that torch does not follow."""


def test_the_advice_of_a_refusal_works(tmp_path):
    with pytest.raises(UserError, match=r"test_checkpoints\.Config.*weights_only=False"):
        opened(tmp_path, {"model": STATE, "config": Config(rate=0.1)})[0]
    path = tmp_path / "epoch_1.pt"
    torch.save(torch.load(path, weights_only=False)["model"], path)
    assert_opens(Snapshots.in_folder(tmp_path))
