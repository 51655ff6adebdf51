"""The contact sheet: some frames of each surface as lit maps, and the loss over the training.

Drawn with matplotlib's objects on a page measured in inches, without pyplot and its global state.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, get_font
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike
from scipy import ndimage

from ..files import replacing
from ..places import typeface
from .model import Preview, View, read
from .scale import Scale, fit
from .style import DIM, FAINT, GROUND, PALE, Array, palette

FRAMES, POINTS = 12, 401
"""Most frames of a surface, most points along a side of each."""

DPI = 200

WIDTH, MARGIN, SIDE = 16.0, 0.7, 0.65
"""The page, its margins, and what the colour bar takes beside the maps. Inches, as those below."""

TITLE, LINE, AXES, SPACE = 1.0, 0.2, 0.55, 0.25
"""Before the first of several surfaces; from line to line; below an axis; after a surface."""

GAP, CAPTION, LARGEST, CURVE = 0.16, 0.3, 4.5, 1.75
"""Between maps; above each; a map's longer side at most; the height of the loss curve."""

AMBIENT = 0.1
LIGHTS = (
    (np.array([-0.53, 0.53, 0.66]), (1.15, 0.98, 0.86)),
    (np.array([0.81, -0.3, 0.5]), (0.36, 0.2, 0.42)),
)
"""Light from everywhere; a warm key from the upper left and a cool fill, each towards a unit
vector. Linear RGB."""

SOFTNESS = 0.36
"""Power of the light in sRGB: a little less than the 1 / 2.2 of nature, so that hues are read."""

EXAGGERATION = 3.0
"""How much steeper than in the film the land is lit, as maps do: from above, slopes look flat."""


def write_sheet(path: Path, output: Path) -> None:
    """Draw the contact sheet of a sequence file.

    Parameters
    ----------
    path : Path
        The sequence, complete or growing.
    output : Path
        A PNG or PDF; replaced in one step.

    Raises
    ------
    UserError
        As ``preview.read``.
    """
    figure = draw(read(path, FRAMES, POINTS))
    with replacing(output) as partial:
        figure.savefig(partial, format=output.suffix[1:].lower(), dpi=DPI)


def draw(preview: Preview) -> Figure:
    """Draw a contact sheet, the surfaces one below the other."""
    most = max(len(view.frames) for view in preview.views)
    columns = most if most <= FRAMES // 2 else math.ceil(most / 2)
    grids = [_Grid(view, columns) for view in preview.views]
    alone = len(grids) == 1
    page = _Page(MARGIN + (0 if alone else TITLE) + sum(grid.height for grid in grids))
    y = MARGIN
    if not alone:
        page.heading(y, preview.title, preview.sentence, [])
        y += TITLE
    for grid, view in zip(grids, preview.views, strict=True):
        if alone:
            page.heading(y, preview.title, preview.sentence, view.lines)
        else:
            page.heading(y, view.name, "", view.lines, 20)
        _draw_view(page, y + grid.heading, view, grid, preview.relief)
        y += grid.height
    return page.figure


class _Grid:
    """Where a surface's maps stand on the page: how many, how large, in inches."""

    def __init__(self, view: View, columns: int) -> None:
        room = WIDTH - 2 * MARGIN - SIDE - (columns - 1) * GAP
        aspect = _aspect(view)
        self.columns = columns
        self.rows = math.ceil(len(view.frames) / columns)
        self.wide = min(room / columns, LARGEST, LARGEST / aspect)
        self.tall = self.wide * aspect
        self.right = MARGIN + columns * (self.wide + GAP) - GAP
        self.below = self.rows * (CAPTION + self.tall) + AXES
        self.heading = 0.15 + max(0.75, LINE * len(view.lines))
        self.height = self.heading + self.below + (CURVE + AXES if _has_curve(view) else 0) + SPACE


def _has_curve(view: View) -> bool:
    return len(view.step) > 1 and bool(np.isfinite(view.losses["true"]).any())


def _aspect(view: View) -> float:
    """Return a window's height over its width, within what a page can show."""
    return float(np.clip(np.ptp(view.beta) / np.ptp(view.alpha), 0.25, 4))


class _Page:
    """A figure in inches from its upper left corner."""

    def __init__(self, height: float) -> None:
        self.height = height
        self.figure = Figure((WIDTH, height), facecolor=GROUND)
        self.typeface = FontProperties(fname=typeface())
        self.letters = set(map(chr, get_font(typeface()).get_charmap()))

    def font(self, text: str) -> FontProperties:
        """Return our typeface; for a text with letters it lacks, the one that has most."""
        return self.typeface if self.letters.issuperset(text) else FontProperties("DejaVu Sans")

    def text(
        self, x: float, y: float, text: str, size: float, color: str = DIM, align: str = "left"
    ) -> None:
        """Write capitals on the baseline y."""
        self.figure.text(
            x / WIDTH,
            1 - y / self.height,
            text.upper(),
            size=size,
            color=color,
            ha=align,
            va="baseline",
            font=self.font(text.upper()),
            parse_math=False,
        )

    def heading(
        self, y: float, title: str, sentence: str, lines: list[str], size: float = 32
    ) -> None:
        self.text(MARGIN, y + size / 100, title, size, PALE)
        self.text(MARGIN, y + 0.62, sentence, 11.5)
        for row, line in enumerate(lines):
            self.text(WIDTH - MARGIN, y + 0.1 + LINE * row, line, 10, align="right")

    def axes(self, x: float, y: float, width: float, height: float) -> Axes:
        axes = self.figure.add_axes(
            (x / WIDTH, 1 - (y + height) / self.height, width / WIDTH, height / self.height)
        )
        axes.set_facecolor(GROUND)
        axes.spines[:].set_visible(False)
        axes.set(xticks=[], yticks=[])
        return axes

    def ticks(
        self, axes: Axes, axis: Literal["x", "y"], places: ArrayLike, labels: list[str]
    ) -> None:
        getattr(axes, f"set_{axis}ticks")(places, labels, font=self.typeface)
        axes.tick_params(axis, length=3, width=0.6, pad=3, color=FAINT, labelcolor=DIM, labelsize=9)


def _draw_view(page: _Page, y: float, view: View, grid: _Grid, relief: float) -> None:
    bar = grid.below - AXES - CAPTION
    losses = view.scale.ticks(round(min(9, max(3, 2.5 * bar))))
    for index, frame in enumerate(view.frames):
        row, column = divmod(index, grid.columns)
        left, top = MARGIN + column * (grid.wide + GAP), y + row * (CAPTION + grid.tall)
        page.text(left, top + CAPTION - 0.1, f"{view.clock} {view.step[frame]}", 10)
        loss = f"loss {view.losses['true'][frame]:.3g}"
        page.text(left + grid.wide, top + CAPTION - 0.1, loss, 10, PALE, "right")
        axes = page.axes(left, top + CAPTION, grid.wide, grid.tall)
        _draw_map(axes, view, index, losses, relief)
        if (row, column) == (grid.rows - 1, 0):
            _label_window(page, axes, view)
    _draw_bar(page, grid.right + 0.3, y + CAPTION, bar, view.scale, losses)
    if _has_curve(view):
        _draw_curve(page, y + grid.below, view)


def _draw_map(axes: Axes, view: View, index: int, losses: list[float], relief: float) -> None:
    """Draw a frame: the land lit from above, lines of equal loss, the minimizer's way to here."""
    heights = view.heights[index]
    rows, cols = heights.shape
    x, y = np.ptp(view.alpha) / (cols - 1) / 2, np.ptp(view.beta) / (rows - 1) / 2
    axes.imshow(
        hillshade(heights, relief * EXAGGERATION, _aspect(view)),
        extent=(view.alpha[0] - x, view.alpha[-1] + x, view.beta[0] - y, view.beta[-1] + y),
        origin="lower",
        aspect="auto",
        interpolation="bicubic",
    )
    smooth = _blurred(heights, max(rows, cols) // 80)
    levels = view.scale(losses)
    levels = levels[(levels > smooth.min()) & (levels < smooth.max())]
    if len(levels):
        axes.contour(view.alpha, view.beta, smooth, levels, colors=PALE, alpha=0.3, linewidths=0.45)
    frame = view.frames[index]
    way = view.place[: frame + 1] - view.origin[frame]
    axes.plot(*way.T, color=PALE, alpha=0.6, linewidth=0.8)
    axes.plot(*way[-1], "o", markersize=5.5, color=PALE, markeredgecolor=GROUND, markeredgewidth=1)
    axes.set(xlim=view.alpha[[0, -1]], ylim=view.beta[[0, -1]])


def _label_window(page: _Page, axes: Axes, view: View) -> None:
    """Say how far the window reaches, the coordinate's name between its ends."""
    axis: Literal["x", "y"]
    for axis, name, (first, last) in (
        ("x", "ALPHA", view.alpha[[0, -1]]),
        ("y", "BETA", view.beta[[0, -1]]),
    ):
        places = (first, (first + last) / 2, last)
        page.ticks(axes, axis, places, [f"{first:.3g}", name, f"{last:.3g}"])


def _draw_bar(
    page: _Page, x: float, y: float, height: float, scale: Scale, losses: list[float]
) -> None:
    axes = page.axes(x, y, 0.13, height)
    axes.imshow(palette()[:, None], origin="lower", aspect="auto", extent=(0, 1, 0, 1))
    axes.yaxis.tick_right()
    page.ticks(axes, "y", scale(losses), [f"{loss:.6g}" for loss in losses])
    page.text(x, y - 0.1, "loss", 10)


def _draw_curve(page: _Page, y: float, view: View) -> None:
    """Draw the losses over the training, on the surface's scale but with a range of their own."""
    axes = page.axes(MARGIN, y, WIDTH - 2 * MARGIN - SIDE, CURVE)
    scale = fit(view.losses.values(), view.scale.name)
    for name, style in (("test", (0, (4, 2))), ("train", "solid")):
        if name in view.losses:
            heights = scale.open(view.losses[name])
            axes.plot(view.step, heights, linestyle=style, color=DIM, linewidth=0.9)
    true = view.losses["true"]
    colors = palette()[(view.scale(true) * 255).round().astype(int)]
    heights, shown = scale.open(true), view.frames
    points = np.column_stack([view.step, heights])
    pieces = np.stack([points[:-1], points[1:]], axis=1)
    axes.add_collection(
        LineCollection(list(pieces), colors=colors[:-1], linewidths=2.4, capstyle="round")
    )
    axes.scatter(
        view.step[shown],
        heights[shown],
        s=30,
        color=colors[shown],
        edgecolors=PALE,
        zorder=3,
        clip_on=False,
    )

    axes.set(xlim=view.step[[0, -1]], ylim=(-0.04, 1.04))
    losses = scale.ticks(6)
    page.ticks(axes, "y", scale(losses), [f"{loss:.6g}" for loss in losses])
    axes.grid(axis="y", color=FAINT, linewidth=0.5, alpha=0.6)
    axes.set_axisbelow(True)
    steps = MaxNLocator(14, steps=[1, 2, 5, 10], integer=True).tick_values(*axes.get_xlim())
    steps = steps[(steps >= view.step[0]) & (steps <= view.step[-1])]
    page.ticks(axes, "x", steps, [f"{step:.0f}" for step in steps])
    page.text(MARGIN, y - 0.14, f"loss of the weights, over {view.clock}s", 10)

    # The curves' names stand at their ends, one below the other where these are close.
    last = {name: values[-1] for name, values in view.losses.items() if np.isfinite(values[-1])}
    at = math.inf
    for name, loss in sorted(last.items(), key=lambda item: -item[1]):
        at = min(at - 0.115, float(scale(loss)))
        label, color = ("true loss", PALE) if name == "true" else (name, DIM)
        down = CURVE * (1.04 - at) / 1.08 + 0.05
        page.text(WIDTH - MARGIN - SIDE + 0.14, y + down, f"{label} {loss:.3g}", 10, color)


def hillshade(heights: ArrayLike, relief: float, aspect: float) -> Array:
    """Light a land from above; where it is flat, it has exactly the colour of its height.

    Parameters
    ----------
    heights : array_like
        ``(rows, cols)`` between 0 and 1; rows go up the picture.
    relief : float
        Height of the land over its width.
    aspect : float
        The window's height over its width.

    Returns
    -------
    ndarray
        ``(rows, cols, 3)`` sRGB between 0 and 1.
    """
    heights = np.asarray(heights, np.float64)
    rows, cols = heights.shape
    up, right = np.gradient(heights * relief, aspect / (rows - 1), 1 / (cols - 1))
    normal = np.stack([-right, -up, np.ones_like(heights)], axis=-1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    light, flat = np.full((rows, cols, 3), AMBIENT), np.full(3, AMBIENT)
    for towards, color in LIGHTS:
        light += (normal @ towards).clip(0)[..., None] * color
        flat += towards[2] * np.array(color)
    colors = palette()[(heights * 255).round().astype(int)]
    return (colors * (light / flat) ** SOFTNESS).clip(0, 1)


def _blurred(values: ArrayLike, radius: int) -> Array:
    """Average over a square of ``2 radius + 1`` points, the border repeated."""
    return ndimage.uniform_filter(np.asarray(values, np.float64), 2 * radius + 1, mode="nearest")
