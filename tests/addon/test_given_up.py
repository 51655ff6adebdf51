"""Given up at any step, or broken by an error, a long work has left everything as it was."""

import dataclasses

import bpy
import numpy as np
import pytest
from funnel import funnel
from lands import drained
from state import differences, state

from addon.shot import parts as shots
from addon.shot import scripting as stage
from movinglands.sequence import write_sequence

FILM = stage.Settings(fps=8, seconds=1.0, rig="wide")


def land(frames=2, size=7, **attrs):
    """A funnel with a path, a trajectory and a posterior on it."""
    given = funnel(size=size, frames=frames)
    line = np.linspace(-0.8, 0.8, 5)
    samples = np.column_stack([line, line[::-1], np.ones(5)])
    return dataclasses.replace(
        given,
        paths={"line": np.column_stack([line, np.zeros(5), np.ones(5)])},
        posterior={"mean": np.zeros(2), "covariance": 0.04 * np.eye(2), "samples": samples},
    )


def written(path, **shape):
    write_sequence(path, "PAIR", "", {"one": land(**shape), "other": land(**shape)})
    return path


@pytest.fixture
def files(tmp_path):
    folder = tmp_path / "files"
    folder.mkdir()
    return written(folder / "begun.h5"), written(folder / "longer.h5", frames=3, size=9)


@pytest.fixture
def blend(empty, tmp_path):
    """The folder of a .blend that is saved."""
    folder = tmp_path / "blend"
    folder.mkdir()
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "shot.blend"))
    return folder


def at_every_step(begin, folder, reads=20):
    """Close a work after its first step, its second ...; return what it made when it ended.

    After so many steps all is read. Plans follow, which know nothing of Blender: of their steps
    some do.
    """
    before, steps = state(folder), 0
    while True:
        steps += 1 if steps < reads else 293
        work = begin()
        try:
            for _ in range(steps):
                next(work)
        except StopIteration as end:
            assert steps > 10
            return end.value
        work.close()
        assert differences(before, state(folder)) == [], f"step {steps}"


@pytest.mark.parametrize("cache", [False, True], ids=["shape keys", "mesh cache"])
def test_an_update(blend, files, cache):
    begun, longer = files
    shot = stage.import_sequence(begun, FILM, shots.Options(cache=cache))
    at_every_step(lambda: stage.updating(shot, longer), blend)


@pytest.mark.parametrize("cache", [False, True], ids=["shape keys", "mesh cache"])
@pytest.mark.parametrize("whole", [True, False], ids=["whole shot", "lands"])
def test_an_import(blend, files, cache, whole):
    options = shots.Options(cache=cache, whole=whole)
    shot = at_every_step(lambda: stage.importing(files[0], FILM, options), blend)
    assert len(shots.lands_of(shot)) == 2


def test_an_update_that_cannot_be_filmed(blend, files):
    shot = stage.import_sequence(files[0], FILM, shots.Options(cache=True))
    before = state(blend)
    fly = dataclasses.replace(FILM, rig="fly-line", acts=[{"rig": "fly-line", "line": "none"}])
    with pytest.raises(ValueError, match="none"):
        drained(stage.updating(shot, files[1], fly))
    assert differences(before, state(blend)) == []


def test_an_import_that_cannot_be_filmed(blend, files):
    before = state(blend)
    fly = dataclasses.replace(FILM, acts=[{"rig": "fly-line", "line": "none"}])
    with pytest.raises(ValueError, match="none"):
        stage.import_sequence(files[0], fly, shots.Options(cache=True))
    assert differences(before, state(blend)) == []


def test_what_others_make_meanwhile_stays(blend, files):
    work = stage.importing(files[0], FILM)
    before = state()
    for _ in range(12):
        next(work)
    cube = bpy.data.objects.new("Mine", bpy.data.meshes.new("Mine"))
    bpy.context.scene.collection.objects.link(cube)
    bpy.data.materials.new("Not used yet")
    work.close()
    assert {name for kind, name in state().keys() - before.keys()} == {"Mine", "Not used yet"}


def test_a_shot_that_is_changed_meanwhile_is_left_alone(blend, files):
    shot = stage.import_sequence(files[0], FILM)
    work = stage.updating(shot, files[1])
    next(work)
    bpy.data.objects.remove(shots.lands_of(shot)[1])
    before = state()
    with pytest.raises(ValueError, match="has been changed meanwhile: update it again"):
        drained(work)
    assert differences(before, state()) == []


@pytest.mark.parametrize("name", ["Camera", "Minimizer", "Focus", "Land"])
def test_a_camera_that_is_changed_meanwhile_is_left_alone(blend, files, name):
    shot = stage.import_sequence(files[0], FILM)
    work = stage.changing_rig(shot, bpy.context.scene, "orbit")
    next(work)
    bpy.data.objects.remove(shots.parts_of(shot)[name])
    before = state()
    with pytest.raises(ValueError, match="has been changed meanwhile: change its camera again"):
        drained(work)
    assert differences(before, state()) == []


def test_caches_of_like_names_are_files_of_their_own(blend, tmp_path):
    file = tmp_path / "like.h5"
    write_sequence(file, "LIKE", "", {"a.b": land(), "a b": land(size=9)})
    shot = stage.import_sequence(file, FILM, shots.Options(cache=True, whole=False))
    paths = {each.modifiers[0].filepath for each in shots.lands_of(shot)}
    assert len(paths) == len(list(blend.glob("*.pc2"))) == 2
