"""What is taken of a sequence, and what is told of it before."""

import time

import h5py
import numpy as np
import pytest
from lands import write_lands

from addon.sequence.format import SequenceError
from addon.sequence.reader import open_sequence
from addon.sequence.selection import Selection
from addon.sequence.summary import facts

LOSS, EVALUATED = "surfaces/network/loss", "surfaces/network/evaluated"


@pytest.fixture
def losses(tmp_path):
    return write_lands(tmp_path / "lands.h5", rows=9, cols=12, snapshots=11, network="a  net\nwork")


@pytest.fixture
def surface(tmp_path, losses):
    with open_sequence(tmp_path / "lands.h5") as opened:
        yield opened.surfaces["network"]


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (Selection(), range(11)),
        (Selection(2, 5), [2, 3, 4, 5]),
        (Selection(-3), [8, 9, 10]),
        (Selection(1, -2, 3), [1, 4, 7, 9]),
        (Selection(every=5), [0, 5, 10]),
        (Selection(every=100), [0, 10]),
        (Selection(4, 4, 2), [4]),
        (Selection(9, 500), [9, 10]),
    ],
)
def test_snapshots_are_selected_and_the_last_is_always_shown(surface, losses, selection, expected):
    found, expected = surface.select(selection), list(expected)
    assert found.frames.tolist() == expected
    for name in ("step", "origin", "minimizer"):
        np.testing.assert_array_equal(getattr(found, name), getattr(surface, name)[expected])
    np.testing.assert_array_equal(found.scalars["rate"], surface.scalars["rate"][expected])
    np.testing.assert_array_equal(found.paths["curves"], surface.paths["curves"][expected])
    np.testing.assert_array_equal(found.paths["line"], surface.paths["line"])
    np.testing.assert_array_equal(list(found.losses()), losses[expected])


def test_of_a_file_that_grows_complete_frames_are_selected(tmp_path, losses):
    with h5py.File(tmp_path / "lands.h5", "r+") as file:
        file[EVALUATED][3, 2, 2] = 0
        file[EVALUATED][8:] = 0
    with open_sequence(tmp_path / "lands.h5") as opened:
        surface = opened.surfaces["network"]
        assert surface.frames.tolist() == [0, 1, 2, 4, 5, 6, 7]
        assert surface.select(Selection(every=2)).frames.tolist() == [0, 2, 5, 7]


@pytest.mark.parametrize("count", range(2, 40))
@pytest.mark.parametrize("thin", [1, 2, 3, 4, 7, 50])
def test_thinned_lines_keep_borders_and_middle_and_mirror(count, thin):
    lines = Selection(thin=thin).lines(count)
    assert (lines[0], lines[-1]) == (0, count - 1)
    np.testing.assert_array_equal(lines, count - 1 - lines[::-1])
    steps = np.diff(lines)
    assert np.ptp(steps) <= 1
    assert (count - 1) // 2 in lines or count % 2 == 0
    assert abs(len(steps) - (count - 1) / thin) <= 1 or len(lines) <= 3


def test_a_thinned_surface_has_these_rows_and_columns(surface, losses):
    found = surface.select(Selection(1, 3, thin=3))
    rows, cols = [0, 4, 8], [0, 4, 7, 11]
    assert found.points() == 12
    np.testing.assert_array_equal(found.alpha, surface.alpha[cols])
    np.testing.assert_array_equal(found.beta, surface.beta[rows])
    np.testing.assert_array_equal(found.loss(1), losses[2][np.ix_(rows, cols)])
    again = found.select(Selection(1, thin=2))
    np.testing.assert_array_equal(list(again.losses()), losses[2:4, ::4][:, :, [0, 11]])
    assert (len(again.alpha), len(again.beta)) == (2, 3)


@pytest.mark.parametrize(
    ("selection", "fault"),
    [
        ((5, 4), "network: snapshots 5 to 4: expected some of 0 to 10, the first one first."),
        ((11, 20), "network: snapshots 11 to 20: expected some of 0 to 10"),
        ((-12, -1), "network: snapshots -12 to -1: expected some of 0 to 10"),
        ((0, -12), "network: snapshots 0 to -12: expected some of 0 to 10"),
        ((0, -1, 0), "every 0: expected 1 or more."),
        ((0, -1, 1, -2), "thin -2: expected 1 or more."),
    ],
)
def test_what_cannot_be_selected(surface, selection, fault):
    with pytest.raises(ValueError, match=fault):
        surface.select(Selection(*selection))


def test_reading_ahead_stops_at_the_frame_that_is_damaged(tmp_path, losses):
    with h5py.File(tmp_path / "lands.h5", "r+") as file:
        file[LOSS].id.write_direct_chunk((6, 0, 0), b"not what gzip writes")
    with open_sequence(tmp_path / "lands.h5") as opened:
        frames = opened.surfaces["network"].losses(lambda loss: 2 * loss)
        for index in range(6):
            np.testing.assert_array_equal(next(frames), 2 * losses[index])
        with pytest.raises(SequenceError, match=rf"lands\.h5: {LOSS}: damaged at frame 6\.$"):
            next(frames)


def test_the_frame_that_is_damaged_is_that_of_the_file(tmp_path, losses):
    with h5py.File(tmp_path / "lands.h5", "r+") as file:
        file[LOSS].id.write_direct_chunk((6, 0, 0), b"not what gzip writes")
    with open_sequence(tmp_path / "lands.h5") as opened:
        shown = opened.surfaces["network"].select(Selection(every=3))
        with pytest.raises(SequenceError, match=r"damaged at frame 6\.$"):
            shown.loss(2)


def test_codes_that_cannot_be_read_are_refused(tmp_path, losses):
    with h5py.File(tmp_path / "lands.h5", "r+") as file:
        file[EVALUATED].id.write_direct_chunk((4, 0, 0), b"not what gzip writes")
    with (
        pytest.raises(SequenceError, match=rf"lands\.h5: {EVALUATED}: damaged at frame 4\.$"),
        open_sequence(tmp_path / "lands.h5"),
    ):
        pass


@pytest.mark.parametrize("storage", [{}, {"chunks": (2, 9, 12)}, {"chunks": (1, 4, 4)}])
def test_codes_may_be_stored_in_any_way(tmp_path, losses, storage):
    codes = np.ones((11, 9, 12), np.uint8)
    codes[2, 8, 11] = codes[3, 0, 0] = codes[9] = 0
    codes[4] = 2
    with h5py.File(tmp_path / "lands.h5", "r+") as file:
        del file[EVALUATED]
        file.create_dataset(EVALUATED, data=codes, **storage)
    with open_sequence(tmp_path / "lands.h5") as opened:
        assert opened.surfaces["network"].frames.tolist() == [0, 1, 4, 5, 6, 7, 8, 10]


def test_facts(tmp_path, losses):
    with h5py.File(tmp_path / "lands.h5", "r+") as file:
        file[EVALUATED][10] = 0
        file[LOSS][0, 0, :3] = np.nan, np.inf, -np.inf
        file["surfaces/network"].attrs.update(batch_norm="recomputed", batch=8, fingerprint="f00")
    with open_sequence(tmp_path / "lands.h5") as opened:
        surface = opened.surfaces["network"]
        found = facts(surface)
        thinned = facts(surface.select(Selection(0, 6, 2, thin=3)))
    assert (found.name, found.snapshots, found.complete) == ("network", 11, 10)
    assert (found.rows, found.cols, found.glanced) == (9, 12, 8)
    assert found.made == ["Network: a net work", "Batch: 8", "Batch norm: recomputed"]
    assert found.cache_size == 10 * 9 * 12 * 12
    assert found.keys_memory > found.cache_memory + found.cache_size
    assert (thinned.complete, thinned.rows, thinned.cols, thinned.glanced) == (4, 3, 4, 4)
    shown = losses[[0, 2, 4, 6]][:, ::4][:, :, [0, 4, 7, 11]]
    shown[0, 0, 0] = np.nan
    assert (thinned.lowest, thinned.highest) == (np.nanmin(shown), np.nanmax(shown))


def test_facts_of_losses_none_of_which_is_finite(tmp_path, losses):
    with h5py.File(tmp_path / "lands.h5", "r+") as file:
        file[LOSS][:] = np.nan
    with open_sequence(tmp_path / "lands.h5") as opened:
        found = facts(opened.surfaces["network"])
    assert np.isnan([found.lowest, found.highest]).all()


def test_a_large_file_is_looked_over_at_once(tmp_path):
    with h5py.File(tmp_path / "large.h5", "w") as file:
        file.attrs.update(format="moving-lands", version=1)
        network = file.create_group("surfaces/network")
        shape, axis = (300, 548, 548), np.linspace(-1, 1, 548)
        network["alpha"], network["beta"], network["step"] = axis, axis, np.arange(300)
        network["origin"], network["minimizer"] = np.zeros((300, 2)), np.zeros((300, 3))
        for name, kind, fill in (("loss", "f4", 1.5), ("evaluated", "u1", 1)):
            settings = {"chunks": (1, *shape[1:]), "compression": "gzip", "fillvalue": fill}
            network.create_dataset(name, shape, kind, **settings)
            network[name][0] = fill
            stored = network[name].id.read_direct_chunk((0, 0, 0))
            for t in range(1, 300):
                network[name].id.write_direct_chunk((t, 0, 0), stored[1], stored[0])
    start = time.perf_counter()
    with open_sequence(tmp_path / "large.h5") as opened:
        found = facts(opened.surfaces["network"])
    assert time.perf_counter() - start < 1
    assert (found.complete, found.lowest, found.highest) == (300, 1.5, 1.5)
