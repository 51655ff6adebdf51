"""Wide: the whole land."""

from .rig import Framing, Rig

RIG = Rig(
    "wide",
    "Wide",
    "Farther and farther away, until the whole land is seen",
    Framing(
        lens=35,
        azimuth=35,
        elevation=28,
        distance=1.15,
        drift=16,
        frame_x=0.36,
        frame_y=0.35,
        follow=0.2,
    ),
    climb=14,
    dolly=0.6,
    blur=0.003,
    elevations=(12, 60),
    borders=4,
    filled=(0.25, 0.65),
    whole=True,
)
