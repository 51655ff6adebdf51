"""The networks that a recipe can name: each is a file of this folder and a line here."""

from __future__ import annotations

from ..keys import kinds
from .network import Network

NETWORKS: dict[str, type[Network]] = kinds(
    __package__,
    {
        "convnet": "convnet:Convnet",
        "mlp": "mlp:Mlp",
    },
)
