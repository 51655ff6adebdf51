"""A sequence as a picture or a page, without Blender."""
