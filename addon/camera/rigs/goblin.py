"""Goblin: down past the edge of the land, which may hide the minimizer on the way."""

from .rig import Framing, Rig

RIG = Rig(
    "goblin",
    "Goblin",
    "From above the land, down past its edge, to a look up from below",
    Framing(
        lens=50,
        azimuth=25,
        elevation=4,
        distance=0.78,
        drift=16,
        frame_x=0.37,
        frame_y=0.42,
        follow=0.5,
    ),
    climb=-62,
    borders=4,
    filled=(0.2, 0.8),
    allowed=(("hidden", 0.6),),
)
