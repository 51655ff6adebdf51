"""Files as other tools write them, of a loss that is known: ``loss(x, y)`` of plane coordinates.

Names, types, shapes and the order of the loops are those of the tools; the loss has no symmetry,
so that nothing can be turned, mirrored or transposed unseen.
"""

import h5py
import numpy as np


def loss(x, y):
    return 0.3 + 0.5 * (x - 0.2) ** 2 + 2 * (y + 0.1) ** 2 + 0.4 * x * y


def accuracy(x, y):
    """In percent, as all of them have it."""
    return 90 - 3 * np.abs(x) - 7 * y


def li(path, x=(-1.0, 1.0, 5), y=(-0.5, 1.5, 9), skip=(), **more):
    """What plot_surface.py leaves; the points ``skip`` (flat indices) are not computed yet."""
    with h5py.File(path, "a") as file:
        file["dir_file"] = "nets/model_300.t7_weights_xignore=biasbn_xnorm=filter.h5"
        file["xcoordinates"] = np.linspace(*x)
        file["ycoordinates"] = np.linspace(*y)
    with h5py.File(path, "r+") as file:
        xs, ys = file["xcoordinates"][:], file["ycoordinates"][:]
        for key, values in {"train_loss": loss, "train_acc": accuracy, **more}.items():
            array = -np.ones(shape=(len(xs), len(ys)))
            file[key] = array
            mesh_x, mesh_y = np.meshgrid(xs, ys)
            for index in set(range(array.size)) - set(skip):
                array.ravel()[index] = values(mesh_x.ravel()[index], mesh_y.ravel()[index])
            file[key][:] = array


def projection(path, points):
    """What plot_trajectory.py leaves."""
    with h5py.File(path, "w") as file:
        file["proj_xcoord"] = np.array([x for x, _ in points])
        file["proj_ycoord"] = np.array([y for _, y in points])


def garipov(path, dx=3.0, dy=2.0, points=15, **other):
    """What plane.py leaves: its alphas and betas are fractions of dx and dy."""
    fractions = np.linspace(-0.2, 1.2, points)
    names = [f"{part}_{what}" for part in ("tr", "te") for what in ("loss", "nll", "acc", "err")]
    arrays = {name: np.zeros((points, points)) for name in names}
    grid = np.zeros((points, points, 2))
    for i, alpha in enumerate(fractions):
        for j, beta in enumerate(fractions):
            x, y = grid[i, j] = [alpha * dx, beta * dy]
            for part, harder in (("tr", 0), ("te", 1)):
                arrays[f"{part}_nll"][i, j] = loss(x, y) + harder
                arrays[f"{part}_loss"][i, j] = loss(x, y) + harder + 0.25
                arrays[f"{part}_acc"][i, j] = accuracy(x, y) - harder
                arrays[f"{part}_err"][i, j] = 100.0 - arrays[f"{part}_acc"][i, j]
    ts = np.linspace(0, 1, 61)
    curve = np.stack([ts * dx, 2 * ts * (1 - ts) * dy], axis=1)
    bends = np.array([[0, 0], [0.4 * dx, dy], [dx, 0]])
    given = dict(ts=ts, bend_coordinates=bends, curve_coordinates=curve)
    given |= dict(alphas=fractions, betas=fractions, grid=grid, **arrays)
    np.savez(path, **(given | other))


def swag(path, dist=80.0, points=9, covariance=True, **other):
    """What swag_2d_plane.py leaves; without a covariance, what pca_2d_plane.py does."""
    xs = ys = np.linspace(-dist, dist, points)
    arrays = {
        name: np.zeros((points, points))
        for name in ("train_acc", "train_loss", "test_acc", "test_loss")
    }
    for i, x in enumerate(xs):
        for j, y in enumerate(ys):
            arrays["train_acc"][i, j], arrays["train_loss"][i, j] = accuracy(x, y), loss(x, y)
            arrays["test_acc"][i, j], arrays["test_loss"][i, j] = accuracy(x, y) - 1, loss(x, y) + 1
    given = dict(N=4, dim=100, pc1_id=0, pc2_id=1, xs=xs, ys=ys, **arrays)
    given |= dict(train_err=100.0 - arrays["train_acc"], test_err=100.0 - arrays["test_acc"])
    given["trajectory_projection"] = np.array([[-30.0, 10, 5, 15], [2, -4, 1, 1]])
    if covariance:
        given["E_cov"] = np.array([[312.0, 1.5], [1.5, 58.0]])
    np.savez(path, **(given | other))


def landscaper(path, steps=7, distance=0.5, **other):
    """What LossLandscape.save leaves; the loss is indexed like the directions."""
    coordinates = [np.linspace(-distance, distance, steps) for _ in range(2)]
    values = np.array([[loss(x, y) for y in coordinates[1]] for x in coordinates[0]])
    np.savez(path, **({"loss": values, "coordinates": coordinates} | other))


def serpentine(path, low=-1.0, high=1.0, steps=8):
    """What loss-landscapes' random_plane and planar_interpolation return, saved."""
    step = (high - low) / steps
    x = y = low
    columns = []
    for i in range(steps):
        column = []
        for _ in range(steps):
            if i % 2 == 0:
                y += step
                column.append(loss(x, y))
            else:
                y -= step
                column.insert(0, loss(x, y))
        columns.append(column)
        x += step
    np.save(path, np.array(columns))


def array(path, low=-1.0, high=1.0, rows=5, cols=7):
    """Rows beta, columns alpha."""
    y, x = np.meshgrid(np.linspace(low, high, rows), np.linspace(low, high, cols), indexing="ij")
    np.save(path, loss(x, y))
