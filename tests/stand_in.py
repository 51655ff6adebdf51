"""A stand-in for the Python that has the computing half: it does as a test tells it.

Its ``word`` list is the command line, ``HERE`` what it says of itself, ``say`` tells an event.
"""

import sys
from pathlib import Path

HERE = {
    "version": "0.1.0",
    "device": "an abacus",
    "scenes": [{"name": "gently", "title": "GENTLY", "sentence": "A quiet descent."}],
}

BEGINNING = f"""
import json, os, shutil, sys, time
words, HERE = sys.argv[1:], {HERE!r}

def say(event, **more):
    print(json.dumps({{"event": event, **more}}), flush=True)

def wait_for(file):
    while not os.path.exists(file):
        time.sleep(0.02)

def publish(source):
    shutil.copy(source, output + ".writing")
    os.replace(output + ".writing", output)
"""

COMPUTING = """
if "scenes" in words:
    print(json.dumps(HERE))
    sys.exit()
output = words[words.index("-o") + 1]
os.makedirs(os.path.dirname(output), exist_ok=True)
with open(__file__ + ".json", "w") as log:
    json.dump({"words": words, "pid": os.getpid(), "folder": os.getcwd()}, log)
"""


def python(folder: Path, code: str) -> Path:
    """Make a program in a folder that runs some Python, whatever it is asked; or change it."""
    script, path = folder / "stand_in.py", folder / "python"
    script.write_text(BEGINNING + code)
    path.write_text(f'#!/bin/sh\nexec {sys.executable} {script} "$@"\n')
    path.chmod(0o755)
    return path


def lives(process: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
