"""A Blender that lacks libraries of the system is told of before it fails."""

import platform

import pytest

from movinglands import system_libraries


@pytest.mark.skipif(platform.system() != "Linux", reason="ldd is Linux's")
def test_all_missing_libraries_are_named(tmp_path, monkeypatch):
    ldd = tmp_path / "ldd"
    ldd.write_text(
        "#!/bin/sh\n"
        "echo '	libXi.so.6 => not found'\n"
        "echo '	libc.so.6 => /lib/libc.so.6 (0x0)'\n"
        "echo '	libSM.so.6 => not found'\n"
    )
    ldd.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert system_libraries.missing(tmp_path / "bpy.so") == ["libSM.so.6", "libXi.so.6"]


def test_the_advice_is_a_command():
    advice = system_libraries.advice(["libSM.so.6", "libXi.so.6"])
    assert "apt-get install libsm6 libxi6" in advice
    assert "libSM.so.6, libXi.so.6" in advice


def test_an_unknown_library_is_named_all_the_same():
    assert system_libraries.advice(["libodd.so.1"]).endswith("lacks: libodd.so.1.")
