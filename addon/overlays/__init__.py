"""Text, numbers and marks in the picture: titles, the live loss, badges, counters.

Native objects only: text curves before the camera, and Geometry Nodes that turn keyed numbers into
letters, so they count on a Blender without the add-on. Numbers are original losses.

An overlay is a file and a line: to add one, write a file with its ``OVERLAY``, how it is made and
how it is written, and name it in ``build.FILES``. Its switch is ``film.show_NAME`` of a recipe,
also in ``shot/settings.py``; a test holds the three together. It is made empty, written to whenever
the losses are new, and hidden by its own icon.
"""
