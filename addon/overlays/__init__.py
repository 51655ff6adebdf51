"""Text, numbers and marks in the picture: titles, the live loss, badges, counters.

Native objects only: text curves parented to the camera, and Geometry Nodes that turn keyed numbers
into letters, so they count on a Blender without the add-on. Numbers are original losses.

An overlay is a file, and a line in ``build.OVERLAYS``. It is made empty, written to whenever the
losses are new, and hidden by its own icon.
"""
