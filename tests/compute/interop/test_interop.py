"""What other tools wrote stands in the sequence where it was computed, and nothing else does."""

import pickle

import h5py
import numpy as np
import other_tools
import pytest
import torch
from other_tools import accuracy, loss

from movinglands.cli import main
from movinglands.sequence import complete_frames, open_sequence

RANGE = ("--coordinates", -0.5, 0.5)


@pytest.fixture
def brought(tmp_path):
    """Import files and return the surface, read back."""
    opened = []

    def run(*words):
        output = tmp_path / "out" / "brought.h5"
        assert main(["import", *map(str, words), "-o", str(output)]) == 0
        opened.append(open_sequence(output))
        return opened[-1]["surfaces/network"]

    yield run
    for file in opened:
        file.close()


@pytest.fixture
def refused(tmp_path, capsys):
    """Run an import that must be refused and leaves nothing; give the sentence."""

    def run(*words):
        before = sorted(tmp_path.rglob("*"))
        assert main(["import", *map(str, words), "-o", str(tmp_path / "refused.h5")]) == 2
        assert sorted(tmp_path.rglob("*")) == before
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("lands: ")
        return line.removeprefix("lands: ")

    return run


def places(surface, t=0):
    """The plane coordinates of every point of a frame, ``(rows, cols)`` each."""
    origin = surface["origin"][t]
    return np.meshgrid(surface["alpha"][:] + origin[0], surface["beta"][:] + origin[1])


def assert_holds(surface, name, values, t=0):
    np.testing.assert_allclose(surface[name][t], values(*places(surface, t)), rtol=1e-6)


def assert_window(surface, x, y):
    """The window reaches over x and y of the plane and is counted from its centre."""
    for name, (low, high), k in (("alpha", x, 0), ("beta", y, 1)):
        axis, origin = surface[name][:], surface["origin"][0, k]
        np.testing.assert_allclose([axis[0], axis[-1]], [-(high - low) / 2, (high - low) / 2])
        np.testing.assert_allclose(origin, (low + high) / 2, atol=1e-12)


def without_losses(points):
    return np.column_stack([points, np.full(len(points), np.nan)])


def test_li(tmp_path, brought):
    other_tools.li(
        tmp_path / "a.h5",
        test_loss=lambda x, y: loss(x, y) + 1,
        test_acc=lambda x, y: accuracy(x, y) - 1,
    )
    surface = brought(tmp_path / "a.h5")
    assert surface["loss"].shape == (1, 9, 5)
    assert_window(surface, (-1, 1), (-0.5, 1.5))
    assert_holds(surface, "loss", loss)
    assert_holds(surface, "metrics/accuracy", lambda x, y: accuracy(x, y) / 100)
    assert_holds(surface, "metrics/test_loss", lambda x, y: loss(x, y) + 1)
    assert_holds(surface, "metrics/test_accuracy", lambda x, y: (accuracy(x, y) - 1) / 100)
    assert (surface["evaluated"][:] == 1).all()
    np.testing.assert_allclose(surface["minimizer"][0], [0, 0, loss(0, 0)], atol=1e-7)
    assert surface.attrs["minimizer_from"] == "measured"
    assert "Li et al. 2018" in surface.attrs["imported"]
    assert surface.attrs["mode"] == "eval"
    assert surface.attrs["directions"] == "model_300.t7_weights_xignore=biasbn_xnorm=filter.h5"


def test_what_li_did_not_compute_is_missing(tmp_path, brought, capsys):
    """Flat index 7 is the third point of the second row, whatever the declared shape."""
    other_tools.li(
        tmp_path / "a.h5", skip={7, 44}, min_eig=lambda x, y: x - 5, max_eig=lambda x, y: y + 5
    )
    with h5py.File(tmp_path / "a.h5", "r+") as file:  # crunch_hessian_eigs starts it from ones
        for index in (7, 44):
            values = file["min_eig"][:]
            values.ravel()[index] = 1
            file["min_eig"][:] = values
    surface = brought(tmp_path / "a.h5")
    missing = surface["evaluated"][0] == 0
    assert np.argwhere(missing).tolist() == [[1, 2], [8, 4]]
    names = ("accuracy", "smallest_eigenvalue", "largest_eigenvalue")
    for values in (surface["loss"], *(surface["metrics"][name] for name in names)):
        np.testing.assert_array_equal(np.isnan(values[0]), missing)
    assert not complete_frames(surface).any()
    assert "does not show: 1." in capsys.readouterr().out


def test_a_diverged_loss_of_li_is_measured(tmp_path, brought):
    other_tools.li(
        tmp_path / "a.h5", train_loss=lambda x, y: np.nan if x == 0 else np.inf if y > 1 else 3 + x
    )
    surface = brought(tmp_path / "a.h5")
    assert (surface["evaluated"][:] == 1).all()
    assert np.isnan(surface["loss"][0, :, 2]).all()
    assert np.isposinf(surface["loss"][0, 7:, [0, 1, 3, 4]]).all()
    np.testing.assert_allclose(surface["minimizer"][0], [-1, -0.5, 2])
    assert surface.attrs["minimizer_from"] == "the lowest point"


def test_a_training_on_the_surface_of_li(tmp_path, brought):
    points = [(0.7, 1.1), (0.3, 0.2), (0.0, 0.0)]
    other_tools.li(tmp_path / "a.h5")
    other_tools.projection(tmp_path / "p.h5", points)
    surface = brought(tmp_path / "a.h5", "--trajectory", tmp_path / "p.h5")
    np.testing.assert_array_equal(surface["paths/trajectory"], without_losses(points))


def test_garipov(tmp_path, brought):
    other_tools.garipov(tmp_path / "plane.npz")
    surface = brought(tmp_path / "plane.npz")
    assert_window(surface, (-0.6, 3.6), (-0.4, 2.4))
    assert_holds(surface, "loss", loss)
    assert_holds(surface, "metrics/loss_with_decay", lambda x, y: loss(x, y) + 0.25)
    assert_holds(surface, "metrics/accuracy", lambda x, y: accuracy(x, y) / 100)
    assert_holds(surface, "metrics/test_loss", lambda x, y: loss(x, y) + 1)
    assert_holds(surface, "metrics/test_accuracy", lambda x, y: (accuracy(x, y) - 1) / 100)
    assert len(surface["metrics"]) == 4
    np.testing.assert_allclose(
        surface["paths/bends"], without_losses([(0, 0), (1.2, 2), (3, 0)]), atol=1e-12
    )
    ts = np.linspace(0, 1, 61)
    curve = without_losses(np.stack([3 * ts, 4 * ts * (1 - ts)], axis=1))
    np.testing.assert_allclose(surface["paths/curve"], curve, atol=1e-12)


def test_the_first_end_point_of_garipov_is_the_network(tmp_path, brought):
    """It is a grid point with 15 points; with 21, their default, its loss lies between four."""
    other_tools.garipov(tmp_path / "plane.npz")
    surface = brought(tmp_path / "plane.npz")
    np.testing.assert_allclose(surface["minimizer"][0], [0, 0, loss(0, 0)], atol=1e-12)
    assert surface.attrs["minimizer_from"] == "measured"
    other_tools.garipov(tmp_path / "plane.npz", points=21)
    surface = brought(tmp_path / "plane.npz")
    corners = np.array([[loss(3 * x, 2 * y) for x in (-0.06, 0.01)] for y in (-0.06, 0.01)])
    expected = np.array([1, 6]) / 7 @ corners @ np.array([1, 6]) / 7
    np.testing.assert_allclose(surface["minimizer"][0], [0, 0, expected], atol=1e-12)
    assert surface.attrs["minimizer_from"] == "interpolated on the grid"


def test_swag(tmp_path, brought):
    other_tools.swag(tmp_path / "plane.npz")
    surface = brought(tmp_path / "plane.npz")
    assert_window(surface, (-80, 80), (-80, 80))
    assert_holds(surface, "loss", loss)
    assert_holds(surface, "metrics/accuracy", lambda x, y: accuracy(x, y) / 100)
    assert_holds(surface, "metrics/test_loss", lambda x, y: loss(x, y) + 1)
    assert_holds(surface, "metrics/test_accuracy", lambda x, y: (accuracy(x, y) - 1) / 100)
    np.testing.assert_array_equal(
        surface["paths/trajectory"], without_losses([(-30, 2), (10, -4), (5, 1), (15, 1)])
    )
    np.testing.assert_array_equal(surface["posterior/mean"], [0, 0])
    np.testing.assert_array_equal(surface["posterior/covariance"], [[312, 1.5], [1.5, 58]])
    np.testing.assert_allclose(surface["minimizer"][0], [0, 0, loss(0, 0)])
    other_tools.swag(tmp_path / "pca.npz", covariance=False)
    assert "posterior" not in brought(tmp_path / "pca.npz")


def test_landscaper(tmp_path, brought):
    other_tools.landscaper(tmp_path / "a.npz")
    surface = brought(tmp_path / "a.npz")
    assert_window(surface, (-0.5, 0.5), (-0.5, 0.5))
    assert_holds(surface, "loss", loss)
    np.testing.assert_allclose(surface["minimizer"][0], [0, 0, loss(0, 0)], atol=1e-12)
    other_tools.landscaper(tmp_path / "even.npz", steps=6)
    surface = brought(tmp_path / "even.npz")
    np.testing.assert_allclose(surface["minimizer"][0], [0.1, 0.1, loss(0.1, 0.1)], atol=1e-12)


def test_loss_landscapes(tmp_path, brought):
    other_tools.serpentine(tmp_path / "a.npy", -0.5, 0.5)
    surface = brought(tmp_path / "a.npy", "--kind", "loss-landscapes", *RANGE)
    assert surface["loss"].shape == (1, 7, 8)
    assert_window(surface, (-0.5, 0.375), (-0.375, 0.375))
    assert_holds(surface, "loss", loss)
    np.testing.assert_allclose(surface["minimizer"][0], [0, 0, loss(0, 0)], atol=1e-12)


def test_a_plane_that_loss_landscapes_computed(tmp_path, brought):
    """A loss that is quadratic in the weights, least at the network: so must the surface be."""
    loss_landscapes = pytest.importorskip("loss_landscapes")
    metric = pytest.importorskip("loss_landscapes.metrics.metric")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = torch.nn.Linear(6, 4)
        start = torch.cat([p.detach().flatten().double() for p in network.parameters()])
        steepness = 1 + torch.rand(len(start), dtype=torch.float64)

        class Bowl(metric.Metric):
            def __call__(self, wrapped):
                parameters = wrapped.modules[0].parameters()
                weights = torch.cat([p.detach().flatten().double() for p in parameters])
                return float((steepness * (weights - start) ** 2).sum())

        plane = loss_landscapes.random_plane(network, Bowl(), 1, 12, deepcopy_model=True)
    np.save(tmp_path / "real.npy", plane)

    def worst(kind):
        surface = brought(tmp_path / "real.npy", "--kind", kind, *RANGE)
        x, y = (axis.ravel() for axis in places(surface))
        found = surface["loss"][0].ravel()
        terms = np.stack([x * x, x * y, y * y], axis=1)
        terms_of_bowl, *_ = np.linalg.lstsq(terms, found, rcond=None)
        return np.abs(terms @ terms_of_bowl - found).max() / found.max()

    assert worst("loss-landscapes") < 1e-5
    assert worst("array") > 0.01, "the tool's lines are shifted, and this test would not see it"


def test_an_array(tmp_path, brought):
    other_tools.array(tmp_path / "a.npy")
    surface = brought(tmp_path / "a.npy", "--kind", "array", "--coordinates", -1, 1)
    assert surface["loss"].shape == (1, 5, 7)
    assert_window(surface, (-1, 1), (-1, 1))
    assert_holds(surface, "loss", loss)
    surface = brought(
        tmp_path / "a.npy", "--kind", "array", "--coordinates", 1, 4, "--coordinates", -2, 0
    )
    assert_window(surface, (1, 4), (-2, 0))


def test_the_lowest_point_stands_in_for_a_network_out_of_sight(tmp_path, brought):
    other_tools.li(tmp_path / "a.h5", x=(0.5, 1.0, 6), y=(-1.0, -0.5, 6))
    surface = brought(tmp_path / "a.h5")
    x, y, least = surface["minimizer"][0]
    assert least == pytest.approx(surface["loss"][0].min())
    assert loss(x, y) == pytest.approx(least)
    assert surface.attrs["minimizer_from"] == "the lowest point"


def test_falling_coordinates_are_turned(tmp_path, brought):
    other_tools.li(tmp_path / "a.h5", x=(1.0, -1.0, 5), skip={0})
    surface = brought(tmp_path / "a.h5")
    assert (np.diff(surface["alpha"][:]) > 0).all()
    assert np.argwhere(surface["evaluated"][0] == 0).tolist() == [[0, 4]]
    at_hand = surface["evaluated"][0] == 1
    expected = loss(*places(surface))
    np.testing.assert_allclose(surface["loss"][0][at_hand], expected[at_hand], rtol=1e-6)


def test_several_files_are_frames_in_their_order(tmp_path, brought):
    names = [tmp_path / f"{name}.npy" for name in "cab"]
    for t, name in enumerate(names):
        np.save(name, np.add.outer(np.arange(1.0, 4), np.arange(4.0)) * (3 - t))
    surface = brought(*names, "--kind", "array", "--coordinates", -1, 1)
    assert surface["step"][:].tolist() == [0, 1, 2]
    for t in range(3):
        np.testing.assert_array_equal(surface["loss"][t, :, 0], np.arange(1.0, 4) * (3 - t))
    np.testing.assert_allclose(surface["minimizer"][:, 2], [10.5, 7, 3.5])


def test_frames_share_the_metrics_and_paths_that_all_have(tmp_path, brought):
    other_tools.swag(tmp_path / "a.npz")
    other_tools.swag(tmp_path / "b.npz", trajectory_projection=np.full((2, 4), 7.0))
    surface = brought(tmp_path / "a.npz", tmp_path / "b.npz")
    assert surface["paths/trajectory"].shape == (2, 4, 3)
    assert (surface["paths/trajectory"][1, :, :2] == 7).all()
    assert set(surface["metrics"]) == {"accuracy", "test_loss", "test_accuracy"}
    assert "posterior" not in surface
    other_tools.swag(tmp_path / "c.npz", trajectory_projection=np.zeros((2, 9)))
    assert "paths" not in brought(tmp_path / "a.npz", tmp_path / "c.npz")


def test_losses_below_nought_get_a_scale_that_can_show_them(tmp_path, brought):
    other_tools.array(tmp_path / "a.npy")
    plain = brought(tmp_path / "a.npy", "--kind", "array", *RANGE)
    assert plain.file.attrs["recipe"] == ""
    np.save(tmp_path / "a.npy", np.load(tmp_path / "a.npy") - 1)
    below = brought(tmp_path / "a.npy", "--kind", "array", *RANGE)
    assert 'scale = "symlog"' in below.file.attrs["recipe"]


def test_titles(tmp_path, brought):
    other_tools.landscaper(tmp_path / "a.npz")
    assert brought(tmp_path / "a.npz").file.attrs["title"] == "brought"
    assert brought(tmp_path / "a.npz", "--title", "VALLEY").file.attrs["title"] == "VALLEY"


def test_only_what_was_imported_is_replaced(tmp_path, brought, sequence, capsys):
    other_tools.landscaper(tmp_path / "a.npz")
    brought(tmp_path / "a.npz")
    brought(tmp_path / "a.npz")
    computed, thesis = tmp_path / "computed.h5", tmp_path / "thesis.h5"
    computed.write_bytes(sequence.read_bytes())
    thesis.write_text("years of work")
    for path, expected in (
        (computed, "computed.h5: a sequence not imported"),
        (thesis, "thesis.h5: not an HDF5 file"),
        (tmp_path / "a.npz", "a.npz: to be imported"),
    ):
        before = path.read_bytes()
        assert main(["import", str(tmp_path / "a.npz"), "-o", str(path)]) == 2
        assert expected in capsys.readouterr().err
        assert path.read_bytes() == before


class Trap:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was opened",))


def write_pickle(path):
    path.write_bytes(pickle.dumps(Trap()))


def write_objects(path):
    with open(path, "wb") as file:
        np.save(file, np.array([[Trap(), Trap()]], dtype=object), allow_pickle=True)


def write_object_archive(path):
    with open(path, "wb") as file:
        np.savez(file, loss=np.ones((3, 3)), coordinates=np.array([Trap(), Trap()], dtype=object))


def write_line(path):
    with h5py.File(path, "w") as file:
        file["dir_file"] = "d.h5"
        file["xcoordinates"] = np.linspace(-1, 1, 5)
        file["train_loss"] = file["train_acc"] = -np.ones(5)


def write_linked(path):
    other_tools.li(path)
    with h5py.File(path, "r+") as file:
        del file["train_loss"]
        file["train_loss"] = h5py.ExternalLink("other.h5", "/train_loss")


def write_uncomputed(path):
    other_tools.li(path, skip=range(45))


def write_damaged(path):
    noise = np.random.default_rng(0).random((40, 40))
    with open(path, "wb") as file:
        np.savez_compressed(file, loss=noise, coordinates=np.zeros((2, 40)))
    content = bytearray(path.read_bytes())
    content[3000:3400] = bytes(400)
    path.write_bytes(content)


def other_grid(path):
    grid = np.random.default_rng(0).random((15, 15, 2))
    with open(path, "wb") as file:
        other_tools.garipov(file, grid=grid)


def saved(writer, **arrays):
    def write(path):
        with open(path, "wb") as file:
            writer(file, **arrays)

    return write


def bare(values):
    return saved(np.save, arr=values)


LL = ("--kind", "loss-landscapes", *RANGE)
ARRAY = ("--kind", "array", *RANGE)

BAD = {
    "nothing": (lambda path: None, (), "no such file"),
    "a folder": (lambda path: path.mkdir(), (), "a folder: give its files"),
    "text": (lambda path: path.write_text("loss"), (), "not HDF5, .npz or .npy; pickles and .pt"),
    "a pickle": (write_pickle, (), "pickles and .pt files are not opened"),
    "a .pt": (lambda path: torch.save({"a": torch.ones(3)}, path), (), "pickles and .pt files"),
    "an array of objects": (write_objects, ARRAY, "holds pickled Python objects"),
    "an archive of objects": (write_object_archive, (), "holds pickled Python objects"),
    "a damaged archive": (write_damaged, (), "damaged."),
    "a bare array": (bare(np.ones((4, 4))), (), "give --kind loss-landscapes, or --kind array"),
    "a line of loss-landscapes": (
        bare(np.ones(9)),
        LL,
        "expected shape (steps, steps), found (9,)",
    ),
    "no plane of loss-landscapes": (bare(np.ones((4, 5))), LL, "as many rows as columns"),
    "text in an array": (bare(np.full((4, 4), "a")), ARRAY, "array: expected real numbers"),
    "complex losses": (bare(np.full((4, 4), 1j)), ARRAY, "array: expected real numbers"),
    "a row": (bare(np.ones((1, 4))), ARRAY, "beta: expected two or more different"),
    "no finite loss": (bare(np.full((4, 4), np.nan)), ARRAY, "at least one finite loss"),
    "archive for an array": (saved(np.savez, a=np.ones(3)), ARRAY, "expected npy for --kind array"),
    "unknown arrays": (
        saved(np.savez, weights=np.ones(3)),
        (),
        "not a surface of a known kind: li",
    ),
    "two kinds in one": (
        saved(other_tools.swag, loss=np.ones((9, 9)), coordinates=np.ones((2, 9))),
        (),
        "may be swag or landscaper: say which with --kind",
    ),
    "a line of Li": (write_line, (), "a line, not a surface: it has no ycoordinates"),
    "nothing computed by Li": (write_uncomputed, (), "expected at least one finite loss"),
    "losses elsewhere": (write_linked, (), "train_loss: missing"),
    "a projection alone": (
        lambda path: other_tools.projection(path, [(0, 0)]),
        (),
        "give its surface, and this --trajectory",
    ),
    "a transposed loss": (
        saved(other_tools.swag, train_loss=np.ones((8, 9))),
        (),
        "train_loss: expected shape (9, 9), found (8, 9)",
    ),
    "a plane of no rows": (other_grid, (), "grid: expected coordinates in rows and columns"),
    "a plane without height": (
        saved(other_tools.garipov, dy=0.0),
        (),
        "beta: expected two or more different",
    ),
    "too many directions": (
        saved(np.savez, loss=np.ones((5, 5, 5)), coordinates=np.ones((3, 5))),
        (),
        "coordinates: expected shape (2, steps), found (3, 5)",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_files_are_refused_in_a_sentence(tmp_path, refused, kind):
    write, words, expected = BAD[kind]
    path = tmp_path / "bad"
    write(path)
    line = refused(path, *words)
    assert line.startswith(f"{path}: ")
    assert expected in line


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--kind", "matlab"), "--kind matlab: expected one of li, garipov, swag"),
        (("--kind", "array"), "a bare array has no coordinates: give --coordinates LOW HIGH"),
        (("--kind", "array", *RANGE, *RANGE, *RANGE), "--coordinates LOW HIGH, once for both"),
        (
            ("--kind", "array", "--coordinates", 1, -1),
            "--coordinates 1 -1: expected LOW below HIGH",
        ),
        (("--kind", "array", "--coordinates", 0, "nan"), "expected LOW below HIGH"),
        (("--kind", "li", *RANGE), "--coordinates: files of --kind li have their own"),
        ((*ARRAY, "--trajectory", "p.h5"), "goes with --kind li, not array"),
    ],
)
def test_bad_words_are_refused(tmp_path, refused, words, expected):
    np.save(tmp_path / "a.npy", np.ones((4, 4)))
    assert expected in refused(tmp_path / "a.npy", *words)


def test_files_that_do_not_go_together(tmp_path, refused):
    for name, points, dist in (("a", 9, 80.0), ("b", 11, 80.0), ("c", 9, 60.0)):
        other_tools.swag(tmp_path / f"{name}.npz", points=points, dist=dist)
    other_tools.landscaper(tmp_path / "d.npz")
    other_tools.li(tmp_path / "e.h5")
    first = tmp_path / "a.npz"
    for name in "bc":
        line = refused(first, tmp_path / f"{name}.npz")
        assert line == f"{tmp_path / name}.npz: expected the shape and coordinates of {first}."
    assert refused(first, tmp_path / "d.npz") == f"{tmp_path / 'd.npz'}: xs: missing."
    assert "e.h5: expected npz for --kind swag, found HDF5" in refused(first, tmp_path / "e.h5")


def test_bad_projections(tmp_path, refused):
    other_tools.li(tmp_path / "a.h5")
    np.save(tmp_path / "p.npy", np.ones((2, 3)))
    other_tools.projection(tmp_path / "short.h5", [(0, 0), (1, 1)])
    with h5py.File(tmp_path / "short.h5", "r+") as file:
        del file["proj_ycoord"]
        file["proj_ycoord"] = [0.0]
    for name, expected in (
        ("p.npy", "expected HDF5 for --trajectory, found npy"),
        ("a.h5", "proj_xcoord: missing"),
        ("short.h5", "proj_ycoord: expected shape (2,), found (1,)"),
    ):
        line = refused(tmp_path / "a.h5", "--trajectory", tmp_path / name)
        assert line.startswith(f"{tmp_path / name}: {expected}")
