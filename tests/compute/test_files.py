"""Files are replaced whole, or not at all."""

import os

import pytest

from movinglands import files
from movinglands.errors import UserError


def held(times, replace=os.replace):
    """Replace as Windows does while another program has the file open, so many times."""
    left = iter(range(times))

    def replacing(source, target):
        if next(left, None) is not None:
            raise PermissionError(13, "Access is denied", str(source), 5, str(target))
        replace(source, target)

    return replacing


def test_a_file_that_is_open_elsewhere_for_a_moment(tmp_path, monkeypatch):
    path = tmp_path / "a.h5"
    path.write_bytes(b"before")
    monkeypatch.setattr(files.os, "replace", held(3))
    files.write_whole(path, b"after")
    assert path.read_bytes() == b"after"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_stays_open_elsewhere(tmp_path, monkeypatch):
    path = tmp_path / "a.h5"
    path.write_bytes(b"before")
    monkeypatch.setattr(files, "PATIENCE", 0.3)
    monkeypatch.setattr(files.os, "replace", held(1000))
    with pytest.raises(UserError, match=r"a\.h5: another program has it open .*: close it there"):
        files.write_whole(path, b"after")
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]
