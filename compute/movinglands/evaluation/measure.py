"""How a loss is measured: modes, statistics, randomness, precision."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import UserError

MODES = ("train", "eval")
BATCH_NORMS = ("batch", "stored", "recomputed")
NOISES = ("fixed", "point")
PRECISIONS = ("float32", "tf32", "bf16")


@dataclass(frozen=True)
class Measure:
    """How the loss is measured.

    Attributes
    ----------
    mode : {"train", "eval"}
        The module's.
    batch_norm : {"batch", "stored", "recomputed"}, optional
        Norm layers' statistics: of the batch; as the snapshot stored them; or BatchNorm's
        recomputed at every point over all batches, as Garipov et al. 2018 do. By default each
        layer decides by its mode, which is the network's unless the network freezes it.
    minibatch : int, optional
        Samples drawn anew at every point, without repetition: a furred surface. By default every
        point sees all batches.
    noise : {"fixed", "point"}
        Dropout and other randomness: the same at every point, or each point's own.
    seed : int
        Seeds minibatches and noise.
    precision : {"float32", "tf32", "bf16"}
        tf32: matrix products and convolutions on a GPU; bf16: torch's autocast.

    Raises
    ------
    UserError
        Where a value is none of these.
    """

    mode: str = "train"
    batch_norm: str | None = None
    minibatch: int | None = None
    noise: str = "fixed"
    seed: int = 0
    precision: str = "float32"

    def __post_init__(self) -> None:
        for name, choices in (
            ("mode", MODES),
            ("batch_norm", (None, *BATCH_NORMS)),
            ("noise", NOISES),
            ("precision", PRECISIONS),
        ):
            if getattr(self, name) not in choices:
                expected = ", ".join(str(choice) for choice in choices)
                raise UserError(f"{name}: expected one of {expected}, got {getattr(self, name)!r}.")

    @property
    def statistics(self) -> str:
        """Where BatchNorm's statistics come from, resolved."""
        return self.batch_norm or ("batch" if self.mode == "train" else "stored")
