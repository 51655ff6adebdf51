"""Recipes are TOML, checked before anything is computed.

``[quality.<name>.<table>]`` tables change numbers only, and ``--set`` has the last word.
"""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..places import scenes
from .schema import QUALITIES, Recipe


def read_recipe(
    text: str, source: str, quality: str | None = None, changes: dict[str, Any] | None = None
) -> Recipe:
    """Read and check a recipe.

    Parameters
    ----------
    text : str
        TOML.
    source : str
        What to call the text in errors, a file name mostly.
    quality : str, optional
        One of ``QUALITIES``; its tables are laid over the others. By default the recipe's own
        ``quality`` key, else "preview".
    changes : dict, optional
        Last word, by dotted key: ``{"surface.resolution": 548}``.

    Raises
    ------
    UserError
        For TOML that cannot be parsed, an unknown key, a value of the wrong type or out of bounds.
    """
    try:
        values = tomllib.loads(text)
    except ValueError as error:  # also for a number of thousands of digits
        raise UserError(f"{source}: not TOML: {error}.") from None
    layers = values.pop("quality", {})
    if isinstance(layers, str):  # a resolved recipe, as a sequence file carries it
        quality, layers = quality or layers, {}
    quality = quality or QUALITIES[0]
    for name in (quality, *_table(layers, f"{source}: quality")):
        if name not in QUALITIES:
            expected = ", ".join(QUALITIES)
            raise UserError(f"{source}: quality: expected one of {expected}, got {name!r}.")
    _build(Recipe, values, source)
    for name, layer in layers.items():
        # Those not asked for too: a slip in [quality.final] should not wait until its night.
        where = f"{source}: quality.{name}"
        _build(Recipe, _laid_over(values, _table(layer, where)), where)
    values = _laid_over(values, layers.get(quality, {}))
    for key, value in (changes or {}).items():
        if key == "quality":
            raise UserError("--set quality: the quality is chosen with --quality.")
        *tables, name = key.split(".")
        layer = {name: value}
        for table in reversed(tables):
            layer = {table: layer}
        values = _laid_over(values, layer)
    return _build(Recipe, values | {"quality": quality}, source)


def load_recipe(
    path: Path, quality: str | None = None, changes: dict[str, Any] | None = None
) -> Recipe:
    """Read and check a recipe file; the rest is as in ``read_recipe``."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UserError(f"{path}: not TOML: not even UTF-8 text.") from None
    return read_recipe(text, str(path), quality, changes)


def parse_change(assignment: str) -> tuple[str, Any]:
    """Split ``surface.resolution=548`` into its key and its TOML value (a bare word is text)."""
    key, equals, value = assignment.partition("=")
    if not equals or not key.strip():
        raise UserError(f"--set {assignment}: expected KEY=VALUE, surface.resolution=548 say.")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except ValueError:
        return key.strip(), value.strip()


def find_recipe(scene: str) -> Path:
    """Return the recipe file of a piece's name, or of a path to one.

    Raises
    ------
    UserError
        Where there is neither such a piece nor such a file.
    """
    path = Path(scene)
    if path.suffix == ".toml":
        if not path.is_file():
            raise UserError(f"{path}: no such recipe file.")
        return path
    known = sorted(file.stem for file in scenes().glob("*.toml"))
    if scene not in known:
        raise UserError(
            f"No piece is called {scene!r}: there are {', '.join(known) or 'none'}; "
            "or give the path of a recipe that ends in .toml."
        )
    return scenes() / f"{scene}.toml"


def _table(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UserError(f"{where}: expected a table of keys, got {value!r}.")
    return value


def _laid_over(values: dict[str, Any], layer: dict[str, Any]) -> dict[str, Any]:
    """Return the values with those of a layer instead, table within table."""
    merged = dict(values)
    for key, value in layer.items():
        below = values.get(key)
        if isinstance(value, dict) and isinstance(below, dict):
            value = _laid_over(below, value)
        merged[key] = value
    return merged


def _build(cls: type, values: dict[str, Any], source: str, path: str = "") -> Any:
    fields = {f.name: f for f in dataclasses.fields(cls)}
    for key in values:
        if key not in fields:
            raise UserError(f"{source}: unknown key {path}{key}; known are {', '.join(fields)}.")
    checked = {
        key: _value(fields[key], value, source, f"{path}{key}") for key, value in values.items()
    }
    try:
        return cls(**checked)
    except ValueError as error:  # keys that do not go together
        raise UserError(f"{source}: {path}{error}") from None


def _value(spec: dataclasses.Field, value: Any, source: str, path: str) -> Any:
    """Return a key's value, checked; ``path`` is its dotted name."""
    where = f"{source}: {path}"
    factory: Any = spec.default_factory
    if kinds := spec.metadata.get("kinds"):
        table = _table(value, where)
        name = _chosen(table.get("name", factory().name), kinds, f"{where}.name")
        return _build(kinds[name], table, source, f"{path}.")
    if "kind" in spec.metadata:
        return _named(spec, value, source, path)
    if isinstance(factory, type) and dataclasses.is_dataclass(factory):
        return _build(factory, _table(value, where), source, f"{path}.")
    if "tables" in spec.metadata:
        return _tables(spec, value, source, path)
    return _check(spec, value, where)


def _named(spec: dataclasses.Field, value: Any, source: str, path: str) -> Any:
    """Return a name, or a table with it and its own keys."""
    table = value if isinstance(value, dict) else {"name": value}
    name = _chosen(table.get("name"), spec.metadata["names"], f"{source}: {path}")
    if not isinstance(value, dict):
        return name
    own = {key: value for key, value in table.items() if key != "name"}
    built = _build(spec.metadata["kind"](name), own, source, f"{path}.")
    return {"name": name, **settings} if (settings := dataclasses.asdict(built)) else name


def _chosen(name: Any, names: Iterable[str], where: str) -> str:
    if not isinstance(name, str):
        raise UserError(f"{where}: expected str, got {name!r}.")
    if name not in names:
        raise UserError(f"{where}: expected one of {', '.join(names)}, got {name!r}.")
    return name


def _tables(spec: dataclasses.Field, value: Any, source: str, path: str) -> list[Any]:
    if not isinstance(value, list):
        raise UserError(f"{source}: {path}: expected tables [[{path}]], got {value!r}.")
    rows = [(f"{path} {n}", row) for n, row in enumerate(value, 1)]
    return [
        _build(spec.metadata["tables"], _table(row, f"{source}: {at}"), source, f"{at}: ")
        for at, row in rows
    ]


def _check(spec: dataclasses.Field, value: Any, where: str) -> Any:
    choices, low = spec.metadata.get("choices"), spec.metadata.get("low")
    expected: Any = type(spec.default)
    if spec.default is None:
        expected = str if choices else float
    if type(value) is not expected and (expected, type(value)) != (float, int):
        raise UserError(f"{where}: expected {expected.__name__}, got {value!r}.")
    if choices and value not in choices:
        raise UserError(f"{where}: expected one of {', '.join(choices)}, got {value!r}.")
    if low is not None and not low <= value <= spec.metadata["high"]:
        high = spec.metadata["high"]
        raise UserError(f"{where}: expected {low:g} to {high:g}, got {value!r}.")
    if expected is str and "\0" in value:  # HDF5 cannot keep it
        raise UserError(f"{where}: expected text without NUL, got {value!r}.")
    return expected(value)
