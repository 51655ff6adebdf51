"""Recipes: what a piece is made of.

A recipe has one table for each step of the way. The dataclasses here, and those of the registries
of networks, data sets and directions, are the schema: their fields are the keys, their defaults the
defaults, their metadata the bounds. "kinds" are tables whose ``name`` decides on their dataclass;
"names" are of what may be a table with keys of its own, whose dataclass "kind" finds.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from ..data.digits import Digits
from ..data.registry import DATA_SETS
from ..data.source import Data
from ..keys import number, one_of, seed
from ..networks.convnet import Convnet
from ..networks.network import Network
from ..networks.registry import NETWORKS
from ..planes.directions import DIRECTIONS, directions_class
from ..scales import SCALES

QUALITIES = ("preview", "standard", "final")


@dataclass(frozen=True)
class Training:
    """Stochastic gradient descent, and how many of its moments are filmed.

    ``spacing`` is the power p in ``step = steps * (k / (snapshots - 1)) ** p``: above 1 the first
    steps, where the loss falls fastest, get more of the film.
    """

    learning_rate: float = number(0.05, 0, 1e6)
    momentum: float = number(0.9, 0, 1)
    weight_decay: float = number(0.0, 0, 1)
    batch: int = number(64, 1, 1_000_000)
    steps: int = number(400, 1, 1_000_000_000)
    snapshots: int = number(72, 2, 1_000_000)
    spacing: float = number(1.0, 0.1, 10)
    seed: int = seed()


@dataclass(frozen=True)
class SurfaceTable:
    """The window on the loss: where it looks, how finely, and on which data.

    ``range`` is half the window's width in units of the directions: "random" ones, normalised to
    the final weights; the "trajectory"'s two principal components; the leading eigenvectors of
    the final "hessian" (these two as long as the final weights). Those with keys of their own are
    a table, as ``directions = {name = "file", path = "axes.pt"}``. ``window`` is "travelling"
    (centred on the current weights) or "fixed" (on the final ones).

    The loss is measured on one fixed batch of ``batch`` training images (0: all of them), or on
    ``minibatch`` drawn anew at every point; BatchNorm in ``mode``, or with the statistics that
    ``batch_norm`` names. ``noise`` is dropout's: the same at every point, or each point's own.
    ``accuracy`` and ``test`` add metrics. ``tolerance``, above 0, measures only where
    interpolation is wrong by more than this part of the height range.
    """

    resolution: int = number(160, 2, 20_000)
    range: float = number(1.0, 1e-9, 1e9)
    window: str = one_of("travelling", "fixed")
    mode: str = one_of("train", "eval")
    batch_norm: str = one_of("mode", "batch", "stored", "recomputed")
    batch: int = number(8, 0, 1_000_000)
    batch_seed: int = seed()
    minibatch: int = number(0, 0, 1_000_000)
    noise: str = one_of("fixed", "point")
    directions: Any = field(
        default="random", metadata={"names": DIRECTIONS, "kind": directions_class}
    )
    normalisation: str = one_of("filter", "layer", "none")
    one_dimensional: str = one_of("ignore", "weights")
    seed: int = seed()
    accuracy: bool = False
    test: bool = False
    tolerance: float = number(0.0, 0, 0.5)
    precision: str = one_of("float32", "tf32", "bf16")


@dataclass(frozen=True)
class Film:
    """The film: its length, its pictures, and what is laid over them. Seconds, pixels, samples.

    Over them: title and sentence, the recipe of the run, the loss beside the minimizer, the
    counter of optimizer steps, badges with losses on the way, the learning rate as a curve.
    """

    fps: int = number(24, 1, 240)
    seconds: float = number(5.0, 0.01, 36_000)
    width: int = number(640, 16, 16_384)
    height: int = number(360, 16, 16_384)
    samples: int = number(8, 1, 65_536)
    poster_at: float = number(0.7, 0, 1)
    poster_width: int = number(1280, 16, 16_384)
    poster_samples: int = number(48, 1, 65_536)
    motion_blur: bool = False
    show_title: bool = True
    show_recipe: bool = True
    show_loss: bool = True
    show_step: bool = True
    show_badges: bool = True
    show_rate: bool = False


LOOKS = ("flesh", "fur", "ink", "specimen")
"""What a land may be made of; the add-on has them."""


@dataclass(frozen=True)
class Look:
    """Material, light and the transform from loss to height.

    ``relief`` is the height of the land over the width of the window. ``clip_low`` and
    ``clip_high`` are the percentages of all points between which heights tell losses apart;
    ``reverse`` turns valleys into peaks. Several surfaces stand side by side, or over each other.
    """

    name: str = one_of(*LOOKS)
    scale: str = one_of(*SCALES)
    relief: float = number(0.24, 0.001, 100)
    clip_low: float = number(0.0, 0, 100)
    clip_high: float = number(100.0, 0, 100)
    reverse: bool = False
    arrange: str = one_of("side", "over")


@dataclass(frozen=True)
class Framing:
    """Where the film is seen from.

    ``azimuth``, ``elevation`` and ``drift`` are degrees, ``distance`` is in widths of the window;
    ``third`` and ``rise`` place the minimizer in the frame, from its left and from its bottom;
    ``follow`` is how much of the descent the camera shares. What is not said is the rig's own.
    """

    lens: float | None = number(None, 1, 5000)
    azimuth: float | None = number(None, -360, 360)
    elevation: float | None = number(None, -90, 90)
    distance: float | None = number(None, 0.01, 100)
    drift: float | None = number(None, -360, 360)
    third: float | None = number(None, 0.05, 0.95)
    rise: float | None = number(None, 0.05, 0.95)
    follow: float | None = number(None, 0, 1)


RIGS = ("ride", "coaster", "orbit", "below", "goblin", "crawl", "wide", "twin", "fly-line")
"""What moves the camera; the add-on has them."""


@dataclass(frozen=True)
class Act(Framing):
    """A part of the film, to the start of the next: ``start`` is a share of the whole.

    Without a ``rig`` of its own it has the film's. It comes from the act before with a ``cut``, a
    ``fade`` over black, or ``ease`` s into it as one move. "fly-line" flies along a ``line``: one
    of the paths of the sequence.
    """

    rig: str | None = field(default=None, metadata={"choices": RIGS})
    start: float = number(0.0, 0, 1)
    transition: str = one_of("cut", "fade", "ease")
    line: str = ""


@dataclass(frozen=True)
class Camera(Framing):
    """Where the film is seen from, as a whole or act by act."""

    rig: str = one_of(*RIGS)
    acts: list[Act] = field(default_factory=list, metadata={"tables": Act})


@dataclass(frozen=True)
class Recipe:
    """A whole piece, resolved: every key has its value and is within its bounds.

    Only keys of a framing, and the rig of an act, may have none.
    """

    title: str = "Untitled"
    sentence: str = ""
    credits: str = ""
    quality: str = "preview"
    data: Data = field(default_factory=Digits, metadata={"kinds": DATA_SETS})
    network: Network = field(default_factory=Convnet, metadata={"kinds": NETWORKS})
    training: Training = field(default_factory=Training)
    surface: SurfaceTable = field(default_factory=SurfaceTable)
    film: Film = field(default_factory=Film)
    look: Look = field(default_factory=Look)
    camera: Camera = field(default_factory=Camera)

    def to_toml(self) -> str:
        """Return the recipe as TOML text; reading it again gives an equal recipe.

        Keys without a value are left out.
        """
        import tomli_w  # here, because reading a recipe does without it

        return tomli_w.dumps(dataclasses.asdict(self, dict_factory=_without_none))

    def computed(self) -> dict[str, Any]:
        """Return the keys that decide what is computed, by dotted name.

        The others (title, film, look, camera) change the pictures, not the surfaces.
        """
        tables = ("data", "network", "training", "surface")
        values = dataclasses.asdict(self)
        return {f"{table}.{key}": value for table in tables for key, value in values[table].items()}


def _without_none(items: list[tuple[str, Any]]) -> dict[str, Any]:
    return {key: value for key, value in items if value is not None}
