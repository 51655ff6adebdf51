"""The README's ten lines, and the example that has them whole: both run, and Blender reads it."""

import re
import textwrap
from pathlib import Path

import pytest
import torch
from torch import nn

import movinglands
from addon.sequence import open_sequence

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def lines():
    """The code of the section, as a reader would copy it."""
    section = (ROOT / "README.md").read_text(encoding="utf-8").split("## Your own network")[1]
    (code,) = re.findall(r"(?:^ {4}.*\n|^\n(?= {4}))+", section.split("\n## ")[0], re.MULTILINE)
    return textwrap.dedent(code).strip() + "\n"


def test_they_are_ten(lines):
    assert len([line for line in lines.splitlines() if line]) == 10


def test_they_take_a_model_and_a_loader_to_a_sequence(lines, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(61, 8, 3, generator=generator)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    yours = {
        "model": model,
        "optimizer": torch.optim.SGD(model.parameters(), lr=0.5),
        "loader": [(x, (x[:, 0] > 0).long()) for x in inputs],
        "cross_entropy": nn.functional.cross_entropy,
    }
    exec(lines, yours)
    with open_sequence("own.h5") as sequence:
        (surface,) = sequence.surfaces.values()
        assert surface.step.tolist() == [0, 30, 60]
        assert surface.points() == 41**2
        # They trained it, and the window's centre is where it was.
        centres = [surface.loss(t)[20, 20] for t in range(3)]
        assert centres == pytest.approx(surface.minimizer[:, 2], rel=1e-4)
        assert centres[2] < 0.7 * centres[0]


def test_the_example_has_them_and_runs(lines, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    example = ROOT / "docs" / "own_network.py"
    script = example.read_text(encoding="utf-8")
    wanted = [line for line in lines.splitlines() if line]
    assert [line for line in script.splitlines() if line in wanted] == wanted
    coarse = script.replace("resolution=41", "resolution=3")
    with torch.random.fork_rng():
        exec(compile(coarse, str(example), "exec"), {"__file__": str(example)})
    with open_sequence("own.h5") as sequence:
        (surface,) = sequence.surfaces.values()
        assert surface.step.tolist() == list(range(0, 301, 30))
        assert surface.minimizer[-1, 2] < 0.7 * surface.minimizer[0, 2]


def test_what_the_section_names_is_there():
    section = (ROOT / "README.md").read_text(encoding="utf-8").split("## Your own network")[1]
    names = re.findall(r"`([A-Z]\w+)(?:\.(\w+))?", section.split("\n## ")[0])
    assert ("Snapshots", "in_folder") in names
    for name, attribute in names:
        assert hasattr(getattr(movinglands, name), attribute or "__doc__")
