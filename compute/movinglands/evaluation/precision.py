"""The precision that a network computes in, and torch's settings for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

NAMES = {
    torch.float16: "float16",
    torch.bfloat16: "bf16",
    torch.float32: "float32",
    torch.float64: "float64",
}
"""From the coarsest to the finest."""


class Precisions(TorchDispatchMode):
    """Sees what torch computes, whoever asks for it: layers, autocast, the loss.

    Attributes
    ----------
    seen : set of dtype
        Real types of all that was computed.
    nbytes : int
        Of all that was computed, views not counted: more than was held at a time.
    """

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[torch.dtype] = set()
        self.nbytes = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        answer = func(*args, **(kwargs or {}))
        tensors = [t for t in pytree.tree_leaves(answer) if isinstance(t, Tensor)]
        self.seen |= {t.dtype.to_real() for t in tensors if t.is_floating_point() or t.is_complex()}
        if not func.is_view:
            self.nbytes += sum(t.nbytes for t in tensors if t.layout == torch.strided)
        return answer

    @property
    def coarsest(self) -> str:
        """Return the name of the coarsest of them."""
        return next((name for dtype, name in NAMES.items() if dtype in self.seen), "float32")


@contextmanager
def exactly(precision: str) -> Iterator[None]:
    """Let matrix products and convolutions be TF32, or not, and restore the settings."""
    cudnn: Any = torch.backends.cudnn
    tf32 = precision == "tf32"
    try:
        before = torch.get_float32_matmul_precision(), cudnn.allow_tf32
    except RuntimeError:  # they were set by their newer names, which torch refuses to mix
        with _exactly_by_newer_names(tf32):
            yield
        return
    try:
        torch.set_float32_matmul_precision("high" if tf32 else "highest")
        cudnn.allow_tf32 = tf32
        yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        cudnn.allow_tf32 = before[1]


@contextmanager
def _exactly_by_newer_names(tf32: bool) -> Iterator[None]:
    cuda: Any = torch.backends.cuda
    cudnn: Any = torch.backends.cudnn
    settings = cuda.matmul, cudnn.conv, cudnn.rnn
    before = [setting.fp32_precision for setting in settings]
    try:
        for setting in settings:
            setting.fp32_precision = "tf32" if tf32 else "ieee"
        yield
    finally:
        for setting, value in zip(settings, before, strict=True):
            setting.fp32_precision = value
