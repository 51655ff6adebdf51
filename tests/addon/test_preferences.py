"""The preferences: what belongs to a machine, and what is in the Python they name."""

import json
import os
import sys
import time
from pathlib import Path

import bpy
import pytest
import stand_in
from stand_in import HERE

import addon
from addon.ui import preferences


@pytest.fixture
def chosen(empty):
    """The preferences of an extension that is enabled."""
    addon.register()
    entry = bpy.context.preferences.addons.new()
    entry.module = preferences.ROOT
    yield entry.preferences
    addon.unregister()
    bpy.context.preferences.addons.remove(entry)


@pytest.fixture
def python(tmp_path):
    """Make a stand-in for the Python of a computing half."""

    return lambda code: str(stand_in.python(tmp_path, code))


def wait():
    """Look after the check, as Blender's timer does, until it is over."""
    deadline = time.monotonic() + 20
    while preferences.runner.tick() is not None:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_what_they_are_at_first(chosen):
    seen = preferences.preferences(bpy.context)
    assert seen == chosen
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    assert max(0.5, memory / 16) < seen.memory_budget < max(0.6, memory / 4)
    assert (seen.python, seen.grow, Path(seen.folder).name) == ("", True, "Moving Lands")
    assert preferences.installation(bpy.context) == {}


def test_a_bare_module_has_the_same(chosen, monkeypatch):
    before = {key: getattr(chosen, key) for key in vars(preferences.DEFAULTS)}
    monkeypatch.setattr(preferences, "ROOT", "not enabled")
    plain = preferences.preferences(bpy.context)
    assert {key: getattr(plain, key) for key in before} == pytest.approx(before)


def test_everything_has_a_tooltip(chosen):
    for name in type(chosen).__annotations__:
        description = chosen.bl_rna.properties[name].description
        assert description and not description.endswith("."), name


def test_choosing_a_python_looks_what_is_there(chosen, python):
    chosen.python = python(
        'assert sys.argv[1:] == ["-m", "movinglands.cli", "scenes", "--json"]\n'
        "print('a word of warning'); print(json.dumps(HERE))"
    )
    assert not bpy.ops.moving_lands.check_python.poll()  # one at a time
    wait()
    found = preferences.installation(bpy.context)
    assert {key: found[key] for key in HERE} == HERE
    assert bpy.ops.moving_lands.check_python.poll()
    chosen.python = ""
    assert preferences.installation(bpy.context) == {}


def test_checking_again(chosen, python):
    chosen.python = python("print(json.dumps(HERE))")
    wait()
    python("print(json.dumps(HERE | {'version': '0.2.0'}))")
    assert bpy.ops.moving_lands.check_python() == {"FINISHED"}
    wait()
    assert preferences.installation(bpy.context)["version"] == "0.2.0"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (
            "sys.exit(\"ModuleNotFoundError: No module named 'movinglands'\")",
            "{python} has no movinglands: install it there (pip install ./compute).",
        ),
        ("import notorch", "{python}: ModuleNotFoundError: No module named 'notorch'"),
        ("print('{}')", "{python}: no movinglands answers there."),
        ("print('Hello.')", "{python}: no movinglands answers there."),
    ],
)
def test_a_python_that_will_not_do(chosen, python, code, expected):
    chosen.python = python(code)
    wait()
    assert preferences.problem() == expected.format(python=chosen.python)
    assert preferences.installation(bpy.context) == {}


def test_a_python_without_movinglands(chosen, tmp_path):
    """A real one, of whatever version."""
    bare = tmp_path / "bare"
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S "$@"\n')
    bare.chmod(0o755)
    chosen.python = str(bare)
    wait()
    assert "has no movinglands: install it there" in preferences.problem()


def test_no_python(chosen, tmp_path):
    with pytest.raises(ValueError, match=r"choose one in the add-on's preferences\.$"):
        preferences.lands(bpy.context)
    assert not bpy.ops.moving_lands.check_python.poll()
    chosen.python = str(tmp_path / "gone")
    assert preferences.problem().startswith(f"{tmp_path / 'gone'}: no such file")
    with pytest.raises(RuntimeError, match="no such file: choose a Python"):
        bpy.ops.moving_lands.check_python()
    chosen.python = str(tmp_path)
    assert "no such file" in preferences.problem()


def test_what_is_found_is_remembered_for_that_python_only(chosen, python):
    path = python("time.sleep(60)")
    chosen.found = json.dumps(HERE | {"python": path})
    assert preferences.installation(bpy.context) == {}
    chosen.python = path
    assert preferences.installation(bpy.context)["device"] == "an abacus"


def test_unregistering_ends_a_check(chosen, python, tmp_path):
    chosen.python = python(
        f"open({str(tmp_path / 'begun')!r}, 'w').close()\n"
        "try: time.sleep(60)\n"
        f"except KeyboardInterrupt: open({str(tmp_path / 'ended')!r}, 'w').close()"
    )
    while not (tmp_path / "begun").exists():
        time.sleep(0.02)
    addon.unregister()
    assert (tmp_path / "ended").exists()
    assert not preferences.runner.is_looking()
    addon.register()
