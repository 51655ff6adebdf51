"""Recipes: what is read, what is refused, and in which words."""

import dataclasses
import tomllib

import pytest

from movinglands import places
from movinglands.data.digits import Digits
from movinglands.data.faces import Faces
from movinglands.data.hub import Hub
from movinglands.data.registry import DATA_SETS
from movinglands.errors import UserError
from movinglands.networks.mlp import Mlp
from movinglands.networks.registry import NETWORKS
from movinglands.pieces.recipe import find_recipe, load_recipe, parse_change, read_recipe
from movinglands.pieces.schema import QUALITIES, Recipe
from movinglands.planes.directions import DIRECTIONS

LAYERED = """
title = "LAYERED"

[surface]
resolution = 20
range = 2

[quality.standard.surface]
resolution = 200

[quality.final.surface]
resolution = 2000

[quality.final.film]
width = 3840

[camera]
rig = "orbit"
azimuth = 60

[[camera.acts]]
lens = 50
"""

OF_ACTS = {"start": 0.0, "transition": "cut", "line": ""}


def test_an_empty_recipe_is_the_defaults():
    assert read_recipe("", "empty") == Recipe()


@pytest.mark.parametrize("quality", [None, *QUALITIES])
def test_a_round_trip_through_toml(quality):
    recipe = read_recipe(
        LAYERED, "layered", quality, {"sentence": 'Tüll, "quoted"\n\\', "film.seconds": 3}
    )
    again = read_recipe(recipe.to_toml(), "again")
    assert again == recipe
    assert again.quality == (quality or "preview")
    expected = dataclasses.asdict(recipe)
    expected["camera"] = {"rig": "orbit", "azimuth": 60.0, "acts": [{"lens": 50.0} | OF_ACTS]}
    assert tomllib.loads(recipe.to_toml()) == expected


def test_qualities_lie_over_the_rest():
    found = {q: read_recipe(LAYERED, "layered", q) for q in QUALITIES}
    assert [r.surface.resolution for r in found.values()] == [20, 200, 2000]
    assert {r.surface.range for r in found.values()} == {2.0}
    assert [r.film.width for r in found.values()] == [640, 640, 3840]
    assert [r.quality for r in found.values()] == list(QUALITIES)


def test_changes_have_the_last_word():
    changes = {"surface.resolution": 5, "title": "CHANGED", "data.size": 16}
    recipe = read_recipe(LAYERED, "layered", "final", changes)
    assert (recipe.surface.resolution, recipe.title, recipe.data.size) == (5, "CHANGED", 16)
    assert recipe.film.width == 3840


@pytest.mark.parametrize(
    ("assignment", "expected"),
    [
        ("surface.resolution=548", ("surface.resolution", 548)),
        ("surface.range = 1.5", ("surface.range", 1.5)),
        ("surface.mode=eval", ("surface.mode", "eval")),
        ('title="A = B"', ("title", "A = B")),
        ("film.show_title=false", ("film.show_title", False)),
        ("title=", ("title", "")),
        ("title=Two words", ("title", "Two words")),
    ],
)
def test_assignments(assignment, expected):
    assert parse_change(assignment) == expected


@pytest.mark.parametrize("assignment", ["", "surface.resolution", "=5"])
def test_what_is_no_assignment(assignment):
    with pytest.raises(UserError, match="expected KEY=VALUE"):
        parse_change(assignment)


@pytest.mark.parametrize(
    ("text", "key", "reason"),
    [
        ("[surfaces]\nresolution = 3", "surfaces", "unknown key"),
        ("[surface]\nresolutoin = 3", "surface.resolutoin", "unknown key"),
        ("color = 3", "color", "unknown key"),
        ("surface = 3", "surface", "expected a table"),
        ("[[surface]]\nresolution = 3", "surface", "expected a table"),
        ("title = 3", "title", "expected str"),
        ("[title]\na = 3", "title", "expected str"),
        ('title = "a\\u0000b"', "title", "expected text without NUL"),
        ("[surface]\nresolution = '3'", "surface.resolution", "expected int, got '3'"),
        ("[surface]\nresolution = 3.0", "surface.resolution", "expected int, got 3.0"),
        ("[surface]\nresolution = true", "surface.resolution", "expected int, got True"),
        ("[surface]\nresolution = [3]", "surface.resolution", "expected int, got [3]"),
        ("[surface]\nresolution = 2024-01-01", "surface.resolution", "expected int"),
        ("[surface]\nresolution = 1", "surface.resolution", "expected 2 to 20000, got 1"),
        ("[surface]\nbatch = -1", "surface.batch", "expected 0 to"),
        ("[surface]\nminibatch = -1", "surface.minibatch", "expected 0 to"),
        ("[surface]\ntolerance = 0.6", "surface.tolerance", "expected 0 to 0.5"),
        ("[surface]\ndirections = 'pca'", "surface.directions", f"one of {', '.join(DIRECTIONS)}"),
        ("[surface]\nbatch_norm = 'eval'", "surface.batch_norm", "one of mode, batch, stored, re"),
        ("[surface]\nnoise = 1", "surface.noise", "expected str"),
        ("[surface]\nprecision = 'fp8'", "surface.precision", "expected one of float32, tf32, bf"),
        ("[surface]\naccuracy = 1", "surface.accuracy", "expected bool, got 1"),
        ("[surface]\nrange = true", "surface.range", "expected float, got True"),
        ("[surface]\nrange = nan", "surface.range", "got nan"),
        ("[surface]\nrange = inf", "surface.range", "got inf"),
        ("[surface]\nrange = 0", "surface.range", "got 0"),
        ("[surface]\nrange = -1.0", "surface.range", "got -1.0"),
        (f"[surface]\nrange = 1{'0' * 400}", "surface.range", "expected 1e-09 to 1e+09"),
        ("[surface]\nmode = 'Train'", "surface.mode", "expected one of train, eval"),
        ("[surface]\nseed = -1", "surface.seed", "expected 0 to"),
        ("[network]\nseed = 99999999999999999999", "network.seed", "expected 0 to"),
        ("[data]\nname = 'digit'", "data.name", f"expected one of {', '.join(DATA_SETS)}"),
        ("[data]\nname = 'folder'", "data.source", "folder needs the path of a folder, got ''"),
        ("[data]\nname = 'hub'", "data.source", "hub needs the name of a data set, got ''"),
        ("[data]\nsource = 'a/b'", "data.source", "digits has none: expected \"\", got 'a/b'"),
        (
            "[data]\nname = 'idx'\nsource = 'a'\nlabel = 'b'",
            "data.label",
            "idx has none: expected \"\", got 'b'",
        ),
        ("[data]\nlimit = -1", "data.limit", "expected 0 to"),
        (
            "[network]\nname = 'resnet'",
            "network.name",
            f"one of {', '.join(NETWORKS)}, got 'resnet'",
        ),
        ("[network]\nname = 3", "network.name", "expected str, got 3"),
        ("[network]\ndept = 3", "network.dept", "known are name, width, depth, seed"),
        ("[network]\nname = 'mlp'\ndepth = 0", "network.depth", "expected 1 to 200, got 0"),
        (
            "[surface.directions]\nname = 'pca'",
            "surface.directions",
            f"{', '.join(DIRECTIONS)}, got",
        ),
        ("[surface.directions]\npath = 'a'", "surface.directions", "expected str, got None"),
        ("[surface.directions]\nname = 'file'", "surface.directions.path", "the path of a file"),
        (
            "[surface.directions]\nname = 'file'\npth = 'a'",
            "surface.directions.pth",
            "known are path",
        ),
        ("[surface.directions]\nname = 'hessian'\nk = 3", "surface.directions.k", "unknown key"),
        ("[quality.final.data]\nname = 'hub'", "quality.final: data.source", "hub needs"),
        ("[film]\nmotion_blur = 1", "film.motion_blur", "expected bool, got 1"),
        ("quality = 3", "quality", "expected a table"),
        ("quality = 'best'", "quality", "expected one of preview, standard, final, got 'best'"),
        ("quality = ['final']", "quality", "expected a table"),
        ("[quality.best]", "quality", "got 'best'"),
        ("[quality]\nfinal = 3", "quality.final", "expected a table"),
        ("[quality.final]\nsurface = 3", "quality.final: surface", "expected a table"),
        ("[quality.final.surfce]", "quality.final: unknown key surfce", "known are"),
        ("[quality.final.surface]\nmode = 3", "quality.final: surface.mode", "expected str"),
        ("[surface", "not TOML", "(at "),
        ("a = 1\na = 2", "not TOML", "(at "),
        (f"a = {'9' * 5000}", "not TOML", "digits"),
    ],
)
def test_a_bad_recipe_is_a_sentence_with_file_and_key(text, key, reason):
    with pytest.raises(UserError) as caught:
        read_recipe(text, "lands/bad.toml")
    message = str(caught.value)
    assert message.startswith("lands/bad.toml: ")
    assert key in message
    assert reason in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("surface.resolutoin", 3, "unknown key surface.resolutoin"),
        ("surfaces.resolution", 3, "unknown key surfaces"),
        ("surface.resolution.x", 3, "surface.resolution: expected int, got {'x': 3}"),
        ("title.x", 3, "title: expected str"),
        ("surface", 3, "surface: expected a table"),
        ("surface.resolution", "many", "surface.resolution: expected int"),
        ("quality", "final", "--quality"),
    ],
)
def test_a_bad_change_is_a_sentence(key, value, reason):
    with pytest.raises(UserError) as caught:
        read_recipe(LAYERED, "layered", None, {key: value})
    assert reason in str(caught.value)


def test_another_network():
    recipe = read_recipe('[network]\nname = "mlp"\nwidth = 5', "", None, {"network.depth": 1})
    assert recipe.network == Mlp(width=5, depth=1)
    assert read_recipe(recipe.to_toml(), "") == recipe
    assert recipe.computed()["network.name"] == "mlp"


def test_directions_with_keys_of_their_own():
    pytest.importorskip("torch")
    changes = {"surface.directions.name": "file", "surface.directions.path": "axes.pt"}
    recipe = read_recipe("", "", None, changes)
    assert recipe.surface.directions == {"name": "file", "path": "axes.pt"}
    assert read_recipe(recipe.to_toml(), "") == recipe
    assert read_recipe('[surface.directions]\nname = "hessian"', "").surface.directions == "hessian"


def test_data_of_another_kind_in_another_quality():
    text = """
    [data]
    name = "faces"

    [quality.final.data]
    name = "hub"
    source = "flwrlabs/celeba"
    limit = 20000
    """
    assert read_recipe(text, "").data == Faces()
    final = Hub(source="flwrlabs/celeba", limit=20000)
    assert read_recipe(text, "", "final").data == final
    back = {"data.name": "digits", "data.source": "", "data.limit": 0}
    assert read_recipe(text, "", "final", back).data == Digits()


def test_a_recipe_from_before_there_were_other_data_sets():
    old = '[data]\nname = "digits"\nsize = 8\nseed = 0\n'
    assert read_recipe(old, "old").computed() == Recipe().computed()


def test_a_file_that_is_not_text(tmp_path):
    path = tmp_path / "picture.toml"
    path.write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(UserError, match=r"picture\.toml: not TOML"):
        load_recipe(path)


@pytest.mark.parametrize("quality", QUALITIES)
def test_our_own_pieces_are_good_in_every_quality(quality):
    files = sorted(places.scenes().glob("*.toml"))
    assert "gently" in [file.stem for file in files]
    for file in files:
        recipe = load_recipe(file, quality)
        assert recipe.sentence, file
        assert find_recipe(file.stem) == file


def test_what_decides_on_the_surfaces():
    recipe = read_recipe("", "")
    keys = recipe.computed()
    assert keys["surface.resolution"] == recipe.surface.resolution
    assert {key.split(".")[0] for key in keys} == {"data", "network", "training", "surface"}
    pictures = {"film.width": 99, "look.relief": 2.0, "camera.lens": 20.0, "title": "OTHER"}
    assert read_recipe("", "", "final", pictures).computed() == keys
    assert read_recipe("", "", None, {"surface.seed": 7}).computed() != keys
