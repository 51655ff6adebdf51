"""The command line: bad input is one sentence and exit code 2."""

import json

import h5py
import numpy as np
import pytest
import torch
from faults import attribute, delete, link, replace

import movinglands.pieces.compute as computing
from movinglands import memory
from movinglands.cli import main
from movinglands.surfaces import compute as surfaces
from movinglands.surfaces import job
from movinglands.surfaces import journal as journals


@pytest.fixture
def own(sequence, tmp_path):
    path = tmp_path / "own.h5"
    path.write_bytes(sequence.read_bytes())
    return path


@pytest.fixture
def refused(capsys):
    """Run a command that must be refused; give the sentence."""

    def run(*arguments):
        assert main([str(argument) for argument in arguments]) == 2
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err + printed.out
        (line,) = printed.err.splitlines()
        assert line.startswith("lands: ")
        return line

    return run


def test_scenes(capsys):
    assert main(["scenes"]) == 0
    assert "gently" in capsys.readouterr().out


def test_compute_and_compute_again(tiny_file, tmp_path, capsys):
    path = tmp_path / "new" / "folder" / "a.h5"
    command = ["compute", str(tiny_file), "-o", str(path), "--set", "surface.resolution=3"]
    assert main(command) == 0
    assert f"{path}: done." in capsys.readouterr().out
    assert main(command) == 0
    assert f"{path}: all there already." in capsys.readouterr().out


def test_a_run_interrupted_says_how_to_go_on(tiny_file, tmp_path, capsys, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(job.SurfaceJob, "evaluate", interrupted)
    command = ["compute", str(tiny_file), "-o", str(tmp_path / "a.h5")]
    assert main(command) == 130
    assert "the same command goes on from here" in capsys.readouterr().err
    assert main([*command, "--restart"]) == 130
    assert "the same command, without --restart, goes on from here" in capsys.readouterr().err
    monkeypatch.undo()
    assert main(command) == 0


def test_info(sequence, capsys):
    assert main(["info", str(sequence), "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    surface = summary["surfaces"]["network"]
    assert (summary["title"], summary["version"]) == ("TINY", 1)
    assert (surface["frames"], surface["complete"], surface["rows"], surface["cols"]) == (
        3,
        3,
        7,
        7,
    )
    assert surface["steps"] == [0, 6]
    with h5py.File(sequence) as file:
        loss = file["surfaces/network/loss"][:]
        assert surface["loss"] == [loss.min(), loss.max()]
    assert main(["info", str(sequence)]) == 0
    assert "TINY" in capsys.readouterr().out


def test_info_on_attributes_of_any_kind_and_a_frame_not_there(own, capsys):
    with h5py.File(own, "r+") as file:
        group = file["surfaces/network"]
        group.attrs.update(bytes=np.bytes_(b"a"), array=np.arange(3), empty=h5py.Empty("f4"))
        group["evaluated"][1] = 0
        group["loss"][1] = np.nan
        group["loss"][2] = np.inf
    assert main(["info", str(own), "--json"]) == 0
    surface = json.loads(capsys.readouterr().out)["surfaces"]["network"]
    assert surface["complete"] == 2
    assert np.all(np.isfinite(surface["loss"]))
    assert main(["info", str(own)]) == 0


@pytest.mark.parametrize("unknown", [np.nan, np.inf])
def test_info_on_numbers_that_are_not_finite(own, capsys, unknown):
    with h5py.File(own, "r+") as file:
        group = file["surfaces/network"]
        group.attrs.update(alone=unknown, single=np.float32(unknown))
        group["minimizer"][0] = unknown

    def no_json(text):
        raise AssertionError(f"{text} is no JSON")

    assert main(["info", str(own), "--json"]) == 0
    told = json.loads(capsys.readouterr().out, parse_constant=no_json)["surfaces"]["network"]
    assert (told["alone"], told["single"], told["minimizer_loss"][0]) == (None, None, None)
    assert main(["info", str(own)]) == 0
    assert "minimizer_loss not finite to " in capsys.readouterr().out


@pytest.mark.parametrize("command", ["compute", "film"])
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["nowhere"], "No piece is called 'nowhere': there are"),
        (["nowhere.toml"], "nowhere.toml: no such recipe file."),
        (["gently", "--set", "surface.resolutoin=3"], "unknown key surface.resolutoin"),
        (["gently", "--set", "surface.resolution=yes"], "expected int, got 'yes'"),
        (["gently", "--set", "surface.resolution"], "expected KEY=VALUE"),
        (["gently", "--set", "surface.resolution=30000"], "expected 2 to 20000"),
    ],
)
def test_bad_recipes(refused, command, arguments, expected):
    assert expected in refused(command, *arguments)


def test_bad_recipe_files(refused, tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text("[surface")
    assert f"{path}: not TOML" in refused("compute", path)
    path.write_bytes(b"\xff\xfe\x00")
    assert f"{path}: not TOML" in refused("compute", path)


def test_more_than_the_machine_has(refused, tiny_file, tmp_path, monkeypatch):
    command = ["compute", tiny_file, "-o", tmp_path / "a.h5", "--set", "surface.resolution=20000"]
    usage = type("Usage", (), {"free": 9_000_000_000})
    monkeypatch.setattr(journals.shutil, "disk_usage", lambda folder: usage)
    assert "points take 9.6 GB of disk, 9.0 GB are free" in refused(*command)
    usage.free = 10**12
    monkeypatch.setattr(memory.os, "sysconf", lambda name: 100_000)
    assert "points take 16.0 GB of memory, there are 10.0 GB" in refused(*command)


def test_a_device_there_is_not(refused, tiny_file, tmp_path):
    command = ["compute", tiny_file, "-o", tmp_path / "a.h5", "--device"]
    assert "--device abacus" in refused(*command, "abacus")


def test_where_one_may_not_write(refused, tiny_file, tmp_path):
    (tmp_path / "file").touch()
    assert "file" in refused("compute", tiny_file, "-o", tmp_path / "file" / "a.h5")
    assert "a folder" in refused("compute", tiny_file, "-o", tmp_path)


def test_a_disk_that_fails(refused, tiny_file, tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device", "somewhere/a.h5")

    monkeypatch.setattr(surfaces, "write_sequence", full)
    command = ["compute", tiny_file, "-o", tmp_path / "a.h5"]
    for module in (job, computing):
        monkeypatch.setattr(module, "progress", lambda *_: job.tqdm(disable=True))
    assert refused(*command) == "lands: somewhere/a.h5: No space left on device."


HDF5_WRITES = """(file write failed: time = Sat Nov 28 10:54:54 2026
, filename = 'films/a.h5.writing', file descriptor = 3, errno = 28, error message = 'No space left \
on device', buf = 0x7fdd08127818, total write size = 30470, bytes this sub-write = 30470)"""
"""What it says of the same full disk, in exceptions of three types."""

ALLOCATOR = "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: "


def raising(error):
    def run(*arguments, **settings):
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (OSError(28, f"Driver write request failed {HDF5_WRITES}"), "films/a.h5.writing: No space"),
        (ValueError(f"Unable to create group {HDF5_WRITES}"), "films/a.h5.writing: No space"),
        (RuntimeError(f"Can't decrement id {HDF5_WRITES}"), "films/a.h5.writing: No space"),
        (MemoryError(), "out of memory"),
        (MemoryError("Unable to allocate 8 GiB"), "Unable to allocate 8 GiB"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried"), "CUDA out of memory. Tried"),
        (RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"), "MPS backend out of"),
        (RuntimeError("CUDA error: out of memory\nCUDA kernel"), "CUDA error: out of memory"),
        (RuntimeError(f"{ALLOCATOR}can't allocate memory: you tried"), "can't allocate memory"),
        (RuntimeError(f"{ALLOCATOR}not enough memory: you tried"), "not enough memory"),
    ],
)
def test_no_disk_or_memory_left(refused, tiny_file, tmp_path, monkeypatch, error, sentence):
    monkeypatch.setattr(computing, "compute", raising(error))
    assert sentence in refused("compute", tiny_file, "-o", tmp_path / "a.h5")


def test_more_memory_than_there_is(refused, tiny_file, tmp_path, monkeypatch):
    monkeypatch.setattr(computing, "compute", lambda *_, **__: torch.empty(10**15))
    assert "memory" in refused("compute", tiny_file, "-o", tmp_path / "a.h5")


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("memory bank of the wrong size"),
        RuntimeError("the replay buffer is out of memory slots"),
        RuntimeError("write failed"),
        ValueError("No space left on device"),
    ],
)
def test_a_defect_is_shown_whole(tiny_file, tmp_path, monkeypatch, error):
    monkeypatch.setattr(computing, "compute", raising(error))
    with pytest.raises(type(error), match=str(error)):
        main(["compute", str(tiny_file), "-o", str(tmp_path / "a.h5")])


def test_a_file_of_another_kind_is_never_touched(refused, tiny_file, tmp_path):
    path = tmp_path / "thesis.h5"
    path.write_text("years of work")
    assert "not an HDF5 file" in refused("compute", tiny_file, "-o", path)
    assert path.read_text() == "years of work"


NETWORK = "surfaces/network"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (attribute("version", 2), "found format moving-lands version 2"),
        (attribute("format", "other"), "found format other"),
        (attribute("version", [1, 2]), "version [1 2]"),
        (lambda file: file.attrs.clear(), "found format None version None"),
        (delete("surfaces"), "surfaces: missing"),
        (delete(NETWORK), "surfaces: expected at least one surface"),
        (replace("surfaces", data=1), "surfaces: expected a group"),
        (replace(NETWORK, data=1), f"{NETWORK}: expected a group"),
        *[
            (delete(f"{NETWORK}/{name}"), f"{NETWORK}/{name}: missing")
            for name in ("alpha", "beta", "loss", "evaluated", "step", "origin", "minimizer")
        ],
        (
            replace(f"{NETWORK}/alpha", shape=(8,), dtype="f8"),
            "alpha: expected shape (7,), found (8,)",
        ),
        (
            replace(f"{NETWORK}/minimizer", shape=(3, 2), dtype="f8"),
            "minimizer: expected shape (3, 3)",
        ),
        (
            replace(f"{NETWORK}/loss", shape=(7, 7), dtype="f4"),
            "loss: expected (frames, rows, cols)",
        ),
        (replace(f"{NETWORK}/loss", shape=(0, 7, 7), dtype="f4"), "loss: expected (frames, rows"),
        (replace(f"{NETWORK}/loss", data="text"), "loss: expected (frames, rows, cols)"),
        (replace(f"{NETWORK}/loss", data=h5py.Empty("f4")), "loss: expected (frames, rows, cols)"),
        (
            replace(f"{NETWORK}/step", shape=(3,), dtype="f8"),
            "step: expected type i8, found float64",
        ),
        (
            replace(f"{NETWORK}/scalars/test_loss", shape=(2,), dtype="f8"),
            "test_loss: expected shape",
        ),
        (lambda file: file[NETWORK].create_group("scalars/x"), "scalars/x: expected a dataset"),
        (link(f"{NETWORK}/loss", h5py.ExternalLink("other.h5", "/loss")), "loss: expected data in"),
        (link(f"{NETWORK}/loss", h5py.SoftLink(f"/{NETWORK}/beta")), "loss: expected data in this"),
        (
            replace(f"{NETWORK}/step", shape=(3,), dtype="i8", external="/etc/hostname"),
            "step: expected data in this file, found data in another",
        ),
    ],
)
def test_bad_sequences(refused, own, change, expected):
    with h5py.File(own, "r+") as file:
        change(file)
    line = refused("info", own)
    assert line.startswith(f"lands: {own}: ")
    assert expected in line


def test_what_is_no_sequence_at_all(refused, tmp_path, own):
    path = tmp_path / "none.h5"
    assert refused("info", path) == f"lands: {path}: no such file."
    path.write_text("text")
    assert refused("info", path) == f"lands: {path}: not an HDF5 file, or a damaged one."
    assert refused("info", tmp_path) == f"lands: {tmp_path}: a folder."
    own.write_bytes(own.read_bytes()[:3000])
    assert "not an HDF5 file, or a damaged one" in refused("info", own)
