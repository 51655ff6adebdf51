"""The networks that a recipe can name: each is a file of this folder and a line here."""

from __future__ import annotations

from .convnet import Convnet
from .mlp import Mlp
from .network import Network

NETWORKS: dict[str, type[Network]] = {
    "convnet": Convnet,
    "mlp": Mlp,
}
