"""Files that another process has open: Windows refuses to replace or remove them for a moment."""

import os

import pytest

from addon import files


def busy(monkeypatch, name, times):
    """Let a call of the system fail so often, as for a file that is in use."""
    call, left = getattr(os, name), [times]

    def refusing(*words):
        if left[0]:
            left[0] -= 1
            raise PermissionError(13, "in use")
        return call(*words)

    monkeypatch.setattr(os, name, refusing)


def test_a_file_in_use_is_replaced_once_it_is_free(tmp_path, monkeypatch):
    partial, path = tmp_path / "partial", tmp_path / "file"
    partial.write_text("new")
    path.write_text("old")
    busy(monkeypatch, "replace", 2)
    files.replace(partial, path)
    assert path.read_text() == "new"
    assert not partial.exists()


def test_a_file_in_use_is_removed_once_it_is_free(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.touch()
    busy(monkeypatch, "unlink", 2)
    files.remove(path)
    assert not path.exists()
    files.remove(path)


def test_a_file_that_stays_in_use_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "PATIENCE", 0.1)
    path = tmp_path / "file"
    path.touch()
    busy(monkeypatch, "unlink", 1000)
    with pytest.raises(PermissionError):
        files.remove(path)
