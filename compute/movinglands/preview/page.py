"""A page to turn the surfaces in and run through the training: one HTML file, no network.

The drawing is ``page.html``, WebGL written by hand; this module fills it with the data: heights
as 16-bit numbers, thinned so that the page stays below five megabytes.
"""

from __future__ import annotations

import base64
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..files import write_whole
from ..places import typeface
from ..sequence import open_sequence
from .model import Preview, View, read
from .style import PALETTE, palette

FRAMES, POINTS = 100, 128
"""Most frames of a surface; most points along a side, fewer where surfaces share the page."""


def write_page(path: Path, output: Path) -> None:
    """Write the page of a sequence file.

    Parameters
    ----------
    path : Path
        The sequence, complete or growing.
    output : Path
        Replaced in one step.

    Raises
    ------
    UserError
        As ``preview.read``.
    """
    with open_sequence(path) as file:
        surfaces = len(file["surfaces"])
    preview = read(path, FRAMES, max(2, int(POINTS / math.sqrt(surfaces))))
    write_whole(output, build(preview).encode())


def build(preview: Preview) -> str:
    """Return the page's HTML."""
    # The data stands in a script element, which only "</" could end.
    data = json.dumps(_data(preview), allow_nan=False).replace("</", "<\\/")
    page = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
    font = base64.b64encode(typeface().read_bytes()).decode()
    return page.replace("FONT_HERE", font).replace("DATA_HERE", data)


def _data(preview: Preview) -> dict[str, Any]:
    stepped = all(view.clock == "step" for view in preview.views)
    views = [_view_data(view, stepped) for view in preview.views]
    return {
        "title": preview.title,
        "sentence": preview.sentence,
        "relief": preview.relief,
        "clock": "step" if stepped else "frame",
        "moments": sorted({step for view in views for step in view["steps"]}),
        "colors": [f"#{color}" for color in PALETTE],
        "palette": _base64((palette() * 255).round().astype(np.uint8)),
        "views": views,
    }


def _view_data(view: View, stepped: bool) -> dict[str, Any]:
    """Return what the page knows of a surface; of its frames, those shown."""
    frames = view.frames
    true = view.losses["true"][frames]
    return {
        "name": view.name,
        "lines": view.lines,
        "rows": len(view.beta),
        "cols": len(view.alpha),
        "width": float(np.ptp(view.alpha)),
        "aspect": float(np.ptp(view.beta) / np.ptp(view.alpha)),
        "alpha": [f"{end:.3g}" for end in view.alpha[[0, -1]]],
        "beta": [f"{end:.3g}" for end in view.beta[[0, -1]]],
        "ticks": [[float(view.scale(loss)), f"{loss:.6g}"] for loss in view.scale.ticks(8)],
        "steps": (view.step[frames] if stepped else frames).tolist(),
        "place": view.place[frames].tolist(),
        "origin": view.origin[frames].tolist(),
        "bead": view.scale(true).round(5).tolist(),
        "shown": [f"{loss:.3g}" for loss in true],
        "heights": _base64((view.heights * 65535).round().astype("<u2")),
    }


def _base64(values: NDArray[Any]) -> str:
    return base64.b64encode(values.tobytes()).decode()
