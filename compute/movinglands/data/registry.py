"""The data sets that a recipe can name: each is a file of this folder and a line here."""

from __future__ import annotations

from ..keys import kinds
from .source import Data

DATA_SETS: dict[str, type[Data]] = kinds(
    __package__,
    {
        "digits": "digits:Digits",
        "faces": "faces:Faces",
        "folder": "folder:Folder",
        "idx": "idx:Idx",
        "hub": "hub:Hub",
    },
)
