"""The recorder in the real trainers of Lightning and transformers."""

import importlib
import sys

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from movinglands.snapshots.snapshots import Snapshots

# Both warn of few workers, of ways to log, of machines that are not there.
pytestmark = pytest.mark.filterwarnings("ignore")


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], value) for name, value in expected.items())


@pytest.mark.parametrize(
    ("module", "library", "extra"),
    [
        ("lightning", "lightning.pytorch", "lightning"),
        ("transformers", "transformers", "transformers"),
    ],
)
def test_a_missing_library_is_named(monkeypatch, module, library, extra):
    name = f"movinglands.callbacks.{module}"
    monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ImportError, match=rf"pip install 'movinglands\[{extra}\]'"):
        importlib.import_module(name)


# Lightning.

IMAGES = torch.randn(14, 5, generator=torch.Generator().manual_seed(2))
LABELS = torch.arange(14) % 3
BATCHES = [(IMAGES[k : k + 2], LABELS[k : k + 2]) for k in range(0, 14, 2)]


def network():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))


def optimizers(net):
    optimizer = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)
    return optimizer, torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)


def by_hand(epochs, accumulate):
    """The same training in a plain loop: states, losses and rates after 0, 1, 2 ... updates."""
    net = network().train()
    optimizer, scheduler = optimizers(net)
    states, losses, rates = [], [], []

    def note(loss):
        states.append({name: w.clone() for name, w in net.state_dict().items()})
        losses.append(loss)
        rates.append(optimizer.param_groups[0]["lr"])

    note(np.nan)
    for _ in range(epochs):
        for k in range(0, len(BATCHES) - len(BATCHES) % accumulate, accumulate):
            optimizer.zero_grad()
            parts = []
            for images, labels in BATCHES[k : k + accumulate]:
                parts.append(nn.functional.cross_entropy(net(images), labels) / accumulate)
                parts[-1].backward()
            optimizer.step()
            scheduler.step()
            note(float(sum(parts)))
    return Snapshots.of(states, range(len(states)), {"loss": losses, "learning_rate": rates})


def assert_close(found, expected):
    """To rounding, which the batches' place in memory decides; BatchNorm's counter exactly."""
    torch.testing.assert_close(dict(found), dict(expected), rtol=1e-4, atol=1e-6)


def fit(callbacks, folder, epochs=2, accumulate=1, resume=None, fails_at=None):
    import lightning.pytorch as pl

    class Classifier(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.model = network()
            self.register_buffer("class_weights", torch.ones(3))

        def training_step(self, batch, index):
            if self.global_step == fails_at:
                raise KeyError("fails")
            return nn.functional.cross_entropy(self.model(batch[0]), batch[1])

        def validation_step(self, batch, index):
            self.model(batch[0])

        def configure_optimizers(self):
            optimizer, scheduler = optimizers(self.model)
            return [optimizer], [{"scheduler": scheduler, "interval": "step"}]

    whole = len(BATCHES) // accumulate * accumulate * 2  # no update of a part
    batches = DataLoader(TensorDataset(IMAGES[:whole], LABELS[:whole]), 2)
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        accumulate_grad_batches=accumulate,
        callbacks=callbacks,
        default_root_dir=folder,
        enable_checkpointing=any(isinstance(c, pl.callbacks.ModelCheckpoint) for c in callbacks),
        enable_progress_bar=False,
        enable_model_summary=False,
        logger=False,
    )
    module = Classifier()
    trainer.fit(module, batches, batches, ckpt_path=resume)
    return module


def lightning_recorder(*arguments, **options):
    from movinglands.callbacks.lightning import LightningRecorder

    return LightningRecorder(*arguments, **options)


@pytest.mark.parametrize(("accumulate", "steps"), [(1, [0, 4, 8, 12, 14]), (3, [0, 4])])
def test_lightning_trains_and_it_is_recorded(tmp_path, accumulate, steps):
    recorder = lightning_recorder(tmp_path / "snapshots", every=4, network="model")
    all_steps = lightning_recorder(network="model")
    fit([recorder, all_steps], tmp_path, accumulate=accumulate)
    expected = by_hand(2, accumulate)
    found = all_steps.snapshots.check(network())
    assert found.steps == expected.steps
    for t in range(len(found)):
        assert_close(found[t], expected[t])
    for name, values in expected.scalars.items():
        np.testing.assert_allclose(found.scalars[name], values, rtol=1e-5, err_msg=name)
    assert recorder.snapshots.steps == steps
    for t, step in enumerate(steps):
        assert_same(recorder.snapshots[t], found[step])
    for name, values in recorder.snapshots.scalars.items():
        np.testing.assert_array_equal(values, found.scalars[name][steps], err_msg=name)


def test_lightning_goes_on_and_so_does_the_record(tmp_path):
    import lightning.pytorch as pl

    folder = tmp_path / "snapshots"
    checkpoint = pl.callbacks.ModelCheckpoint(tmp_path / "saved", every_n_epochs=1)
    with pytest.raises(KeyError):
        fit([lightning_recorder(folder, network="model"), checkpoint], tmp_path, fails_at=10)
    assert Snapshots.in_folder(folder).steps == list(range(11))
    (saved,) = (tmp_path / "saved").iterdir()
    fit([lightning_recorder(folder, network="model")], tmp_path, resume=saved)
    found, expected = Snapshots.in_folder(folder), by_hand(2, 1)
    assert found.steps == expected.steps
    for t in range(len(found)):
        assert_close(found[t], expected[t])
    np.testing.assert_allclose(found.scalars["loss"][8:], expected.scalars["loss"][8:], rtol=1e-5)


def test_lightnings_own_checkpoints_are_snapshots(tmp_path):
    import lightning.pytorch as pl

    checkpoint = pl.callbacks.ModelCheckpoint(
        tmp_path / "saved", every_n_train_steps=1, save_top_k=-1, save_last=True
    )
    whole, part = lightning_recorder(), lightning_recorder(network="model")
    module = fit([checkpoint, whole, part], tmp_path, epochs=1)
    saved = Snapshots.in_folder(tmp_path / "saved", "epoch=*.ckpt").check(module)
    assert saved.steps == list(range(1, 8))
    for t in range(7):
        assert_same(saved[t], whole.snapshots[t + 1])
    saved = Snapshots.in_folder(tmp_path / "saved", "epoch=*.ckpt", prefix="model.")
    with pytest.raises(Exception, match="class_weights"):  # of the whole, no longer there
        saved.check(module)
    saved.check(module.model)
    for t in range(7):
        assert_same(saved[t], part.snapshots[t + 1])


# transformers.

SENTENCES = torch.randint(0, 16, (12, 6), generator=torch.Generator().manual_seed(3))
UPDATES = 6


def language_model():
    from transformers import GPT2Config, GPT2LMHeadModel

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return GPT2LMHeadModel(
            GPT2Config(
                vocab_size=16, n_positions=8, n_embd=8, n_layer=1, n_head=2,
                bos_token_id=0, eos_token_id=0,
            )
        )  # fmt: skip


def finetune(folder, callbacks, resume=None, **arguments):
    from transformers import Trainer, TrainingArguments

    model = language_model()
    trainer = Trainer(
        model,
        TrainingArguments(
            str(folder),
            **{
                "max_steps": UPDATES,
                "per_device_train_batch_size": 2,
                "gradient_accumulation_steps": 2,
                "learning_rate": 0.01,
                "lr_scheduler_type": "linear",
                "logging_steps": 1,
                "save_steps": 1,
                "use_cpu": True,
                "report_to": [],
                "disable_tqdm": True,
                **arguments,
            },
        ),
        train_dataset=[{"input_ids": s, "labels": s} for s in SENTENCES],
        eval_dataset=[{"input_ids": s, "labels": s} for s in SENTENCES[:2]],
        callbacks=callbacks,
    )
    trainer.train(resume_from_checkpoint=resume)
    return trainer


def trainer_recorder(*arguments, **options):
    from movinglands.callbacks.transformers import TrainerRecorder

    return TrainerRecorder(*arguments, **options)


def logged(trainer):
    """The loss the Trainer has logged at each step, NaN where it has none."""
    losses = np.full(UPDATES + 1, np.nan)
    for entry in trainer.state.log_history:
        if "loss" in entry:
            losses[entry["step"]] = entry["loss"]
    return losses


def test_transformers_trains_and_it_is_recorded(tmp_path):
    """Against the checkpoints that the Trainer writes itself, tied embeddings and all."""
    initial = language_model()
    recorder, sparse = trainer_recorder(), trainer_recorder(tmp_path / "snapshots", every=4)
    trainer = finetune(tmp_path / "run", [recorder, sparse])
    saved = Snapshots.in_folder(tmp_path / "run")
    assert "lm_head.weight" not in saved[0], "tied names are all written: this shows nothing"
    saved, found = saved.check(initial), recorder.snapshots.check(initial)
    assert (saved.steps, found.steps) == (list(range(1, UPDATES + 1)), list(range(UPDATES + 1)))
    assert_same(found[0], initial.state_dict())
    for t in range(UPDATES):
        assert_same(found[t + 1], saved[t])
    rates = 0.01 * (1 - np.arange(UPDATES + 1) / UPDATES)
    np.testing.assert_allclose(found.scalars["learning_rate"], rates, atol=1e-12)
    losses = logged(trainer)
    assert np.isnan(losses).tolist() == [True] + [False] * UPDATES
    np.testing.assert_array_equal(found.scalars["loss"], losses)
    assert sparse.snapshots.steps == [0, 4, 6]
    for t, step in enumerate(sparse.snapshots.steps):
        assert_same(sparse.snapshots[t], found[step])
    np.testing.assert_array_equal(sparse.snapshots.scalars["loss"], losses[[0, 4, 6]])


def test_transformers_logs_now_and_then_and_puts_the_best_network_back(tmp_path):
    recorder = trainer_recorder()
    trainer = finetune(
        tmp_path,
        [recorder],
        logging_steps=4,
        eval_strategy="steps",
        eval_steps=1,
        load_best_model_at_end=True,
        metric_for_best_model="eval_loss",
        greater_is_better=True,  # so that the best is not the last
    )
    saved = Snapshots.in_folder(tmp_path).check(trainer.model)
    found = recorder.snapshots
    assert_same(found[UPDATES], saved[-1])
    last = trainer.model.state_dict()
    assert not all(torch.equal(last[name], value) for name, value in found[UPDATES].items())
    losses = logged(trainer)
    assert np.isfinite(losses).nonzero()[0].tolist() == [4]
    np.testing.assert_array_equal(found.scalars["loss"], losses)


def test_transformers_goes_on_and_so_does_the_record(tmp_path):
    whole, folder = trainer_recorder(), tmp_path / "snapshots"
    finetune(tmp_path / "run", [whole])
    resumed = trainer_recorder(folder)
    finetune(tmp_path / "run", [resumed], resume=str(tmp_path / "run" / "checkpoint-3"))
    assert resumed.snapshots.steps == [3, 4, 5, 6]
    for t, step in enumerate(resumed.snapshots.steps):
        assert_same(resumed.snapshots[t], whole.snapshots[step])
