"""What is recorded with a surface: where its frames lie, true losses, how it was measured."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import UserError
from ..evaluation.batches import mapped
from ..evaluation.copies import copied
from ..evaluation.objective import Objective
from ..sequence import SurfaceData
from .job import SurfaceJob


def describe(job: SurfaceJob) -> SurfaceData:
    """Gather all that is known before any frame is evaluated."""
    count = len(job.snapshots)
    origin, minimizer = np.zeros((count, 2)), np.full((count, 3), np.nan)
    losses, true = [], job.true
    for t in job.finite:
        state = job.snapshots[t]
        weights = {n: w.to(job.device) for n, w in job.weights(state).items()}
        minimizer[t, :2] = job.plane.project(weights)
        parts = true.each(true.parts, weights, true.buffers(state))
        minimizer[t, 2] = true.assemble(parts)[0].item()
        counting = [not true.answers.weighted or value[-1] > 0 for value in parts]
        losses.append([float(v[0]) if c else 0.0 for v, c in zip(parts, counting, strict=True)])
    _check_losses(np.array(losses))
    for t in job.snapshots.diverged:  # stays where it was last seen
        before = max((known for known in job.finite if known < t), default=job.finite[0])
        minimizer[t, :2] = minimizer[before, :2]
    if job.surface.window == "travelling":
        origin = minimizer[:, :2].copy()
    return SurfaceData(
        alpha=job.alpha,
        beta=job.beta,
        step=np.array(job.snapshots.steps),
        origin=origin,
        minimizer=minimizer,
        frame=job.frame,
        scalars={n.replace("/", "_"): v for n, v in job.snapshots.scalars.items()},
        metrics=job.objective.names[1:],
        attrs=_attributes(job) | {"fingerprint": job.fingerprint},
    )


def _attributes(job: SurfaceJob) -> dict[str, Any]:
    surface, measure, objective = job.surface, job.surface.measure, job.objective
    samples = objective.samples
    drawn = measure.minibatch or samples
    attrs: dict[str, Any] = {
        "parameters": sum(w.numel() for w in job.plane.origin.values()),
        "mode": measure.mode,
        "window": surface.window,
        **job.plane.attrs,
        "batch_norm": objective.statistics,
        "precision": objective.precision,
        "checked": "against the network itself, at moved weights",
        **job.found,
    }
    if drawn is not None and drawn == int(drawn):
        attrs["batch"] = int(drawn)
    if len(job.batches) > 1:
        attrs["mean"] = job.true.weighing
    if job.objective.own:
        attrs["evaluated"] = f"by the network itself: {job.objective.own.why}"
    if job.snapshots.notes:
        attrs["snapshots"] = "; ".join(job.snapshots.notes)
    if job.snapshots.diverged:
        attrs["diverged"] = np.array([job.snapshots.steps[t] for t in job.snapshots.diverged])
    if measure.minibatch:
        attrs["minibatch"] = f"{measure.minibatch} of {samples:g} drawn at every point"
    if objective.noise:
        attrs["noise"] = objective.noise
    if objective.precision not in ("float32", "float64"):
        attrs |= _precision_error(job)
    # What was measured stands, whatever the caller calls it.
    return {"network": type(surface.module).__name__, **surface.attrs, **attrs}


def _precision_error(job: SurfaceJob, points: int = 32) -> dict[str, float]:
    """Return the largest relative error of the loss at some points, against float32.

    Nothing where a network of half precision does not compute in float32.
    """
    surface = job.surface
    measure = dataclasses.replace(surface.measure, precision="float32")
    module, batches = surface.module, job.batches
    if measure == surface.measure:  # the network's own precision
        module = copied(module, job.device).float()
        batches = [mapped(batch, _float) for batch in batches]
    try:
        exact = Objective(
            module, surface.loss, batches, measure, device=job.device, count=surface.count
        )
    except UserError:
        return {}
    if exact.precision != "float32":  # autocast within it
        return {}
    weights, buffers = job.centre(job.finite[-1])
    plane = dataclasses.replace(job.plane, origin=weights).to(job.device)
    errors = []
    generator = np.random.default_rng(0)
    for alpha, beta in generator.uniform(-surface.range, surface.range, (points, 2)):
        one = float(job.objective.at(plane.at(alpha, beta), buffers)[0])
        there = {n: _float(w) for n, w in plane.to(dtype=torch.float32).at(alpha, beta).items()}
        other = float(exact.at(there, exact.buffers(buffers))[0])
        errors.append(abs(one - other) / max(abs(other), 1e-12))
    return {"precision_error": max(errors)}


def _check_losses(losses: NDArray[np.float64]) -> None:
    """Refuse a batch without a finite loss ``(frames, parts)`` where the others have one."""
    finite = np.isfinite(losses)
    for number in np.flatnonzero(~finite.any(0)):
        if finite.any():
            raise UserError(
                f"batches: the loss of batch {number + 1} is {losses[0, number]} for every "
                "snapshot, as where nothing in it is labelled: leave it out, or have the loss "
                'return {"loss": ..., "weight": ...} with weight 0 for it.'
            )


def _float(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor
