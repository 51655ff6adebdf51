"""Claims: each file is made by one living process; a dead one's claim is taken over."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from addon.render import claims
from addon.render.claims import Claims

ROOT = Path(__file__).resolve().parents[2]

WORKER = """
import os, sys, time
from pathlib import Path
from addon.render.claims import Claims
folder, seconds = Path(sys.argv[1]), float(sys.argv[2])
with Claims() as mine:
    for file in mine.share([folder / f"{n}.png" for n in range(30)]):
        with open(folder / "log", "a") as log:
            log.write(f"{file.name} {os.getpid()}\\n")
        time.sleep(seconds)
        file.write_text("made")
"""


def worker(folder, seconds):
    command = [sys.executable, "-c", WORKER, str(folder), str(seconds)]
    return subprocess.Popen(command, cwd=ROOT)


def log(folder):
    file = folder / "log"
    return [line.split() for line in file.read_text().splitlines()] if file.exists() else []


def wait_until(true, seconds=30):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def claim_of(file, machine, process):
    path = file.with_name(f".{file.name}.1.claim")
    path.write_text(json.dumps({"machine": machine, "process": process}))
    return path


def test_processes_share_a_folder_and_make_nothing_twice(tmp_path):
    workers = [worker(tmp_path, 0.03) for _ in range(3)]
    assert [process.wait(60) for process in workers] == [0, 0, 0]
    made = [name for name, _ in log(tmp_path)]
    assert sorted(made) == sorted(f"{n}.png" for n in range(30))
    assert len({process for _, process in log(tmp_path)}) > 1
    assert not list(tmp_path.glob(".*"))


def test_the_claim_of_a_killed_process_is_taken_over_at_once(tmp_path):
    victim = worker(tmp_path, 600)
    wait_until(lambda: log(tmp_path))
    heir = worker(tmp_path, 0)
    wait_until(lambda: len(list(tmp_path.glob("*.png"))) == 29)
    assert not (tmp_path / "0.png").exists()
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    assert heir.wait(claims.SILENCE / 2) == 0
    assert [name for name, _ in log(tmp_path)].count("0.png") == 2
    assert not list(tmp_path.glob(".*"))


def test_the_claim_of_a_silent_machine_is_taken_over_once(tmp_path, monkeypatch):
    monkeypatch.setattr(claims, "SILENCE", 0.4)
    monkeypatch.setattr(claims, "LOOK", 0.05)
    file = tmp_path / "0001.png"
    claim = claim_of(file, "elsewhere", os.getpid())
    touched, waits = time.monotonic(), []

    def waiting():
        nonlocal touched
        waits.append(1)
        if len(waits) < 15:  # it lives for longer than silence may last
            os.utime(claim)
            touched = time.monotonic()

    with Claims(waiting) as first, Claims() as second:
        assert next(first.share([file])) == file
        assert time.monotonic() - touched >= 0.4
        assert len(waits) >= 15
        assert claim.exists()
        (own,) = set(tmp_path.glob(".*.claim")) - {claim}
        assert not second._take(file, 1)
        assert not second._take(file, 2)
    assert not own.exists()


def test_an_old_time_stamp_alone_ends_no_claim(tmp_path):
    file = tmp_path / "0001.png"
    claim = claim_of(file, "elsewhere", 1)
    os.utime(claim, (0, 0))  # made in 1970, as its machine has it
    with Claims() as mine:
        assert not mine._take(file, 1)


def test_a_claim_is_touched_while_it_is_held(tmp_path, monkeypatch):
    monkeypatch.setattr(claims, "BEAT", 0.02)
    file = tmp_path / "0001.png"
    with Claims() as mine:
        next(mine.share([file]))
        (claim,) = tmp_path.glob(".*.claim")
        os.utime(claim, (0, 0))
        wait_until(lambda: claim.stat().st_mtime > 0, 5)


def test_an_interrupted_process_removes_its_claim(tmp_path):
    file = tmp_path / "0001.png"
    with pytest.raises(KeyboardInterrupt), Claims() as mine:
        for _ in mine.share([file]):
            raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())


def test_a_file_that_appears_first_is_not_claimed(tmp_path):
    file = tmp_path / "0001.png"
    with Claims() as mine:
        file.touch()
        assert not mine._take(file, 0)
    assert list(tmp_path.iterdir()) == [file]


def test_files_of_other_processes_are_counted_and_waited_for(tmp_path):
    files = [tmp_path / f"{n}.png" for n in range(3)]
    files[0].touch()
    claim_of(files[1], "elsewhere", 1)
    counts = []
    with Claims(files[1].touch) as mine:  # waited for, the other machine is done
        for file in mine.share(files, counts.append):
            file.touch()
    assert counts == [1, 2, 3]


def test_a_half_written_claim_counts(tmp_path):
    file = tmp_path / "0001.png"
    claim_of(file, "elsewhere", 1).write_text('{"mach')
    with Claims() as mine:
        assert not mine._take(file, 1)
