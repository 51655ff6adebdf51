"""Lands for the add-on's tests: small sequence files, and what Blender shows of them."""

import bpy
import numpy as np

from movinglands.sequence import Frame, SurfaceData, write_sequence


def write_lands(path, rows=5, cols=7, snapshots=4, seed=0, **attrs):
    """Write a sequence of random lands, as bumpy as can be; return its losses."""
    random = np.random.default_rng(seed)
    losses = np.exp(random.normal(size=(snapshots, rows, cols))).astype(np.float32)
    places = random.uniform(-0.5, 0.5, (snapshots, 2))
    land = SurfaceData(
        alpha=np.linspace(-1.0, 1.0, cols),
        beta=np.linspace(-0.7, 0.7, rows),
        step=np.arange(snapshots) * 10 + seed,
        origin=np.zeros((snapshots, 2)),
        minimizer=np.column_stack([places, losses.min(axis=(1, 2))]),
        frame=lambda t: Frame(losses[t]),
        scalars={"rate": random.random(snapshots)},
        paths={
            "line": random.normal(size=(3, 3)),
            "curves": random.normal(size=(snapshots, 3, 3)),
        },
        attrs=attrs,
    )
    write_sequence(path, "LANDS", "", {"network": land})
    return losses


def finish(steps):
    """Run a generator to its end; return what it yielded and what it returned."""
    yielded = []
    while True:
        try:
            yielded.append(next(steps))
        except StopIteration as done:
            return yielded, done.value


def drained(steps):
    """Run a generator to its end; return what it returned."""
    return finish(steps)[1]


def seen(thing, frame):
    """The vertices Blender shows at a film frame, which may lie between two."""
    scene = bpy.context.scene
    scene.frame_set(int(frame), subframe=frame - int(frame))
    mesh = thing.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
    places = np.empty(len(mesh.vertices) * 3, dtype=np.float32)
    mesh.vertices.foreach_get("co", places)
    return places.reshape(-1, 3)


def data_blocks():
    """How many data-blocks there are of each kind."""
    kinds = ("objects", "meshes", "shape_keys", "actions", "node_groups")
    return {kind: len(getattr(bpy.data, kind)) for kind in kinds}
