import os
import shutil

import pytest
from gui.window import BLENDER, Window, missing
from package import build, run


def pytest_collection_modifyitems(items):
    if lacking := missing():
        reason = f"no Blender with a window without {', '.join(lacking)}"
        for item in items:
            if item.path.parent.name == "gui":
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def resources(tmp_path_factory):
    """A user's folder of Blender, where the extension is installed and enabled as artists do it."""
    folder = tmp_path_factory.mktemp("resources")
    package = build(tmp_path_factory.mktemp("extension"))
    install = ["-c", "extension", "install-file", "-r", "user_default", "-e", package]
    run(shutil.which(BLENDER), *install, env=os.environ | {"BLENDER_USER_RESOURCES": str(folder)})
    return folder


@pytest.fixture
def window(resources, tmp_path):
    """A Blender with a window, fresh."""
    opened = Window(tmp_path, resources)
    yield opened
    opened.close()
