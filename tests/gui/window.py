"""A Blender with a window, on a screen that nobody sees, used by keys."""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

BLENDER = os.environ.get("MOVING_LANDS_BLENDER", "blender")

SIZE = 1280, 800

CALL, PROBE = "Insert", "Pause"
"""Keys that Blender has no use for: one calls an operator, one tells that it is over."""

VIEWPORT = 500, 400
"""A place in it, in pixels of the screen from the upper left."""


def missing():
    """Return the programs that a window needs and this machine lacks."""
    return [name for name in (BLENDER, "Xvfb", "xdotool") if not shutil.which(name)]


class Gone(AssertionError):
    """Blender has ended by itself."""


class Window:
    """A running Blender.

    Parameters
    ----------
    folder : Path
        For what is exchanged with it, and its ``log.txt``.
    resources : Path
        What takes the place of the user's folder of Blender.
    """

    def __init__(self, folder, resources):
        self.folder, self._started = folder, []
        try:
            self._open(resources)
        except BaseException:
            self.close()
            raise

    def _open(self, resources):
        read, write = os.pipe()
        screen = ["-screen", "0", "{}x{}x24".format(*SIZE), "-displayfd", str(write)]
        self._start("Xvfb", *screen, pass_fds=[write], stderr=subprocess.DEVNULL)
        os.close(write)
        with open(read) as number:
            display = f":{number.readline().strip()}"
        self.environment = os.environ | {
            "DISPLAY": display,
            "BLENDER_USER_RESOURCES": str(resources),
            "LIBGL_ALWAYS_SOFTWARE": "1",
        }
        agent = shutil.copy(Path(__file__).with_name("agent.py"), self.folder)
        with open(self.folder / "log.txt", "w") as log:
            words = ["--gpu-backend", "opengl", "--window-geometry", "0", "0", *map(str, SIZE)]
            self.blender = self._start(
                BLENDER, *words, "--python", agent, stdout=log, stderr=log, env=self.environment
            )
        self.run("bpy.context.preferences.view.show_splash = False", seconds=120)
        self.run("bpy.context.preferences.view.filebrowser_display_type = 'SCREEN'")
        self.run(f"bind({PROBE.upper()!r}, 'agent.probe')")
        self.move(*VIEWPORT)
        self.key("Escape")  # the splash screen

    def _start(self, *command, **options):
        started = subprocess.Popen(command, **options)
        self._started.append(started)
        return started

    def close(self):
        """End it, and the screen."""
        for started in reversed(self._started):
            started.terminate()
            try:
                started.wait(10)
            except subprocess.TimeoutExpired:
                started.kill()
                started.wait()

    def run(self, code, seconds=120):
        """Run code in Blender; return the value of its last line."""
        partial, answer = self.folder / "todo.part", self.folder / "answer.json"
        partial.write_text(code)
        partial.rename(self.folder / "todo.py")
        deadline = time.monotonic() + seconds
        while not answer.exists():
            self.must_live()
            assert time.monotonic() < deadline, f"no answer to {code!r}"
            time.sleep(0.01)
        said = json.loads(answer.read_text())
        answer.unlink()
        assert "error" not in said, said["error"]
        return said["value"]

    def until(self, code, expected=True, seconds=120):
        """Wait until code in Blender has a value."""
        deadline = time.monotonic() + seconds
        while (found := self.run(code)) != expected:
            assert time.monotonic() < deadline, f"{code} is {found!r}, not {expected!r}"
            time.sleep(0.05)

    def must_live(self):
        """Fail if Blender has died."""
        if (code := self.blender.poll()) is not None:
            raise Gone(f"Blender has ended ({code}):\n{self.log()}")

    def log(self):
        """Return what Blender has printed."""
        return (self.folder / "log.txt").read_text(errors="replace")

    def move(self, x, y):
        """Move the mouse."""
        self._do("mousemove", x, y)

    def key(self, *keys):
        """Press keys, one at once after the other."""
        self._do("key", *keys)

    def call(self, operator, *answers, **properties):
        """Call an operator by a key, and press others for what it asks, when it asks it."""
        self.run(f"bind({CALL.upper()!r}, 'moving_lands.{operator}', **{properties!r})")
        self.key(CALL)
        for key in answers:
            self.draw()  # what it asks
            self.key(key)
        self.settle()

    def press(self, *keys):
        """Press keys, and wait until all is over that they have begun."""
        self.key(*keys)
        self.settle()

    def draw(self):
        """Wait until everything is drawn, popups too."""
        before = self.run("draws()")
        self.until(f"draws() > {before} + 2")

    def settle(self, seconds=120):
        """Wait until Blender has done what was asked of it by keys."""
        deadline = time.monotonic() + seconds
        before = -1
        while True:
            assert time.monotonic() < deadline, f"it does not come to rest:\n{self.log()}"
            now = self.run("count()")
            if now > before >= 0:
                return
            if now >= 0:
                before = now
                self.key(PROBE)
            time.sleep(0.1)

    def click(self, x, y):
        """Click, once the mouse has come to a place and what is there knows it."""
        self.move(x, y)
        self.draw()
        self._do("click", 1)
        self.settle()

    def _do(self, *words):
        command = ["xdotool", *map(str, words)]
        subprocess.run(command, env=self.environment, check=True, capture_output=True)
