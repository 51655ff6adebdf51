"""The picture as a place: an Empty before the lens that all text stands in.

Its unit is the picture's longer side and its origin the middle, whatever lens and shift become.
Text is measured in it, so it is as large in a square as in a wide picture; ``Layout`` says where
things stand so that nothing leaves the picture and no two blocks meet.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import bpy

from ..units import WIDTH

FONT = Path(__file__).parents[1] / "assets" / "fonts" / "BarlowCondensed-Medium.ttf"

DEPTH = 0.05 * WIDTH
"""How far before the lens the picture stands: nearer than any land comes."""

MARGIN = 0.045
"""Between text and the picture's border, in its widths."""

TITLE, SMALL, NUMBER = 0.06, 0.0245, 0.038
"""Sizes of text; the small one has capitals of 9 pixels in a film 640 wide."""

CAPITAL = 0.58
"""Height of capitals and figures, in sizes of text."""

LEADING = 1.12
"""From one line to the next, in the typeface's own."""

LINE_HEIGHT = 1.2 * LEADING * 0.88
"""From one line to the next, in sizes of text."""

HAIRLINE = 0.0013
"""Thickness of thin lines: a pixel in a film 640 wide."""

GAP = 0.008
"""Between a thin line and what it leads to."""

IS_FRAME = "moving_lands_frame"
"""Custom property of the Empty: that it is it."""


@dataclass(frozen=True)
class Layout:
    """Where things stand in a picture of a shape; all in its longer sides, from its middle.

    Attributes
    ----------
    width, height : float
        Of the picture.
    lines : int
        Of the sentence below the title.
    """

    width: float
    height: float
    lines: int

    @classmethod
    def of(cls, aspect: float, lines: int) -> Layout:
        """Return the layout of a picture by its width over its height."""
        return cls(min(1.0, aspect), min(1.0, 1.0 / aspect), lines)

    @property
    def margin(self) -> float:
        """Between text and the border, on all sides."""
        return MARGIN * self.width

    @property
    def right(self) -> float:
        """Where text ends, to the right; it begins as far to the left."""
        return self.width / 2 - self.margin

    @property
    def top(self) -> float:
        """Where text ends, above; it begins as far below."""
        return self.height / 2 - self.margin

    @property
    def title(self) -> float:
        """Where the title stands, above the lines of the sentence."""
        return -self.top + LINE_HEIGHT * SMALL * self.lines + 0.014

    @property
    def recipe(self) -> float:
        """Where the recipe's last line stands: beside the title block, or above it."""
        return -self.top if self.width > 0.8 else self.title + 1.1 * TITLE


def condensed_font() -> bpy.types.VectorFont:
    """Load the typeface, packed into the .blend so that it travels."""
    font = bpy.data.fonts.load(str(FONT), check_existing=True)
    if font.packed_file is None:
        font.pack()
    return font


def picture_frame(camera: bpy.types.Object) -> bpy.types.Object:
    """Return the Empty that fills a camera's picture; it is made where there is none.

    It is driven by the lens and the shift. The expressions are simple ones, which Blender
    evaluates itself: they run in a file whose scripts are not trusted, too.
    """
    there = next((child for child in camera.children if child.get(IS_FRAME)), None)
    if there:
        return there
    frame = bpy.data.objects.new("Picture Frame", None)
    frame[IS_FRAME] = True
    frame.empty_display_size = 0.01  # not across the view
    frame.parent = camera
    frame.location.z = -DEPTH
    longer_side = f"{DEPTH} * sensor_width / lens"
    for axis in range(3):
        drive(frame, "scale", axis, longer_side, camera, "sensor_width", "lens")
    for axis, shift in enumerate(("shift_x", "shift_y")):
        expression = f"{shift} * {longer_side}"
        drive(frame, "location", axis, expression, camera, "sensor_width", "lens", shift)
    return frame


def drive(
    thing: bpy.types.ID,
    path: str,
    axis: int,
    expression: str,
    camera: bpy.types.Object,
    *numbers: str,
) -> None:
    """Drive a property by numbers of a camera, or of an Empty that has them for its own."""
    driver = thing.driver_add(path, axis).driver
    driver.type = "SCRIPTED"
    for name in numbers:
        variable = driver.variables.new()
        variable.name = name
        target = variable.targets[0]
        if camera.type == "CAMERA":
            target.id_type, target.id, target.data_path = "CAMERA", camera.data, name
        else:
            target.id, target.data_path = camera, f'["{name}"]'
    driver.expression = expression
