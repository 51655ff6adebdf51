"""What a shot is made with: the recipe's film, look and camera keys, one to one."""

from __future__ import annotations

import dataclasses
from dataclasses import MISSING, Field, dataclass, fields
from typing import Any

from ..camera.acts import FRAMING, Act, read_acts
from ..camera.rigs import RIGS
from ..look import LOOKS


def _key(table: str, default: Any, **allowed: Any) -> Any:
    """Return a field for a key of a recipe's table."""
    return dataclasses.field(default=default, metadata={"table": table, **allowed})


def _number(table: str, default: float | None, low: float, high: float) -> Any:
    return _key(table, default, low=low, high=high)


def _one_of(table: str, *choices: str) -> Any:
    return _key(table, choices[0], choices=choices)


def _framing(name: str) -> Any:
    return _number("camera", None, *FRAMING[name][1:])


@dataclass(frozen=True)
class Settings:
    """The film, look and camera keys of a recipe; what of the framing is None is the rig's own."""

    fps: int = _number("film", 24, 1, 240)
    seconds: float = _number("film", 5.0, 0.01, 36_000)
    width: int = _number("film", 640, 16, 16_384)
    height: int = _number("film", 360, 16, 16_384)
    samples: int = _number("film", 8, 1, 65_536)
    poster_at: float = _number("film", 0.7, 0, 1)
    poster_width: int = _number("film", 1280, 16, 16_384)
    poster_samples: int = _number("film", 48, 1, 65_536)
    motion_blur: bool = _key("film", False)
    show_title: bool = _key("film", True)
    show_recipe: bool = _key("film", True)
    show_loss: bool = _key("film", True)
    show_step: bool = _key("film", True)
    show_badges: bool = _key("film", True)
    show_rate: bool = _key("film", False)
    name: str = _one_of("look", *LOOKS)
    scale: str = _one_of("look", "log", "linear", "symlog")
    relief: float = _number("look", 0.24, 0.001, 100)
    clip_low: float = _number("look", 0.0, 0, 100)
    clip_high: float = _number("look", 100.0, 0, 100)
    reverse: bool = _key("look", False)
    arrange: str = _one_of("look", "side", "over")
    rig: str = _one_of("camera", *RIGS)
    lens: float | None = _framing("lens")
    azimuth: float | None = _framing("azimuth")
    elevation: float | None = _framing("elevation")
    distance: float | None = _framing("distance")
    drift: float | None = _framing("drift")
    third: float | None = _framing("third")
    rise: float | None = _framing("rise")
    follow: float | None = _framing("follow")
    acts: list[dict[str, Any]] = dataclasses.field(
        default_factory=list, metadata={"table": "camera"}
    )

    @classmethod
    def of_recipe(cls, recipe: dict[str, Any]) -> Settings:
        """Take the settings out of a recipe; what it does not say stays at its default.

        Raises
        ------
        ValueError
            For a value of the wrong type, or out of its bounds.
        """
        values = {}
        for table in ("film", "look", "camera"):
            given = recipe.get(table, {})
            if not isinstance(given, dict):
                raise ValueError(f"recipe: {table}: expected a table of keys, got {given!r}.")
            for field in fields(cls):
                if field.metadata["table"] == table and field.name in given:
                    values[field.name] = _checked(given[field.name], field)
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


def _checked(value: Any, field: Field) -> Any:
    """Hold a recipe's value against a setting: a file can come from anywhere."""
    allowed, default = field.metadata, field.default
    where = f"recipe: {allowed['table']}.{field.name}"
    expected = {MISSING: list, None: float}.get(default, type(default))
    if type(value) is not expected and (expected, type(value)) != (float, int):
        raise ValueError(f"{where}: expected {expected.__name__}, got {value!r}.")
    if "low" in allowed and not allowed["low"] <= value <= allowed["high"]:
        bounds = f"from {allowed['low']} to {allowed['high']}"
        raise ValueError(f"{where}: expected a number {bounds}, got {value!r}.")
    if value not in allowed.get("choices", (value,)):
        raise ValueError(f"{where}: expected one of {', '.join(allowed['choices'])}.")
    return expected(value)
