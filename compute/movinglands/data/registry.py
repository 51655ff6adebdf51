"""The data sets that a recipe can name: each is a file of this folder and a line here."""

from __future__ import annotations

from .digits import Digits
from .faces import Faces
from .folder import Folder
from .hub import Hub
from .idx import Idx
from .source import Data

DATA_SETS: dict[str, type[Data]] = {
    "digits": Digits,
    "faces": Faces,
    "folder": Folder,
    "idx": Idx,
    "hub": Hub,
}
