"""``lands compute --json``: what a program hears."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from movinglands import progress
from movinglands.cli import main
from movinglands.engine import tuning
from movinglands.pieces import compute
from movinglands.sequence import describe
from movinglands.surfaces import compute as surfaces

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def told(capsys):
    """Run a command, and give its exit code, the events it told, and its stderr."""

    def run(*words):
        code = main([*map(str, words)])
        printed = capsys.readouterr()
        events = [json.loads(line) for line in printed.out.splitlines()]
        return code, events, printed.err

    return run


def labels(events):
    return list(dict.fromkeys(event["label"] for event in events if event["event"] == "progress"))


def test_progress_and_done(told, tiny_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, events, printed = told("compute", tiny_file, "-o", "a.h5", "--json")
    assert code == 0
    assert labels(events) == ["training", "evaluating"]
    last = {event["label"]: event for event in events[:-1]}
    assert (last["training"]["done"], last["training"]["total"]) == (3, 3)
    assert (last["evaluating"]["done"], last["evaluating"]["total"]) == (147, 147)
    assert all(event.keys() == {"event", "label", "done", "total", "seconds_left"}
               for event in events[:-1])  # fmt: skip
    assert events[-1] == {"event": "done", "file": str(tmp_path / "a.h5")}
    assert "Computing TINY" in printed
    assert "training:" not in printed

    code, events, _ = told("compute", tiny_file, "-o", "a.h5", "--json")
    assert (code, events) == (0, [{"event": "done", "file": str(tmp_path / "a.h5")}])


def test_seconds_left(monkeypatch, capsys):
    with progress.json_events(), progress.progress("evaluating", 10, 4, "point") as bar:
        bar.start_t -= 6.0  # it has gone on for so long
        bar.update(3)
        bar.refresh()
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [event["done"] for event in events[:2]] == [4, 7]
    assert events[0]["seconds_left"] is None
    assert events[1]["seconds_left"] == pytest.approx(6.0, rel=0.2)


def test_compiling_is_said(told, tiny_file, tmp_path, monkeypatch):
    monkeypatch.setattr(tuning._Tuning, "_compiled", lambda *_: [])
    command = ["compute", tiny_file, "-o", tmp_path / "a.h5", "--compile", "--json"]
    assert labels(told(*command)[1]) == ["training", "compiling", "evaluating"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["nowhere"], "No piece is called 'nowhere'"),
        (["gently", "--set", "surface.resolution=yes"], "expected int, got 'yes'"),
        (["gently", "--device", "abacus"], "--device abacus"),
    ],
)
def test_bad_input(told, tmp_path, words, expected):
    code, events, printed = told("compute", *words, "-o", tmp_path / "a.h5", "--json")
    assert code == 2
    (event,) = events
    assert event["event"] == "error"
    assert expected in event["message"]
    assert f"lands: {event['message']}\n" in printed


def test_a_full_disk(told, tiny_file, tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device", "somewhere/a.h5")

    monkeypatch.setattr(surfaces, "write_sequence", full)
    code, events, _ = told("compute", tiny_file, "-o", tmp_path / "a.h5", "--json")
    assert code == 2
    assert events[-1] == {"event": "error", "message": "somewhere/a.h5: No space left on device."}


def test_a_defect(told, tiny_file, tmp_path, monkeypatch, capsys):
    def broken(*arguments):
        raise RuntimeError("a wheel\ncame off")

    monkeypatch.setattr(compute, "surface_of", broken)
    with pytest.raises(RuntimeError, match="a wheel"):
        told("compute", tiny_file, "-o", tmp_path / "a.h5", "--json")
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last == {"event": "error", "message": "RuntimeError: a wheel"}


def test_people_see_none_of_it(tiny_file, tmp_path, capsys):
    assert main(["compute", str(tiny_file), "-o", str(tmp_path / "a.h5")]) == 0
    printed = capsys.readouterr()
    assert "{" not in printed.out + printed.err
    assert "training:" in printed.err


LONG = ["--set", "surface.resolution=70", "--set", "training.snapshots=7"]


@pytest.fixture
def process(tiny_file, tmp_path):
    """``lands compute`` in a process that has some of its frames and not yet all."""
    command = [sys.executable, "-m", "movinglands.cli", "compute", tiny_file, "--json", *LONG]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "compute")}
    running = subprocess.Popen(
        [*command, "-o", tmp_path / "a.h5"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        # As a shell starts what it puts in the background.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )
    while not _frames(tmp_path):
        assert running.poll() is None, running.stderr.read()
        time.sleep(0.02)
    yield running
    running.kill()
    running.communicate()


def _frames(folder):
    return list((folder / "a.h5.journal").rglob("frames/*.npz"))


def test_interrupted_it_goes_on_from_there(process, tmp_path, tiny_file, told):
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=10) == 130
    assert "goes on from here" in process.stderr.read()
    _goes_on(tmp_path, tiny_file, told)


def test_nobody_listens_any_more(process, tmp_path, tiny_file, told):
    """Where Blender has crashed, its computation does not go on unseen."""
    process.stdout.close()
    assert process.wait(timeout=20) != 0
    _goes_on(tmp_path, tiny_file, told)


def _goes_on(folder, tiny_file, told):
    assert 1 <= len(_frames(folder)) < 7
    code, events, _ = told("compute", tiny_file, *LONG, "-o", folder / "a.h5", "--json")
    assert code == 0
    first = {event["label"]: event for event in reversed(events[:-1])}
    assert first["training"]["done"] == 7
    assert 0 < first["evaluating"]["done"] < 7 * 70**2
    assert describe(folder / "a.h5")["surfaces"]["network"]["complete"] == 7


def test_scenes(capsys):
    assert main(["scenes", "--json"]) == 0
    here = json.loads(capsys.readouterr().out)
    assert {"version", "device", "scenes"} == here.keys()
    (gently,) = [piece for piece in here["scenes"] if piece["name"] == "gently"]
    assert gently["title"] == "GENTLY"
    assert gently["sentence"]
    assert here["device"]
