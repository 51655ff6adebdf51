"""Recipes: what a piece is made of, as TOML, checked before anything is computed.

A recipe has one table for each step of the way, and ``[quality.<name>.<table>]`` tables that
change numbers only. The dataclasses below are the schema: their fields are the keys, their
defaults the defaults, their metadata the bounds.
"""

from __future__ import annotations

import dataclasses
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..places import scenes

QUALITIES = ("preview", "standard", "final")


def _one_of(default: str, *others: str) -> Any:
    return field(default=default, metadata={"choices": (default, *others)})


def _number(default: float | None, low: float, high: float) -> Any:
    return field(default=default, metadata={"low": low, "high": high})


def _seed() -> Any:
    return _number(0, 0, 2**32 - 1)


@dataclass(frozen=True)
class Data:
    """What the network learns, resized to ``size`` x ``size`` pixels.

    "digits" and "faces" come with the installation. The others have a ``source``: the path of a
    "folder" of images or of "idx" files, or a "hub" set's name, with its configuration after a
    colon where it has several; ``label`` is its column of classes, where that is not plain.
    At most ``limit`` images are taken for training, and for testing; 0 takes all.
    """

    name: str = _one_of("digits", "faces", "folder", "idx", "hub")
    source: str = ""
    label: str = ""
    size: int = _number(8, 4, 512)
    limit: int = _number(0, 0, 1_000_000_000)
    seed: int = _seed()

    def __post_init__(self) -> None:
        if self.name in ("digits", "faces"):
            if self.source:
                raise ValueError(f'source: {self.name} has none: expected "", got {self.source!r}.')
        elif not self.source:
            wanted = "the name of a data set" if self.name == "hub" else "the path of a folder"
            raise ValueError(f"source: {self.name} needs {wanted}, got {self.source!r}.")
        if self.label and self.name != "hub":
            raise ValueError(f'label: only hub has one: expected "", got {self.label!r}.')


@dataclass(frozen=True)
class Network:
    """The network: ``depth`` 3 x 3 convolutions of ``width`` channels with BatchNorm."""

    name: str = _one_of("convnet")
    width: int = _number(12, 1, 4096)
    depth: int = _number(6, 1, 200)
    seed: int = _seed()


@dataclass(frozen=True)
class Training:
    """Stochastic gradient descent, and how many of its moments are filmed.

    ``spacing`` is the power p in ``step = steps * (k / (snapshots - 1)) ** p``: above 1 the first
    steps, where the loss falls fastest, get more of the film.
    """

    learning_rate: float = _number(0.05, 0, 1e6)
    momentum: float = _number(0.9, 0, 1)
    weight_decay: float = _number(0.0, 0, 1)
    batch: int = _number(64, 1, 1_000_000)
    steps: int = _number(400, 1, 1_000_000_000)
    snapshots: int = _number(72, 2, 1_000_000)
    spacing: float = _number(1.0, 0.1, 10)
    seed: int = _seed()


@dataclass(frozen=True)
class Surface:
    """The window on the loss: where it looks, how finely, and on which data.

    ``range`` is half the window's width in units of the directions: "random" ones, normalised to
    the final weights; the "trajectory"'s two principal components; the leading eigenvectors of
    the final "hessian" (these two as long as the final weights). ``window`` is "travelling"
    (centred on the current weights) or "fixed" (on the final ones).

    The loss is measured on one fixed batch of ``batch`` training images (0: all of them), or on
    ``minibatch`` drawn anew at every point; BatchNorm in ``mode``, or with the statistics that
    ``batch_norm`` names. ``noise`` is dropout's: the same at every point, or each point's own.
    ``accuracy`` and ``test`` add metrics. ``tolerance``, above 0, measures only where
    interpolation is wrong by more than this part of the height range.
    """

    resolution: int = _number(160, 2, 20_000)
    range: float = _number(1.0, 1e-9, 1e9)
    window: str = _one_of("travelling", "fixed")
    mode: str = _one_of("train", "eval")
    batch_norm: str = _one_of("mode", "batch", "stored", "recomputed")
    batch: int = _number(8, 0, 1_000_000)
    batch_seed: int = _seed()
    minibatch: int = _number(0, 0, 1_000_000)
    noise: str = _one_of("fixed", "point")
    directions: str = _one_of("random", "trajectory", "hessian")
    normalisation: str = _one_of("filter", "layer", "none")
    one_dimensional: str = _one_of("ignore", "weights")
    seed: int = _seed()
    accuracy: bool = False
    test: bool = False
    tolerance: float = _number(0.0, 0, 0.5)
    precision: str = _one_of("float32", "tf32", "bf16")


@dataclass(frozen=True)
class Film:
    """The film: its length, its pictures, and what is laid over them. Seconds, pixels, samples.

    Over them: title and sentence, the recipe of the run, the loss beside the minimizer, the
    counter of optimizer steps, badges with losses on the way, the learning rate as a curve.
    """

    fps: int = _number(24, 1, 240)
    seconds: float = _number(5.0, 0.01, 36_000)
    width: int = _number(640, 16, 16_384)
    height: int = _number(360, 16, 16_384)
    samples: int = _number(8, 1, 65_536)
    poster_at: float = _number(0.7, 0, 1)
    poster_width: int = _number(1280, 16, 16_384)
    poster_samples: int = _number(48, 1, 65_536)
    motion_blur: bool = False
    show_title: bool = True
    show_recipe: bool = True
    show_loss: bool = True
    show_step: bool = True
    show_badges: bool = True
    show_rate: bool = False


@dataclass(frozen=True)
class Look:
    """Material, light and the transform from loss to height.

    ``relief`` is the height of the land over the width of the window. ``clip_low`` and
    ``clip_high`` are the percentages of all points between which heights tell losses apart;
    ``reverse`` turns valleys into peaks. Several surfaces stand side by side, or over each other.
    """

    name: str = _one_of("flesh", "fur", "ink", "specimen")
    scale: str = _one_of("log", "linear", "symlog")
    relief: float = _number(0.24, 0.001, 100)
    clip_low: float = _number(0.0, 0, 100)
    clip_high: float = _number(100.0, 0, 100)
    reverse: bool = False
    arrange: str = _one_of("side", "over")


@dataclass(frozen=True)
class Framing:
    """Where the film is seen from.

    ``azimuth``, ``elevation`` and ``drift`` are degrees, ``distance`` is in widths of the window;
    ``third`` and ``rise`` place the minimizer in the frame, from its left and from its bottom;
    ``follow`` is how much of the descent the camera shares. What is not said is the rig's own.
    """

    lens: float | None = _number(None, 1, 5000)
    azimuth: float | None = _number(None, -360, 360)
    elevation: float | None = _number(None, -90, 90)
    distance: float | None = _number(None, 0.01, 100)
    drift: float | None = _number(None, -360, 360)
    third: float | None = _number(None, 0.05, 0.95)
    rise: float | None = _number(None, 0.05, 0.95)
    follow: float | None = _number(None, 0, 1)


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
    start: float = _number(0.0, 0, 1)
    transition: str = _one_of("cut", "fade", "ease")
    line: str = ""


@dataclass(frozen=True)
class Camera(Framing):
    """Where the film is seen from, as a whole or act by act."""

    rig: str = _one_of(*RIGS)
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
    data: Data = field(default_factory=Data)
    network: Network = field(default_factory=Network)
    training: Training = field(default_factory=Training)
    surface: Surface = field(default_factory=Surface)
    film: Film = field(default_factory=Film)
    look: Look = field(default_factory=Look)
    camera: Camera = field(default_factory=Camera)

    def to_toml(self) -> str:
        """Return the recipe as TOML text; reading it again gives an equal recipe.

        Keys without a value are left out.
        """
        import tomli_w  # here, because reading a recipe needs the standard library only

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


def read_recipe(
    text: str, source: str, quality: str | None = None, changes: dict[str, Any] | None = None
) -> Recipe:
    """Read and check a recipe.

    Parameters
    ----------
    text : str
        TOML.
    source : str
        What to call the text in errors, a file name mostly.
    quality : str, optional
        One of ``QUALITIES``; its tables are laid over the others. By default the recipe's own
        ``quality`` key, else "preview".
    changes : dict, optional
        Last word, by dotted key: ``{"surface.resolution": 548}``.

    Raises
    ------
    UserError
        For TOML that cannot be parsed, an unknown key, a value of the wrong type or out of bounds.
    """
    try:
        values = tomllib.loads(text)
    except ValueError as error:  # also for a number of thousands of digits
        raise UserError(f"{source}: not TOML: {error}.") from None
    layers = values.pop("quality", {})
    if isinstance(layers, str):  # a resolved recipe, as a sequence file carries it
        quality, layers = quality or layers, {}
    quality = quality or QUALITIES[0]
    for name in (quality, *_table(layers, f"{source}: quality")):
        if name not in QUALITIES:
            expected = ", ".join(QUALITIES)
            raise UserError(f"{source}: quality: expected one of {expected}, got {name!r}.")
    _build(Recipe, values, source)
    for name, layer in layers.items():
        # Those not asked for too: a slip in [quality.final] should not wait until its night.
        where = f"{source}: quality.{name}"
        _build(Recipe, _laid_over(values, _table(layer, where)), where)
    values = _laid_over(values, layers.get(quality, {}))
    for key, value in (changes or {}).items():
        if key == "quality":
            raise UserError("--set quality: the quality is chosen with --quality.")
        table, _, name = key.rpartition(".")
        values = _laid_over(values, {table: {name: value}} if table else {name: value})
    return _build(Recipe, values | {"quality": quality}, source)


def load_recipe(
    path: Path, quality: str | None = None, changes: dict[str, Any] | None = None
) -> Recipe:
    """Read and check a recipe file; the rest is as in ``read_recipe``."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UserError(f"{path}: not TOML: not even UTF-8 text.") from None
    return read_recipe(text, str(path), quality, changes)


def parse_change(assignment: str) -> tuple[str, Any]:
    """Split ``surface.resolution=548`` into its key and its TOML value (a bare word is text)."""
    key, equals, value = assignment.partition("=")
    if not equals or not key.strip():
        raise UserError(f"--set {assignment}: expected KEY=VALUE, surface.resolution=548 say.")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except ValueError:
        return key.strip(), value.strip()


def _table(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UserError(f"{where}: expected a table of keys, got {value!r}.")
    return value


def _laid_over(values: dict[str, Any], layer: dict[str, Any]) -> dict[str, Any]:
    """Return the values with those of a layer instead, table by table."""
    merged = dict(values)
    for key, value in layer.items():
        below = values.get(key)
        if isinstance(value, dict) and isinstance(below, dict):
            value = below | value
        merged[key] = value
    return merged


def _build(cls: type, values: dict[str, Any], source: str, path: str = "") -> Any:
    fields = {f.name: f for f in dataclasses.fields(cls)}
    for key in values:
        if key not in fields:
            raise UserError(f"{source}: unknown key {path}{key}; known are {', '.join(fields)}.")
    checked = {}
    for key, value in values.items():
        factory = fields[key].default_factory
        if isinstance(factory, type) and dataclasses.is_dataclass(factory):
            table = _table(value, f"{source}: {path}{key}")
            checked[key] = _build(factory, table, source, f"{path}{key}.")
        elif "tables" in fields[key].metadata:
            checked[key] = _tables(fields[key], value, source, f"{path}{key}")
        else:
            checked[key] = _check(fields[key], value, f"{source}: {path}{key}")
    try:
        return cls(**checked)
    except ValueError as error:  # keys that do not go together
        raise UserError(f"{source}: {path}{error}") from None


def _tables(spec: dataclasses.Field, value: Any, source: str, path: str) -> list[Any]:
    if not isinstance(value, list):
        raise UserError(f"{source}: {path}: expected tables [[{path}]], got {value!r}.")
    rows = [(f"{path} {n}", row) for n, row in enumerate(value, 1)]
    return [
        _build(spec.metadata["tables"], _table(row, f"{source}: {at}"), source, f"{at}: ")
        for at, row in rows
    ]


def _check(spec: dataclasses.Field, value: Any, where: str) -> Any:
    choices, low = spec.metadata.get("choices"), spec.metadata.get("low")
    expected: Any = type(spec.default)
    if spec.default is None:
        expected = str if choices else float
    if type(value) is not expected and (expected, type(value)) != (float, int):
        raise UserError(f"{where}: expected {expected.__name__}, got {value!r}.")
    if choices and value not in choices:
        raise UserError(f"{where}: expected one of {', '.join(choices)}, got {value!r}.")
    if low is not None and not low <= value <= spec.metadata["high"]:
        high = spec.metadata["high"]
        raise UserError(f"{where}: expected {low:g} to {high:g}, got {value!r}.")
    if expected is str and "\0" in value:  # HDF5 cannot keep it
        raise UserError(f"{where}: expected text without NUL, got {value!r}.")
    return expected(value)


def find_recipe(scene: str) -> Path:
    """Return the recipe file of a piece's name, or of a path to one.

    Raises
    ------
    UserError
        Where there is neither such a piece nor such a file.
    """
    path = Path(scene)
    if path.suffix == ".toml":
        if not path.is_file():
            raise UserError(f"{path}: no such recipe file.")
        return path
    known = sorted(file.stem for file in scenes().glob("*.toml"))
    if scene not in known:
        raise UserError(
            f"No piece is called {scene!r}: there are {', '.join(known) or 'none'}; "
            "or give the path of a recipe that ends in .toml."
        )
    return scenes() / f"{scene}.toml"
