"""What a shot is made with: the recipe's film, look and camera keys, one to one."""

from __future__ import annotations

import dataclasses
from dataclasses import MISSING, Field, dataclass, fields
from typing import Any

from ..camera.acts import FRAMING, Act, read_acts
from ..look import LOOKS


@dataclass(frozen=True)
class Settings:
    """The film, look and camera keys of a recipe; what of the framing is None is the rig's own."""

    fps: int = 24
    seconds: float = 5.0
    width: int = 640
    height: int = 360
    samples: int = 8
    poster_at: float = 0.7
    poster_width: int = 1280
    poster_samples: int = 48
    motion_blur: bool = False
    show_title: bool = True
    show_recipe: bool = True
    show_loss: bool = True
    show_step: bool = True
    show_badges: bool = True
    show_rate: bool = False
    name: str = "flesh"
    scale: str = "log"
    relief: float = 0.24
    clip_low: float = 0.0
    clip_high: float = 100.0
    reverse: bool = False
    arrange: str = "side"
    rig: str = "ride"
    lens: float | None = None
    azimuth: float | None = None
    elevation: float | None = None
    distance: float | None = None
    drift: float | None = None
    third: float | None = None
    rise: float | None = None
    follow: float | None = None
    acts: list[dict[str, Any]] = dataclasses.field(default_factory=list)

    @classmethod
    def of_recipe(cls, recipe: dict[str, Any]) -> Settings:
        """Take the settings out of a recipe; what it does not say stays at its default.

        Raises
        ------
        ValueError
            For a value of the wrong type, or a size that is not positive.
        """
        values = {}
        for table in ("film", "look", "camera"):
            given = recipe.get(table, {})
            if not isinstance(given, dict):
                raise ValueError(f"recipe: {table}: expected a table of keys, got {given!r}.")
            for field in fields(cls):
                if field.name in given:
                    where = f"recipe: {table}.{field.name}"
                    values[field.name] = _checked(given[field.name], field, where)
        settings = cls(**values)
        settings.film_acts  # noqa: B018 - for its checks
        return settings

    @property
    def film_acts(self) -> list[Act]:
        """The acts of the film."""
        return read_acts(self.acts, self.rig, vars(self), self.last_frame)

    @property
    def overlays(self) -> tuple[str, ...]:
        """The overlays that are shown: some of ``overlays.build.OVERLAYS``."""
        shown = [field.name for field in fields(self) if field.name.startswith(SHOW)]
        return tuple(name.removeprefix(SHOW) for name in shown if getattr(self, name))

    def filmed_by(self, rig: str) -> Settings:
        """Return the settings with one rig for the whole film, framed as is its own."""
        return dataclasses.replace(self, rig=rig, acts=[], **dict.fromkeys(FRAMING))

    @property
    def last_frame(self) -> int:
        """The film's last frame; its first is 1."""
        return max(2, round(self.fps * self.seconds))

    @property
    def poster_frame(self) -> int:
        """The film's frame that is rendered as its poster."""
        return 1 + round(self.poster_at * (self.last_frame - 1))


SHOW = "show_"
"""What the names of the switches of overlays begin with."""

SIGNED = ("azimuth", "elevation", "drift", "follow", "poster_at", "clip_low")
"""Settings that may be zero or less; every other number must be positive."""

CHOICES = {
    "name": tuple(LOOKS),
    "scale": ("log", "linear", "symlog"),
    "arrange": ("side", "over"),
}
"""What words may be."""


def _checked(value: Any, field: Field, where: str) -> Any:
    """Hold a recipe's value against a setting: a file can come from anywhere."""
    expected = {MISSING: list, None: float}.get(field.default, type(field.default))
    if type(value) is not expected and (expected, type(value)) != (float, int):
        raise ValueError(f"{where}: expected {expected.__name__}, got {value!r}.")
    if expected in (int, float) and not (field.name in SIGNED or value > 0):
        raise ValueError(f"{where}: expected a positive number, got {value!r}.")
    if value not in CHOICES.get(field.name, (value,)):
        raise ValueError(f"{where}: expected one of {', '.join(CHOICES[field.name])}.")
    return expected(value)
