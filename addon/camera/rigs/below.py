"""Below: under the land."""

from .rig import Framing, Rig

RIG = Rig(
    "below",
    "Below",
    "Under the land, looking up at the hanging tip",
    Framing(
        lens=45,
        azimuth=50,
        elevation=-21,
        distance=0.68,
        drift=50,
        frame_x=0.35,
        frame_y=0.36,
        follow=0.8,
    ),
    climb=-10,
    elevations=(-36, -20),
    filled=(0.35, 0.92),
)
