"""Snapshots of what Lightning's Trainer trains.

::

    trainer = Trainer(callbacks=[LightningRecorder("run/snapshots", every=10)])
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from ..snapshots.recorder import Recorder
from ..snapshots.snapshots import Snapshots

try:
    from lightning.pytorch import Callback, LightningModule, Trainer
except ImportError as error:
    raise ImportError(
        "LightningRecorder needs Lightning: pip install 'movinglands[lightning]'."
    ) from error


class LightningRecorder(Callback):
    """Records the network before the first update, at every ``every``-th, and after the last.

    Beside a snapshot stand ``loss``, of the update that led to it, and ``learning_rate``, of the
    next one (in the first optimizer's first group). Steps are Lightning's ``global_step``, which
    counts the updates of all optimizers.

    Parameters
    ----------
    folder, every
        As for ``Recorder``.
    network : str
        The part of the LightningModule to record: ``"model"`` for what it keeps as ``self.model``;
        by itself the whole.
    """

    def __init__(self, folder: str | Path | None = None, every: int = 1, network: str = "") -> None:
        self.recorder = Recorder(folder, every)
        self.network = network
        self._step = 0
        self._loss: Tensor | float = 0.0
        self._scalars: dict[str, Tensor | float] = {}

    @property
    def snapshots(self) -> Snapshots:
        """All that is recorded so far."""
        return self.recorder.snapshots

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._step, self._loss = trainer.global_step, 0.0
        self._scalars = _learning_rate(trainer)
        self.recorder.record(pl_module.get_submodule(self.network), self._step, **self._scalars)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
        if isinstance(loss, Tensor):
            self._loss = self._loss + loss.detach()  # its parts, where gradients accumulate
        if trainer.global_step == self._step:
            return
        self._step = trainer.global_step
        self._scalars = _learning_rate(trainer)
        if isinstance(self._loss, Tensor):
            self._scalars["loss"] = self._loss
        self._loss = 0.0
        self.recorder.record(pl_module.get_submodule(self.network), self._step, **self._scalars)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._step % self.recorder.every:
            self.recorder.keep(pl_module.get_submodule(self.network), self._step, **self._scalars)


def _learning_rate(trainer: Trainer) -> dict[str, Tensor | float]:
    if not trainer.optimizers:
        return {}
    return {"learning_rate": trainer.optimizers[0].param_groups[0]["lr"]}
