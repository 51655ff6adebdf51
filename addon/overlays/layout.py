"""The picture as a place: an Empty before the lens that all text stands in.

Its unit is the picture's longer side and its origin the middle, whatever lens, shift and resolution
become. Text is measured in it, so it is as large in a square as in a wide picture. Where things
stand, so that nothing leaves the picture and no two blocks meet, are numbers of the Empty; they are
driven by the scene's resolution, and texts and labels read them there.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import bpy

from ..nodes.graph import Graph
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

SPACING = 1.06
"""From one letter to the next, in the typeface's own."""

IS_FRAME = "moving_lands_frame"
"""Custom property of the Empty: that it is it."""

LINES = "lines"
"""Number of the Empty: how many lines stand below the title."""

RESOLUTION = ("resolution_x", "resolution_y", "pixel_aspect_x", "pixel_aspect_y")

ASPECT = "resolution_x * pixel_aspect_x / (resolution_y * pixel_aspect_y)"

PLACES = {
    "right": f"{0.5 - MARGIN} * width",
    "top": f"0.5 * height - {MARGIN} * width",
    "title": f"{LINE_HEIGHT * SMALL} * {LINES} + 0.014 - top",
    "recipe": f"-top if width > 0.8 else title + {1.1 * TITLE}",
}
"""Numbers of the Empty: where text ends to the right and above, and begins as far to the left and
below; where the title stands, above the lines of the sentence; and where the recipe's last line
does, beside the title block or above it."""


@dataclass(frozen=True)
class Picture:
    """Where the overlays of a shot are drawn.

    Attributes
    ----------
    camera : Object
        Through which it is seen, or an Empty that is where the camera is that films.
    frame : Object
        The Empty before it.
    letters : Object
        Every letter, for texts that count.
    group : NodeTree
        These three, and the numbers of the Empty, for node trees.
    """

    camera: bpy.types.Object
    frame: bpy.types.Object
    letters: bpy.types.Object
    group: bpy.types.NodeTree

    @classmethod
    def of(
        cls, scene: bpy.types.Scene, camera: bpy.types.Object, letters: bpy.types.Object
    ) -> Picture:
        """Make the place for overlays before a camera, in the shape of a scene's picture."""
        frame = picture_frame(scene, camera)
        return cls(camera, frame, letters, _group(frame, camera, letters))

    def label(
        self, graph: Graph, drawing: bpy.types.NodeTree, **inputs: object
    ) -> bpy.types.NodeSocket:
        """Add the group that draws a label; what it takes from the picture, it is given."""
        node, given = graph.group(drawing, **inputs), graph.group(self.group)
        for socket in given.outputs:
            if socket.name in node.inputs:
                graph.feed(node.inputs[socket.name], socket)
        return node.outputs[0]


def _group(
    frame: bpy.types.Object, camera: bpy.types.Object, letters: bpy.types.Object
) -> bpy.types.NodeTree:
    graph = Graph.new("Picture")
    things = {"Frame": frame, "Camera": camera, "Letters": letters}
    outputs = {}
    for name, thing in things.items():
        node = graph.add("GeometryNodeInputObject")
        node.object = thing
        outputs[name] = node.outputs[0]
    for name in ("width", "height", *PLACES):
        outputs[name.title()] = number = graph.value(name.title())
        path = number.socket.path_from_id("default_value")
        drive(graph.tree, path, -1, name, frame, name)
    graph.output(**outputs)
    return graph.tree


def condensed_font() -> bpy.types.VectorFont:
    """Load the typeface, packed into the .blend so that it travels."""
    font = bpy.data.fonts.load(str(FONT), check_existing=True)
    if font.packed_file is None:
        font.pack()
    return font


def picture_frame(scene: bpy.types.Scene, camera: bpy.types.Object) -> bpy.types.Object:
    """Return the Empty that fills a camera's picture; it is made where there is none.

    It is driven by the lens, the shift and the scene's resolution. The expressions are simple ones,
    which Blender evaluates itself: they run in a file whose scripts are not trusted, too.
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
    frame[LINES] = 1
    drive(frame, _number(frame, "width"), -1, f"min(1, {ASPECT})", scene, *RESOLUTION)
    drive(frame, _number(frame, "height"), -1, f"min(1, 1 / ({ASPECT}))", scene, *RESOLUTION)
    for name, expression in PLACES.items():
        used = [other for other in (*PLACES, "width", "height", LINES) if other in expression]
        drive(frame, _number(frame, name), -1, expression, frame, *used)
    return frame


def _number(frame: bpy.types.Object, name: str) -> str:
    frame[name] = 0.0
    return f'["{name}"]'


def drive(
    thing: bpy.types.ID,
    path: str,
    axis: int,
    expression: str,
    source: bpy.types.ID,
    *numbers: str,
) -> None:
    """Drive a property by numbers of a camera, of an Empty that has them, or of a scene's render.

    Parameters
    ----------
    thing : bpy.types.ID
        Whose property it is.
    path : str
        The property's data path.
    axis : int
        Component of an array property, or -1.
    expression : str
        Of the numbers, by their names.
    source : Object or Scene
        What has the numbers.
    numbers : str
        Their names.
    """
    driver = thing.driver_add(path, axis).driver
    driver.type = "SCRIPTED"
    for name in numbers:
        variable = driver.variables.new()
        variable.name = name
        target = variable.targets[0]
        if isinstance(source, bpy.types.Scene):
            target.id_type, target.id, target.data_path = "SCENE", source, f"render.{name}"
        elif source.type == "CAMERA":
            target.id_type, target.id, target.data_path = "CAMERA", source.data, name
        else:
            target.id, target.data_path = source, f'["{name}"]'
    driver.expression = expression
