"""The file between the halves: what one writes, the other reads; what is bad, it refuses."""

import dataclasses
import re
from pathlib import Path

import h5py
import numpy as np
import pytest
from faults import attribute, delete, group, link, replace

import movinglands.sequence
from addon.sequence import format
from addon.sequence.format import SequenceError
from addon.sequence.reader import open_sequence
from movinglands.errors import UserError
from movinglands.sequence import Frame, write_sequence

FORMAT_MD = (Path(__file__).parents[2] / "docs" / "format.md").read_text(encoding="utf-8")
BOWL = "surfaces/bowl"


def test_what_is_written_is_read(sequence, surface):
    with open_sequence(sequence) as opened:
        assert (opened.title, opened.path) == ("BOWL", sequence)
        assert opened.recipe == {"sentence": "A bowl.", "film": {"seconds": 3.5}}
        (found,) = opened.surfaces.values()
        assert found.name == "bowl"
        assert found.frames.tolist() == [0, 2]
        assert found.points() == 20
        for name in ("alpha", "beta"):
            np.testing.assert_array_equal(getattr(found, name), getattr(surface, name))
        for name in ("step", "origin", "minimizer"):
            np.testing.assert_array_equal(getattr(found, name), getattr(surface, name)[[0, 2]])
        for index, t in enumerate(found.frames):
            np.testing.assert_array_equal(found.loss(index), surface.frame(t).loss)
        assert found.scalars.keys() == {"train_loss"}
        np.testing.assert_array_equal(
            found.scalars["train_loss"], surface.scalars["train_loss"][[0, 2]]
        )
        assert found.attrs == {"network": "a bowl", "batch": 8}


def test_what_is_written_stands_in_the_file(sequence, surface):
    with movinglands.sequence.open_sequence(sequence) as file:
        found = file[BOWL]
        assert found["evaluated"][:, 0, 0].tolist() == [1, 0, 2]
        accuracy = found["metrics/accuracy"]
        for t in (0, 2):
            np.testing.assert_array_equal(accuracy[t], surface.frame(t).metrics["accuracy"])
        assert np.isnan(accuracy[1]).all()
        loss = found["loss"]
        assert (accuracy.dtype, accuracy.chunks, accuracy.compression, accuracy.shuffle) == (
            loss.dtype,
            loss.chunks,
            loss.compression,
            loss.shuffle,
        )
        for part, names in (
            ("paths", {"line", "curves"}),
            ("posterior", {"mean", "covariance", "samples"}),
        ):
            assert set(found[part]) == names
            for name in names:
                np.testing.assert_array_equal(found[part][name], getattr(surface, part)[name])
                assert found[part][name].dtype == "f8"


def test_a_frame_without_a_state_is_measured_and_its_metrics_may_be_missing(tmp_path, surface):
    plain = dataclasses.replace(surface, frame=lambda t: Frame(np.full((4, 5), t, np.float32)))
    write_sequence(tmp_path / "plain.h5", "PLAIN", "", {"bowl": plain})
    with h5py.File(tmp_path / "plain.h5") as file:
        assert (file[f"{BOWL}/evaluated"][:] == 1).all()
        assert np.isnan(file[f"{BOWL}/metrics/accuracy"][:]).all()


def test_a_frame_that_cannot_be_read_leaves_the_file_as_it_was(sequence, surface):
    before = sequence.read_bytes()

    def damaged(t):
        raise OSError("damaged")

    with pytest.raises(OSError, match="damaged"):
        write_sequence(sequence, "NEW", "", {"bowl": dataclasses.replace(surface, frame=damaged)})
    assert sequence.read_bytes() == before
    assert list(sequence.parent.iterdir()) == [sequence]


def test_a_file_may_be_replaced_while_it_is_open(sequence, surface):
    with open_sequence(sequence) as opened:
        write_sequence(sequence, "NEW", "", {"bowl": surface})
        np.testing.assert_array_equal(opened.surfaces["bowl"].loss(1), surface.frame(2).loss)
    with open_sequence(sequence) as again:
        assert again.title == "NEW"


def test_the_declarations_agree():
    assert format.FORMAT == movinglands.sequence.FORMAT
    assert format.VERSION == movinglands.sequence.VERSION
    for name in ("DATASETS", "OPTIONAL"):
        written = {n: (d.dtype, d.shape) for n, d in getattr(movinglands.sequence, name).items()}
        assert written == getattr(format, name)


def test_the_documentation_agrees():
    row = re.compile(r"^\| `([\w/<>]+)` \| (\w\d) \| \((.*?)\) \| (.*?) \|$", re.MULTILINE)
    documented = {}
    for name, dtype, dimensions, meaning in row.findall(FORMAT_MD):
        shape = tuple(int(d) if d.isdigit() else d for d in dimensions.split(", "))
        documented[name] = (dtype, shape, meaning)
    declared = movinglands.sequence.DATASETS | movinglands.sequence.OPTIONAL
    assert documented == {n: tuple(d) for n, d in declared.items()}
    assert list(documented) == list(declared)


def test_the_example_in_the_documentation_works(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"```python\n(.*?)```", FORMAT_MD, re.DOTALL)
    exec(example, {})
    with open_sequence("bowl.h5") as opened:
        bowl = opened.surfaces["bowl"]
        assert (opened.title, len(bowl.frames), bowl.points()) == ("BOWL", 10, 41 * 41)
        assert bowl.loss(0).min() == pytest.approx(bowl.minimizer[0, 2])
    assert movinglands.sequence.describe(Path("bowl.h5"))["surfaces"]["bowl"]["complete"] == 10


def entry(name, index, value):
    def change(file):
        file[name][index] = value

    return change


BAD = {
    "another version": (attribute("version", 2), "version 2"),
    "another format": (attribute("format", "other"), "other"),
    "no attributes": (lambda file: file.attrs.clear(), "format None"),
    "no TOML": (attribute("recipe", "[film"), "recipe: not TOML"),
    "no surfaces": (delete("surfaces"), "surfaces: missing"),
    "no surface": (delete(BOWL), "surfaces: expected"),
    "a surface that is none": (replace(BOWL, data=1), f"{BOWL}: expected a group"),
    **{
        f"no {name}": (delete(f"{BOWL}/{name}"), f"{BOWL}/{name}: missing")
        for name in format.DATASETS
    },
    "misshapen alpha": (
        replace(f"{BOWL}/alpha", shape=(6,), dtype="f8"),
        f"{BOWL}/alpha: expected",
    ),
    "transposed loss": (replace(f"{BOWL}/loss", shape=(3, 5, 4), dtype="f4"), f"{BOWL}/alpha: exp"),
    "flat loss": (replace(f"{BOWL}/loss", shape=(4, 5), dtype="f4"), f"{BOWL}/loss: expected"),
    "empty loss": (replace(f"{BOWL}/loss", data=h5py.Empty("f4")), f"{BOWL}/loss: expected"),
    "loss of text": (replace(f"{BOWL}/loss", data="text"), f"{BOWL}/loss: expected"),
    "misshapen origin": (
        replace(f"{BOWL}/origin", shape=(3, 3), dtype="f8"),
        f"{BOWL}/origin: exp",
    ),
    "misshapen scalar": (
        replace(f"{BOWL}/scalars/train_loss", shape=(2,), dtype="f8"),
        f"{BOWL}/scalars/train_loss: expected",
    ),
    "whole losses": (
        replace(f"{BOWL}/loss", shape=(3, 4, 5), dtype="i4"),
        f"{BOWL}/loss: expected type f4",
    ),
    "fractional steps": (
        replace(f"{BOWL}/step", shape=(3,), dtype="f8"),
        f"{BOWL}/step: expected type i8",
    ),
    "an external link": (
        link(f"{BOWL}/loss", h5py.ExternalLink("other.h5", "/loss")),
        f"{BOWL}/loss: expected data in this file",
    ),
    "an external surface": (
        link(BOWL, h5py.ExternalLink("other.h5", "/")),
        f"{BOWL}: expected data in this file",
    ),
    "a soft link": (
        link(f"{BOWL}/beta", h5py.SoftLink(f"/{BOWL}/alpha")),
        f"{BOWL}/beta: expected data in this file",
    ),
    "external storage": (
        replace(f"{BOWL}/step", shape=(3,), dtype="i8", external="other.bin"),
        f"{BOWL}/step: expected data in this file",
    ),
    **{
        f"no group of {part}": (
            replace(f"{BOWL}/{part}", data=[1.0, 2.0, 3.0]),
            f"{BOWL}/{part}: expected a group",
        )
        for part in ("metrics", "scalars", "paths", "posterior")
    },
    **{
        f"a group for one of {part}": (
            group(f"{BOWL}/{part}/x"),
            f"{BOWL}/{part}/x: expected",
        )
        for part in ("metrics", "scalars", "paths")
    },
    "an external link for all metrics": (
        link(f"{BOWL}/metrics", h5py.ExternalLink("other.h5", "/")),
        f"{BOWL}/metrics: expected data in this file",
    ),
    "an external link for a path": (
        link(f"{BOWL}/paths/line", h5py.ExternalLink("other.h5", "/line")),
        f"{BOWL}/paths/line: expected data in this file",
    ),
    "a misshapen metric": (
        replace(f"{BOWL}/metrics/accuracy", shape=(3, 5, 4), dtype="f4"),
        f"{BOWL}/metrics/accuracy: expected shape (3, 4, 5), found (3, 5, 4)",
    ),
    "a metric of whole numbers": (
        replace(f"{BOWL}/metrics/accuracy", shape=(3, 4, 5), dtype="i4"),
        f"{BOWL}/metrics/accuracy: expected type f4",
    ),
    "a path of another number of frames": (
        replace(f"{BOWL}/paths/curves", shape=(2, 6, 3), dtype="f8"),
        f"{BOWL}/paths/curves: expected shape (points, 3) or (3, points, 3), found (2, 6, 3)",
    ),
    "a path without losses": (
        replace(f"{BOWL}/paths/line", shape=(7, 2), dtype="f8"),
        f"{BOWL}/paths/line: expected shape (points, 3) or (3, points, 3), found (7, 2)",
    ),
    "a path without points": (
        replace(f"{BOWL}/paths/line", shape=(0, 3), dtype="f8"),
        f"{BOWL}/paths/line: expected shape (points, 3)",
    ),
    "a path of nothing": (
        replace(f"{BOWL}/paths/line", data=h5py.Empty("f8")),
        f"{BOWL}/paths/line: expected shape (points, 3)",
    ),
    "a mean of three": (
        replace(f"{BOWL}/posterior/mean", shape=(3,), dtype="f8"),
        f"{BOWL}/posterior/mean: expected shape (2,), found (3,)",
    ),
    "a flat covariance": (
        replace(f"{BOWL}/posterior/covariance", shape=(4,), dtype="f8"),
        f"{BOWL}/posterior/covariance: expected shape (2, 2), found (4,)",
    ),
    "samples without losses": (
        replace(f"{BOWL}/posterior/samples", shape=(8, 2), dtype="f8"),
        f"{BOWL}/posterior/samples: expected shape (samples, 3), found (8, 2)",
    ),
    "text for a scalar": (
        replace(f"{BOWL}/scalars/train_loss", data=["a", "b", "c"]),
        f"{BOWL}/scalars/train_loss: expected type f8",
    ),
    "several versions": (attribute("version", [1, 2]), "version [1 2]"),
    "decreasing alpha": (entry(f"{BOWL}/alpha", 2, -3.0), f"{BOWL}/alpha: expected"),
    "equal betas": (entry(f"{BOWL}/beta", 2, -0.1), f"{BOWL}/beta: expected"),
    "NaN in beta": (entry(f"{BOWL}/beta", 3, np.nan), f"{BOWL}/beta: expected"),
    "infinity in alpha": (entry(f"{BOWL}/alpha", 4, np.inf), f"{BOWL}/alpha: expected"),
    "NaN in origin": (entry(f"{BOWL}/origin", (0, 0), np.nan), f"{BOWL}/origin: expected"),
    "no complete frame": (
        entry(f"{BOWL}/evaluated", (slice(None), 0, 0), 0),
        f"{BOWL}/evaluated: no frame is complete",
    ),
}

ONLY_IN_BLENDER = {
    "no TOML",
    "decreasing alpha",
    "equal betas",
    "NaN in beta",
    "infinity in alpha",
    "NaN in origin",
    "no complete frame",
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_files_are_refused_in_a_sentence(sequence, kind):
    change, expected = BAD[kind]
    with h5py.File(sequence, "r+") as file:
        change(file)
    with pytest.raises(SequenceError) as caught, open_sequence(sequence):
        pass
    message = str(caught.value)
    assert message.startswith(f"{sequence}: ")
    assert expected in message
    assert "\n" not in message


@pytest.mark.parametrize("kind", [kind for kind in BAD if kind not in ONLY_IN_BLENDER])
def test_the_computing_half_refuses_them_too(sequence, kind):
    change, expected = BAD[kind]
    with h5py.File(sequence, "r+") as file:
        change(file)
    with pytest.raises(UserError) as caught:
        movinglands.sequence.open_sequence(sequence)
    message = str(caught.value)
    assert message.startswith(f"{sequence}: ")
    assert expected in message
    assert "\n" not in message


def test_a_part_of_the_posterior_and_what_nobody_declared(sequence):
    with h5py.File(sequence, "r+") as file:
        del file[f"{BOWL}/posterior/mean"], file[f"{BOWL}/posterior/samples"]
        file[f"{BOWL}/posterior/kurtosis"] = 3
        file[f"{BOWL}/notes"] = "mine"
    with open_sequence(sequence):
        pass
    movinglands.sequence.open_sequence(sequence).close()


def test_what_is_no_sequence_at_all(sequence, tmp_path):
    with pytest.raises(SequenceError, match=r"none\.h5: no such file"), open_sequence("none.h5"):
        pass
    text = tmp_path / "text.h5"
    text.write_text("text")
    half = tmp_path / "half.h5"
    half.write_bytes(sequence.read_bytes()[:3000])
    for path in (text, half):
        with pytest.raises(SequenceError) as caught, open_sequence(path):
            pass
        assert str(caught.value) == f"{path}: not an HDF5 file, or a damaged one."


def test_interpolated_points_count(sequence):
    with h5py.File(sequence, "r+") as file:
        file[f"{BOWL}/evaluated"][1] = 2
    with open_sequence(sequence) as opened:
        assert opened.surfaces["bowl"].frames.tolist() == [0, 1, 2]
