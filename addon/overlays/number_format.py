"""Numbers as they are written in the picture, by node groups: no handler, no Python.

Three figures count (2.41, 0.0532), small and large ones have an exponent (1.3e-05). The space
between thousands is that of the typeface, a thin one: a fifth of its size.
"""

from __future__ import annotations

from collections.abc import Iterable

import bpy
import numpy as np

from ..nodes.geometry import shared
from ..nodes.graph import Graph, Number

ENDLESS = 1e38
"""What infinity is keyed as, and NaN: curves hold numbers only. It is written "INF"."""

THREE_FIGURES, TWO_FIGURES = 1.0005003, 1.005026
"""Factors so that 9.996, and 9.96 of two figures, get the exponent that they are rounded to."""


def keyable(numbers: Iterable[float]) -> np.ndarray:
    """Return numbers that a curve can hold, of numbers that may not be finite."""
    return np.nan_to_num(np.asarray(numbers, float), nan=ENDLESS, posinf=ENDLESS, neginf=-ENDLESS)


def loss_text() -> bpy.types.NodeTree:
    """Return the group that writes a loss: "Value" in, "Text" out."""
    return shared("Loss in Words", _loss)


def count_text() -> bpy.types.NodeTree:
    """Return the group that writes a whole number with thin spaces: "Value" in, "Text" out."""
    return shared("Count in Words", _count)


def _loss(graph: Graph) -> None:
    value = graph.input("Value", "Float")
    size = graph.most(graph.math("ABSOLUTE", value), 1e-37)
    power = graph.math("FLOOR", graph.math("LOGARITHM", size * THREE_FIGURES, 10.0))
    plain = graph.written(value, graph.clamp(2.0 - power, 0.0, 5.0))
    counted = graph.group(count_text(), Value=value).outputs[0]
    text = graph.either(size * THREE_FIGURES > 1000.0, counted, plain, "STRING")
    has_exponent = graph.most(size * THREE_FIGURES < 1e-3, size > 99999.5)
    text = graph.either(has_exponent, _exponential(graph, value, size), text, "STRING")
    text = graph.either(size < 1e-30, graph.string("0"), text, "STRING")
    endless = graph.join(_sign(graph, value), "INF")
    graph.output(Text=graph.either(size > 0.9 * ENDLESS, endless, text, "STRING"))


def _exponential(graph: Graph, value: Number, size: Number) -> bpy.types.NodeSocket:
    power = graph.math("FLOOR", graph.math("LOGARITHM", size * TWO_FIGURES, 10.0))
    figures = graph.written(value / graph.math("POWER", 10.0, power), 1)
    digits = graph.math("ABSOLUTE", power)
    sign = graph.either(power < 0.0, graph.string("e-"), graph.string("e+"), "STRING")
    padding = graph.either(digits < 10.0, graph.string("0"), graph.string(""), "STRING")
    return graph.join(figures, sign, padding, graph.written(digits))


def _count(graph: Graph) -> None:
    value = graph.input("Value", "Float")
    whole = graph.math("ROUND", graph.math("ABSOLUTE", value))
    thousands = graph.math("FLOOR", whole / 1000.0)
    millions = graph.math("FLOOR", thousands / 1000.0)
    units = whole - thousands * 1000.0
    middle = thousands - millions * 1000.0
    text = graph.written(whole)
    grouped = graph.join(graph.written(thousands), " ", _padded(graph, units))
    text = graph.either(thousands > 0.5, grouped, text, "STRING")
    parts = (graph.written(millions), " ", _padded(graph, middle), " ", _padded(graph, units))
    text = graph.either(millions > 0.5, graph.join(*parts), text, "STRING")
    graph.output(Text=graph.join(_sign(graph, value), text))


def _sign(graph: Graph, value: Number) -> bpy.types.NodeSocket:
    return graph.either(value < 0.0, graph.string("-"), graph.string(""), "STRING")


def _padded(graph: Graph, number: Number) -> bpy.types.NodeSocket:
    """Write a number below a thousand in three figures."""
    zeros = graph.either(number < 9.5, graph.string("00"), graph.string("0"), "STRING")
    zeros = graph.either(number < 99.5, zeros, graph.string(""), "STRING")
    return graph.join(zeros, graph.written(number))
