"""Snapshots of what transformers' Trainer trains.

::

    trainer = Trainer(model, arguments, callbacks=[TrainerRecorder("run/snapshots", every=10)])
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn, optim

from ..snapshots.recorder import Recorder
from ..snapshots.snapshots import Snapshots

try:
    from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
except ImportError as error:
    raise ImportError(
        "TrainerRecorder needs transformers: pip install 'movinglands[transformers]'."
    ) from error


class TrainerRecorder(TrainerCallback):
    """Records the network before the first update, at every ``every``-th, and after the last.

    Beside a snapshot stand ``learning_rate``, of the next update (in the optimizer's first group),
    and, where the Trainer logs at that very step, the ``loss`` it logs: the mean since it logged
    before. ``logging_steps=1`` gives each snapshot its own. A training that is stopped early ends
    with its latest ``every``-th update: by then the Trainer may have put the best network back.

    Parameters
    ----------
    folder, every
        As for ``Recorder``.
    """

    def __init__(self, folder: str | Path | None = None, every: int = 1) -> None:
        self.recorder = Recorder(folder, every)

    @property
    def snapshots(self) -> Snapshots:
        """All that is recorded so far."""
        return self.recorder.snapshots

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._record(state, **kwargs)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if not control.should_log:  # else on_log follows, with the loss
            self._record(state, **kwargs)

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if "loss" in kwargs["logs"]:
            self._record(state, **kwargs)

    def _record(
        self,
        state: TrainerState,
        model: nn.Module,
        optimizer: optim.Optimizer,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        scalars = {"learning_rate": optimizer.param_groups[0]["lr"]}
        if logs is not None:
            scalars["loss"] = logs["loss"]
        last = state.global_step == state.max_steps
        record = self.recorder.keep if last else self.recorder.record
        record(model, state.global_step, **scalars)
