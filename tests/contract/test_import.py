"""What is imported from other tools is a sequence to both halves."""

import numpy as np
import other_tools
import pytest

import movinglands.sequence
from addon.sequence.reader import open_sequence
from movinglands.interop.importing import import_surfaces
from movinglands.interop.kinds import KINDS

WRITERS = {
    "li": other_tools.li,
    "garipov": other_tools.garipov,
    "swag": other_tools.swag,
    "landscaper": other_tools.landscaper,
    "loss-landscapes": other_tools.serpentine,
    "array": other_tools.array,
}


def test_every_kind_is_here():
    assert WRITERS.keys() == KINDS.keys()


@pytest.mark.parametrize("kind", WRITERS)
def test_both_halves_read_it(tmp_path, kind):
    file = tmp_path / {"HDF5": "a.h5", "npz": "a.npz", "npy": "a.npy"}[KINDS[kind].container]
    WRITERS[kind](file)
    bare = KINDS[kind].container == "npy"
    output = tmp_path / "brought.h5"
    import_surfaces([file, file], output, kind if bare else None, [(-1, 1)] if bare else [])
    (described,) = movinglands.sequence.describe(output)["surfaces"].values()
    assert (described["frames"], described["complete"]) == (2, 2)
    with open_sequence(output) as opened:
        assert opened.title == "brought"
        (surface,) = opened.surfaces.values()
        assert surface.frames.tolist() == [0, 1]
        assert surface.attrs["imported"] == KINDS[kind].tool
        a, b, least = (surface.minimizer - [*surface.origin[0], 0])[0]
        assert surface.alpha[0] <= a <= surface.alpha[-1]
        assert surface.beta[0] <= b <= surface.beta[-1]
        assert np.isfinite(least)
        y, x = np.meshgrid(surface.beta, surface.alpha, indexing="ij")
        expected = other_tools.loss(x + surface.origin[0, 0], y + surface.origin[0, 1])
        np.testing.assert_allclose(surface.loss(1), expected, rtol=1e-6)
