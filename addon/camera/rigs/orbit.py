"""Orbit: high and close with a wide lens, the far corner a horizon."""

from .rig import Framing, Rig

RIG = Rig(
    "orbit",
    "Orbit",
    "Around the funnel from above, higher as it opens",
    Framing(
        lens=28,
        azimuth=65,
        elevation=36,
        distance=0.8,
        drift=60,
        frame_x=0.34,
        frame_y=0.29,
        follow=0.3,
    ),
    climb=16,
    dolly=0.2,
    elevations=(12, 65),
    filled=(0.35, 0.7),
)
