"""docs/recipe.md says of every key what the reader of recipes takes: name, default, bounds."""

import dataclasses
import re
from pathlib import Path

import pytest

from movinglands.data.registry import DATA_SETS
from movinglands.networks.registry import NETWORKS
from movinglands.pieces import schema
from movinglands.planes.directions import DIRECTIONS

PAGE = (Path(__file__).parents[2] / "docs" / "recipe.md").read_text(encoding="utf-8")

TABLES = {
    "[network]": NETWORKS["convnet"],
    '[network] name = "mlp"': NETWORKS["mlp"],
    "[data]": DATA_SETS["digits"],
    "[training]": schema.Training,
    "[surface]": schema.SurfaceTable,
    "[film]": schema.Film,
    "[look]": schema.Look,
    "[camera]": schema.Camera,
    "[[camera.acts]]": schema.Act,
}


def bounds(spec, table):
    given, default = spec.metadata, spec.default
    for kinds in (NETWORKS, DATA_SETS):
        if spec.name == "name" and table in kinds.values():
            return ", ".join(kinds)
    if "tables" in given:
        return "tables"
    if choices := given.get("choices") or given.get("names"):
        return ", ".join(choices)
    if isinstance(default, bool):
        return "true or false"
    if "low" in given:
        return f"{given['low']:.10g} to {given['high']:.10g}"
    return "text"


def shown(default):
    if default is None or default is dataclasses.MISSING:
        return ""
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return f'`"{default}"`' if isinstance(default, str) else f"`{default:g}`"


def rows(table):
    return [
        f"| `{field.name}` | {shown(field.default)} | {bounds(field, table)} |"
        for field in dataclasses.fields(table)
    ]


def told(heading):
    """The rows of the page's table below a heading."""
    below = PAGE.split(f"## `{heading}`\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"^\| `.*\|$", below, re.MULTILINE)


@pytest.mark.parametrize("heading", TABLES)
def test_the_page_has_the_keys_that_are_read(heading):
    assert told(heading) == rows(TABLES[heading])


def test_every_table_is_on_the_page():
    tables = [f for f in dataclasses.fields(schema.Recipe) if f.default is dataclasses.MISSING]
    assert {f"[{table.name}]" for table in tables} <= TABLES.keys()
    own = {name for name, kind in DATA_SETS.items() if rows(kind)[1:] != rows(TABLES["[data]"])[1:]}
    assert {f'[data] name = "{name}"' for name in own} <= TABLES.keys()
    assert {f'[network] name = "{name}"' for name in NETWORKS if name != "convnet"} <= TABLES.keys()


@pytest.mark.parametrize("name", DIRECTIONS)
def test_the_page_has_the_keys_of_directions(name):
    pytest.importorskip("torch")
    from movinglands.planes.directions import directions_class

    for field in dataclasses.fields(directions_class(name)):
        assert re.search(rf'name = "{name}",? .*\b{field.name} = ', PAGE)
