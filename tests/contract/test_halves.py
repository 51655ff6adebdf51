"""The two halves know nothing of each other, and say the same."""

import ast
import dataclasses
import tomllib
from pathlib import Path

import pytest

from addon.camera.acts import FRAMING
from addon.camera.rigs import RIGS
from addon.look import LOOKS
from addon.shot.settings import Settings
from movinglands.pieces import schema
from movinglands.pieces.recipe import read_recipe

ROOT = Path(__file__).parents[2]
WITHOUT_BLENDER = [
    *(ROOT / "addon" / "sequence").glob("*.py"),
    *(ROOT / "addon" / "camera" / "rigs").glob("*.py"),
    *(
        ROOT / "addon" / "camera" / f"{name}.py"
        for name in ("acts", "composition", "motion", "moves", "planner", "terrain")
    ),
    *(ROOT / "addon" / "land" / f"{name}.py" for name in ("memory", "projection", "styles")),
    *(ROOT / "addon" / f"{name}.py" for name in ("splines", "steps", "units", "ui/process")),
]


def imports(path):
    """The top-level packages that a module imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module.split(".")[0]


@pytest.mark.parametrize(
    ("files", "forbidden"),
    [
        (sorted(ROOT.glob("addon/**/*.py")), {"torch", "movinglands", "compute"}),
        (sorted(ROOT.glob("compute/**/*.py")), {"bpy", "mathutils", "bmesh", "addon"}),
        (WITHOUT_BLENDER, {"bpy", "bmesh", "bpy_extras"}),
    ],
    ids=["addon", "compute", "without Blender"],
)
def test_imports(files, forbidden):
    assert len(files) >= 3
    found = {path.name: forbidden & set(imports(path)) for path in files}
    assert not {name: packages for name, packages in found.items() if packages}


def leaned_on(path):
    """The modules of its own package that a module imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            folder = path.parents[node.level - 1]
            names = [node.module] if node.module else [alias.name for alias in node.names]
            for name in names:
                module = folder.joinpath(*name.split("."))
                yield module / "__init__.py" if module.is_dir() else module.with_suffix(".py")


def test_what_needs_no_blender_leans_on_nothing_that_does():
    for path in WITHOUT_BLENDER:
        assert set(leaned_on(path)) <= set(WITHOUT_BLENDER), path


def declared(field, table):
    """All that a half says of a key: its table, default, bounds and choices."""
    default = [] if field.default is dataclasses.MISSING else field.default
    given = field.metadata
    return table, default, given.get("low"), given.get("high"), given.get("choices")


def test_a_shot_has_the_settings_of_the_recipe():
    """Film, look and camera, one to one; what has a single choice needs no setting."""
    tables = {"film": schema.Film, "look": schema.Look, "camera": schema.Camera}
    keys = [(field, name) for name, table in tables.items() for field in dataclasses.fields(table)]
    assert len({field.name for field, _ in keys}) == len(keys), "a name stands in two tables"
    expected = {
        field.name: declared(field, table)
        for field, table in keys
        if len(field.metadata.get("choices") or (1, 2)) > 1
    }
    found = {f.name: declared(f, f.metadata["table"]) for f in dataclasses.fields(Settings)}
    assert found == expected


def test_a_recipe_knows_the_rigs_of_the_add_on():
    assert tuple(RIGS) == schema.RIGS
    assert tuple(LOOKS) == schema.LOOKS


def test_both_halves_have_the_same_bounds_of_the_framing():
    bounds = {key: tuple(bounds) for key, (_, *bounds) in FRAMING.items()}
    found = {field.name: field.metadata for field in dataclasses.fields(schema.Framing)}
    assert bounds == {key: (value["low"], value["high"]) for key, value in found.items()}


def test_what_a_recipe_says_of_the_framing_reaches_the_shot_and_nothing_else():
    pytest.importorskip("tomli_w")
    text = '[camera]\nrig = "orbit"\nazimuth = 60\n[[camera.acts]]\nlens = 50'
    resolved = tomllib.loads(read_recipe(text, "said").to_toml())
    (act,) = Settings.of_recipe(resolved).film_acts
    assert act.framing == dataclasses.replace(RIGS["orbit"].framing, azimuth=60, lens=50)
    del resolved["camera"]["acts"]
    (act,) = Settings.of_recipe(resolved).film_acts
    assert act.framing == dataclasses.replace(RIGS["orbit"].framing, azimuth=60)
