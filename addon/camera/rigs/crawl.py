"""Crawl: close over the ground, which fills the picture; focus is pulled as it begins."""

from .rig import Framing, Rig

RIG = Rig(
    "crawl",
    "Crawl",
    "Close over the ground with shallow focus; the land fills the picture",
    Framing(
        lens=50,
        azimuth=65,
        elevation=22,
        distance=0.38,
        drift=40,
        frame_x=0.36,
        frame_y=0.4,
        follow=1.0,
    ),
    climb=-6,
    dolly=-0.35,
    blur=0.028,
    elevations=(10, 75),
    borders=1,
    filled=(0.75, 1.0),
    pull=1.5,
    allowed=(("hidden", 0.2),),
)
