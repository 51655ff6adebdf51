"""Both halves are houses: the folders' order is that of their imports, and no file is too long.

What is imported inside a function or for type checking only counts like the rest.
"""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HALVES = {"addon": ROOT / "addon", "movinglands": ROOT / "compute" / "movinglands"}
LONGEST = 400


def modules_of(half):
    """Paths of modules by their dotted name within a half, packages by their folder's."""
    found = {}
    for path in sorted(half.rglob("*.py")):
        parts = path.relative_to(half).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(name, path, modules):
    """The modules of the same half that one imports, relatively."""
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    package = [part for part in package if part]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        above = package[: len(package) - node.level + 1]
        base = ".".join([*above, *([node.module] if node.module else [])])
        for alias in node.names:
            inner = f"{base}.{alias.name}".strip(".")
            if inner in modules:
                yield inner
            elif base in modules:
                yield base


def imports_of(half):
    modules = modules_of(half)
    return {name: set(imported(name, path, modules)) - {name} for name, path in modules.items()}


def circle_in(graph):
    """A circle of imports, or nothing."""
    done = set()

    def walk(node, way):
        if node in way:
            return [*way[way.index(node) :], node]
        if node in done:
            return None
        for other in sorted(graph.get(node, ())):
            if found := walk(other, [*way, node]):
                return found
        done.add(node)
        return None

    return next((found for node in sorted(graph) if (found := walk(node, []))), None)


def within(folder, module):
    """The file or folder of a folder that a module is, or lies in; nothing where it is outside."""
    if folder and not module.startswith(f"{folder}."):
        return ""
    return module.removeprefix(f"{folder}.").split(".")[0]


@pytest.fixture(params=HALVES, ids=list(HALVES))
def half(request):
    return HALVES[request.param]


def test_modules_import_in_no_circle(half):
    assert circle_in(imports_of(half)) is None


def test_folders_import_in_no_circle(half):
    """Of each folder: what lies in it has an order, files and folders alike."""
    imports = imports_of(half)
    for folder in {name.rpartition(".")[0] for name in imports}:
        graph = {}
        for name, others in imports.items():
            if inside := within(folder, name):
                found = {within(folder, other) for other in others} - {"", inside}
                graph.setdefault(inside, set()).update(found)
        assert circle_in(graph) is None, folder


def test_no_file_is_too_long(half):
    lengths = {
        path.relative_to(ROOT).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
        for path in half.rglob("*.py")
    }
    assert {path: lines for path, lines in lengths.items() if lines > LONGEST} == {}


def test_no_folder_has_a_single_file(half):
    folders = {path.parent for path in half.rglob("*.py")}
    counts = {
        folder.relative_to(ROOT).as_posix(): len(
            [path for path in folder.iterdir() if not path.name.startswith("_")]
        )
        for folder in folders
    }
    assert [folder for folder, count in counts.items() if count < 2] == []


def test_the_folders_are_told_in_their_order():
    half = HALVES["movinglands"]
    told = ast.get_docstring(ast.parse((half / "__init__.py").read_text(encoding="utf-8")))
    lines = re.findall(r"^    (\w+(?:, \w+)*)  ", told, re.MULTILINE)
    order = [name for line in lines for name in line.split(", ")]
    assert sorted(order) == sorted(
        path.name for path in half.iterdir() if path.name[0].islower() and path.is_dir()
    )
    for name, others in imports_of(half).items():
        for other in {within("", other) for other in others} & {*order}:
            if (inside := within("", name)) in order:
                assert order.index(other) <= order.index(inside), f"{name} imports {other}"


def test_a_circle_is_found():
    assert circle_in({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert circle_in({"a": {"b", "c"}, "b": {"c"}}) is None
