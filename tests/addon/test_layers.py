"""The way from a file to a film runs one way: who comes later knows who came before, never back."""

import ast
from pathlib import Path

import pytest

ADDON = Path(__file__).parents[2] / "addon"

LAYERS = [
    {"units", "steps", "splines", "files", "progress"},
    {"blender", "sequence"},
    {"nodes"},
    {"land"},
    {"camera", "look", "overlays"},
    {"shot"},
    {"render"},
    {"judge"},
    {"ui"},
]


def rooms(path):
    """The rooms of the add-on, folders or single files, that a module imports something of."""
    room = path.relative_to(ADDON).parts[0].removesuffix(".py")
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            folder = path.parents[node.level - 1]
            names = [node.module] if node.module else [alias.name for alias in node.names]
            for name in names:
                other = folder.joinpath(*name.split(".")).relative_to(ADDON).parts[0]
                if other != room:
                    yield other


@pytest.mark.parametrize("room", [room for layer in LAYERS for room in sorted(layer)])
def test_a_room_knows_only_what_comes_before_it(room):
    below = set()
    for layer in LAYERS:
        if room in layer:
            break
        below |= layer
    files = [*(ADDON / room).rglob("*.py")] or [ADDON / f"{room}.py"]
    found = {file.name: set(rooms(file)) - below for file in files}
    assert not {name: others for name, others in found.items() if others}


def test_every_room_has_its_layer():
    found = {path.stem for path in ADDON.iterdir() if path.suffix == ".py" or path.is_dir()}
    known = set().union(*LAYERS) | {"assets", "__init__", "__main__", "__pycache__"}
    assert not found - known
