"""A process beside Blender: heard, followed, and ended for certain."""

import gc
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from stand_in import lives

from addon.ui import process
from addon.ui.process import Process

ROOT = Path(__file__).resolve().parents[2]

SPEAK = """
import json, sys, time
def say(event, **more):
    print(json.dumps({"event": event, **more}), flush=True)
"""


@pytest.fixture
def start():
    """Start a job that runs some Python; whatever a test leaves running is ended."""
    jobs = []

    def run(code, **options):
        jobs.append(Process([sys.executable, "-c", SPEAK + code], **options))
        return jobs[-1]

    yield run
    for job in jobs:
        job.close()


def follow(job, until=lambda job: not job.running, seconds=20.0):
    """Poll until something is so, and give all that was heard."""
    heard, deadline = [], time.monotonic() + seconds
    while not until(job):
        assert time.monotonic() < deadline, f"waited {seconds} s: {vars(job)}"
        heard += job.poll()
        time.sleep(0.02)
    return heard


def test_progress_then_done(start, tmp_path):
    made = tmp_path / "made.h5"
    job = start(
        f"""
say("progress", label="evaluating", done=3, total=12, seconds_left=4.5)
sys.stdin.read()
time.sleep(0.5)
say("done", file={str(made)!r})
"""
    )
    assert (job.label, job.progress, job.seconds_left) == ("", 0.0, None)
    follow(job, lambda job: job.label)
    assert (job.label, job.progress, job.seconds_left) == ("evaluating", 0.25, 4.5)
    assert (job.running, job.finished, job.file) == (True, False, None)
    heard = follow(job)
    assert heard == [{"event": "done", "file": str(made)}]
    assert (job.running, job.finished, job.error, job.cancelled) == (False, True, "", False)
    assert (job.file, job.progress, job.seconds_left) == (made, 1.0, None)
    assert job.poll() == []


def test_its_environment_and_its_folder(start, tmp_path):
    code = 'import os; print(json.dumps({"colour": os.environ["COLOUR"], "at": os.getcwd()}))'
    job = start(code, environment={"COLOUR": "rose"}, folder=tmp_path)
    assert follow(job) == [{"colour": "rose", "at": str(tmp_path.resolve())}]
    assert job.finished


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ('say("error", message="a.toml: no such file."); print("noise", file=sys.stderr); exit(2)',
         "a.toml: no such file."),
        ('say("error", message="It failed."); exit(0)', "It failed."),
        ("raise ValueError('no such thing')", "ValueError: no such thing"),
        ("sys.stderr.write('50%\\rno room left'); exit(2)", "no room left"),
        ("sys.stderr.buffer.write(b'caf\\xe9 closed\\n'); exit(1)", "caf\ufffd closed"),
        ("exit(3)", "The process ended with code 3."),
        ("import os; os.kill(os.getpid(), 9)", "killed, most likely for want of memory"),
        ("import os; os.abort()", "The process was ended by signal 6."),
        ('say("progress", label="x", done=1, total=2); exit(1)', "The process ended with code 1."),
    ],
)  # fmt: skip
def test_what_went_wrong_is_one_sentence(start, code, expected):
    job = start(code)
    follow(job)
    assert expected in job.error
    assert "\n" not in job.error
    assert not job.finished


def test_a_program_that_is_not_there():
    with pytest.raises(ValueError, match=r"^/nowhere/python: cannot be started: No such file"):
        Process(["/nowhere/python"])
    with pytest.raises(ValueError, match="cannot be started"):
        Process(["py\0thon"])


def test_rubbish_is_passed_over(start):
    job = start(
        r"""
sys.stdout.buffer.write(b"\xff\xfe\x00 not text\n{\n[1, 2]\n\n3\nnull\n" + b"[" * 60000 + b"\n")
print("x" * 1_000_000)
for done, total, left in ((True, None, 1), ("a", {}, []), (1, 0, -1), (10**400, 10**400, "NaN")):
    print(json.dumps({"event": "progress", "label": "odd", "done": done, "total": total,
                      "seconds_left": left}))
print('{"event": "progress", "label": "odd", "done": NaN, "total": 1e999}')
print('{"event": "progress", "label": 3}\n{"event": "done", "file": 3}\n{"event": ["done"]}')
say("progress", label="good", done=5, total=4, seconds_left=float("inf"))
"""
    )
    follow(job)
    assert (job.finished, job.error, job.label, job.file) == (True, "", "good", None)


def test_a_flood_is_survived(start):
    job = start(
        """
for n in range(200_000):
    sys.stdout.write('{"event": "progress", "label": "a", "done": %d, "total": 200000}\\n' % n)
    if n % 10 == 0:
        sys.stderr.write("a line of complaint that nobody reads, over and over again\\n")
for n in range(10_000):
    sys.stdout.write('{"other": %d}\\n' % n)
say("done", file="/made")
"""
    )
    time.sleep(2.0)  # Blender is busy: nobody polls
    while job.running:
        assert len(job.poll()) <= process.KEPT
        time.sleep(0.02)
    assert job.finished
    assert job.file == Path("/made")


def test_no_poll_waits(start):
    job = start('say("progress", label="a", done=1, total=2)\ntime.sleep(60)')
    follow(job, lambda job: job.label)
    began = time.monotonic()
    for _ in range(100):
        job.poll()
    assert time.monotonic() - began < 0.5
    began = time.monotonic()
    job.cancel()
    assert time.monotonic() - began < 0.2


def test_cancelled_politely(start, tmp_path):
    left = tmp_path / "left"
    job = start(
        f"""
try:
    say("progress", label="a", done=1, total=2)
    time.sleep(60)
except KeyboardInterrupt:
    open({str(left)!r}, "w").write("in good order")
    print("interrupted; it goes on from here.", file=sys.stderr)
    sys.exit(130)
"""
    )
    follow(job, lambda job: job.label)
    began = time.monotonic()
    job.cancel()
    follow(job)
    assert time.monotonic() - began < process.GRACE
    assert (job.cancelled, job.finished, job.error) == (True, False, "")
    assert left.read_text() == "in good order"


STUBBORN = """
import os, signal, subprocess
signal.signal(signal.SIGINT, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(json.dumps({"pids": [os.getpid(), child.pid]}), flush=True)
say("progress", label="ready", done=0, total=1)
time.sleep(60)
"""


def test_who_does_not_listen_is_killed_with_all_it_started(start, monkeypatch):
    monkeypatch.setattr(process, "GRACE", 0.5)
    job = start(STUBBORN)
    heard = follow(job, lambda job: job.label)
    pids = heard[0]["pids"]
    assert all(map(lives, pids))
    job.cancel()
    deadline = time.monotonic() + 5  # though nobody polls
    while any(map(lives, pids)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    follow(job)
    assert (job.cancelled, job.finished, job.error) == (True, False, "")


def test_who_is_done_but_hangs_is_done(start, monkeypatch):
    monkeypatch.setattr(process, "GRACE", 0.5)
    job = start('say("done", file="/made")\ntime.sleep(60)')
    follow(job, seconds=10)
    assert (job.finished, job.error, job.file) == (True, "", Path("/made"))


def test_what_outlives_the_process_is_not_waited_for(start):
    job = start(
        """
import subprocess
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(8)"], start_new_session=True)
say("done", file="/made")
"""
    )
    follow(job, seconds=7)
    assert job.finished


def test_close_waits_until_it_is_gone(start):
    job = start('say("progress", label="a", done=1, total=2)\ntime.sleep(60)')
    follow(job, lambda job: job.label)
    job.close()
    assert not job.running
    assert job.cancelled
    job.close()


def test_it_ends_with_blender(tmp_path):
    """Quitting ends it: nothing goes on unseen."""
    quitting = tmp_path / "quitting.py"
    quitting.write_text(
        "import sys, time\n"
        "from addon.ui.process import Process\n"
        "job = Process([sys.executable, '-c', sys.argv[1]])\n"
        "while not (heard := job.poll()): time.sleep(0.02)\n"
        "print(heard[0]['pids'])\n"
    )
    polite = 'import os; print(json.dumps({"pids": [os.getpid()]}), flush=True); time.sleep(60)'
    done = subprocess.run(
        [sys.executable, quitting, SPEAK + polite],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    (pid,) = eval(done.stdout)
    assert not lives(pid)


def test_it_stands_back_behind_blender(start):
    job = start('import os; print(json.dumps({"nice": os.nice(0)}))\n', environment={})
    (said,) = follow(job)
    assert said["nice"] == min(os.nice(0) + process.NICENESS, 19)


def test_nothing_is_left_open(start):
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        follow(start('say("done", file="/made")'))
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= before
