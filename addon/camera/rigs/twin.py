"""Twin: two lands in one picture."""

import numpy as np

from .rig import Array, Course, Framing, Rig


def between(course: Course, extent: float) -> tuple[Array, Array]:
    """Return the places half-way between the minimizers of two lands; as ``Rig.subject``."""
    if not course.terrain.others:
        raise ValueError("camera: rig twin: expected a sequence of two surfaces, found one.")
    other = course.terrain.at(course.frames, course.terrain.others[0])
    return (course.places + other) / 2, np.zeros(len(course.frames))


RIG = Rig(
    "twin",
    "Twin",
    "Two lands side by side in one picture",
    Framing(
        lens=50,
        azimuth=0,
        elevation=38,
        distance=2.9,
        drift=10,
        frame_x=0.5,
        frame_y=0.42,
        follow=0.5,
    ),
    climb=-10,
    blur=0.001,
    looks_at="between",
    subject=between,
    borders=4,
    filled=(0.2, 0.8),
    whole=True,
)
