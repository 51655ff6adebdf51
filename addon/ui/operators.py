"""Operators: thin, undoable, and saying in one sentence what went wrong."""

from __future__ import annotations

import bpy
from bpy_extras.io_utils import ImportHelper

from .. import stage
from ..sequence import open_sequence


class MOVING_LANDS_OT_import_sequence(bpy.types.Operator, ImportHelper):
    """Build an animated loss landscape, with camera, light and titles, from a sequence file."""

    bl_idname = "moving_lands.import_sequence"
    bl_label = "Import Loss Landscape"
    bl_options = {"REGISTER", "UNDO"}

    filename_ext = ".h5"
    filter_glob: bpy.props.StringProperty(default="*.h5;*.hdf5", options={"HIDDEN"})

    def execute(self, context: bpy.types.Context) -> set[str]:
        manager = context.window_manager
        try:
            with open_sequence(self.filepath) as sequence:
                shown = next(iter(sequence.surfaces.values()))
                manager.progress_begin(0, len(shown.frames))
                done = 0

                def step() -> None:
                    nonlocal done
                    done += 1
                    manager.progress_update(done)

                stage.build(sequence, stage.Settings.of_recipe(sequence.recipe), step)
                count = len(shown.frames)
        except (ValueError, OSError) as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        except MemoryError:
            self.report({"ERROR"}, f"{self.filepath}: not enough memory for this sequence.")
            return {"CANCELLED"}
        finally:
            manager.progress_end()
        self.report({"INFO"}, f"{sequence.title}: {count} snapshots of {shown.points()} points.")
        return {"FINISHED"}


def menu_entry(self: bpy.types.Menu, context: bpy.types.Context) -> None:
    """Draw the entry in File > Import."""
    self.layout.operator(
        MOVING_LANDS_OT_import_sequence.bl_idname, text="Loss Landscape Sequence (.h5)"
    )


CLASSES = (MOVING_LANDS_OT_import_sequence,)
