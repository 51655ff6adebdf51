"""The README's ten lines and the pages that go on from them: all of it runs, Blender reads it."""

import re
import textwrap
from pathlib import Path

import pytest
import torch
from torch import nn

import movinglands
from addon.sequence.reader import open_sequence

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def lines():
    """The code of the section, as a reader would copy it."""
    section = (ROOT / "README.md").read_text(encoding="utf-8").split("## Your own network")[1]
    (code,) = re.findall(r"(?:^ {4}.*\n|^\n(?= {4}))+", section.split("\n## ")[0], re.MULTILINE)
    return textwrap.dedent(code).strip() + "\n"


def test_they_are_ten(lines):
    assert len([line for line in lines.splitlines() if line]) == 10


@pytest.fixture
def yours(lines, tmp_path, monkeypatch):
    """What a reader has who has run them."""
    monkeypatch.chdir(tmp_path)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        inputs = torch.randn(61, 8, 3)
        model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2))
    yours = {
        "model": model,
        "optimizer": torch.optim.SGD(model.parameters(), lr=0.5),
        "loader": [(x, (x[:, 0] > 0).long()) for x in inputs],
        "cross_entropy": nn.functional.cross_entropy,
    }
    exec(lines, yours)
    return yours


def test_they_take_a_model_and_a_loader_to_a_sequence(yours):
    with open_sequence("own.h5") as sequence:
        (surface,) = sequence.surfaces.values()
        assert surface.step.tolist() == [0, 30, 60]
        assert surface.points() == 41**2
        # They trained it, and the window's centre is where it was.
        centres = [surface.loss(t)[20, 20] for t in range(3)]
        assert centres == pytest.approx(surface.minimizer[:, 2], rel=1e-4)
        assert centres[2] < 0.7 * centres[0]


def test_what_they_wrote_is_read_and_checked_by_hand(yours, capsys):
    page = (ROOT / "docs" / "right.md").read_text(encoding="utf-8")
    reading, checking = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    exec(reading, yours)
    shown = {line.split()[1] for line in capsys.readouterr().out.splitlines()}
    rows = re.findall(r"^\| (`.*?) \|", page.split("## What is recorded")[1], re.MULTILINE)
    assert {"mode", "checked", "fingerprint"} <= shown <= {*re.findall(r"`(\w+)`", str(rows))}
    for place in ("(1, 10, 30)", "(0, 40, 0)", "(2, 3, 17)"):
        exec(checking.replace("(1, 10, 30)", place), yours)
        by_hand, in_the_file = map(float, capsys.readouterr().out.split())
        assert by_hand == pytest.approx(in_the_file, rel=1e-4)


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
