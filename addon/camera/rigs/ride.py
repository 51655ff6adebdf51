"""Ride: level with the minimizer, along with all of its descent."""

from .rig import Framing, Rig

RIG = Rig(
    "ride",
    "Ride",
    "Along with the minimizer, from the side and a little below",
    Framing(
        lens=50,
        azimuth=60,
        elevation=-4.4,
        distance=0.6,
        drift=8,
        frame_x=0.37,
        frame_y=0.36,
        follow=1.0,
    ),
    filled=(0.3, 0.75),
)
