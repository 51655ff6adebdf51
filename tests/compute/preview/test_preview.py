"""The quick look: what is read of a file, the contact sheet, the page to turn it in."""

import base64
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import h5py
import matplotlib.image
import numpy as np
import pytest

from movinglands.cli import main
from movinglands.preview import page, sheet, style
from movinglands.preview.model import read
from movinglands.preview.scale import Scale, fit
from movinglands.preview.style import palette

STEPS = np.arange(0, 50, 10)
ALPHA, BETA = np.linspace(-1, 1, 9), np.linspace(-0.5, 0.5, 5)
LOSS = np.float32(
    [0.1 + 2 / (1 + t) + ALPHA[None, :] ** 2 + 3 * BETA[:, None] for t in range(5)]
) + np.float32(1.5)


@pytest.fixture
def write(tmp_path):
    """Write a sequence file, of surfaces given as changes to a bowl; return its path."""

    def write(*surfaces, name="bowl.h5", **attrs):
        path = tmp_path / name
        with h5py.File(path, "w") as file:
            file.attrs.update({"format": "moving-lands", "version": 1, "title": "BOWL"} | attrs)
            for number, changes in enumerate(surfaces):
                group = file.create_group(f"surfaces/net{number}")
                values = {"loss": LOSS, "alpha": ALPHA, "beta": BETA, "step": STEPS} | changes
                loss = np.asarray(values["loss"], np.float32)
                frames, rows, cols = loss.shape
                values["loss"] = loss
                values.setdefault("evaluated", np.ones(loss.shape, np.uint8))
                values.setdefault("origin", np.zeros((frames, 2)))
                values.setdefault("minimizer", [(0, 0, 1 / (1 + t)) for t in range(frames)])
                for key, value in values.items():
                    group.create_dataset(
                        key,
                        data=value,
                        **({"chunks": (1, rows, cols)} if key in ("loss", "evaluated") else {}),
                        **({"compression": "gzip"} if key == "loss" else {}),
                    )
        return path

    return write


@pytest.fixture
def refused(capsys):
    def run(*arguments):
        assert main(["preview", *map(str, arguments)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        return line

    return run


def incomplete(*frames, shape=LOSS.shape):
    evaluated = np.ones(shape, np.uint8)
    evaluated[list(frames), 0, 0] = 0
    return evaluated


# Heights


@pytest.mark.parametrize(
    ("name", "middle"),
    [
        ("log", np.log(5) / np.log(100)),
        ("linear", 0.4 / 9.9),
        ("symlog", (np.log(1.5) - np.log(1.1)) / (np.log(11) - np.log(1.1))),
    ],
)
def test_heights(name, middle):
    scale = Scale(name, 0.1, 10.0)
    losses = [0.1, 0.5, 10.0, 0.01, 99.0, np.nan, np.inf, -np.inf]
    np.testing.assert_allclose(scale(losses), [0, middle, 1, 0, 1, 1, 1, 0], rtol=1e-12, atol=1e-12)


def test_heights_of_negative_losses():
    scale = fit([np.array([-3.0, 0.0, 1.0])], "log")
    assert scale.name == "symlog"
    expected = (np.log(4) - np.log([4, 1])) / (np.log(4) + np.log(2))
    np.testing.assert_allclose(scale([-3, 0]), expected, atol=1e-12)


def test_scale_holds_all_that_is_finite():
    scale = fit([np.array([3.0, np.nan]), np.array([np.inf, 0.5])], "log")
    assert (scale.low, scale.high) == (0.5, 3.0)
    assert fit([np.array([0.0, 0.25, 4.0])], "log").low == 0.25  # zero has no logarithm
    assert np.isfinite(fit([np.full(3, 2.0)], "log")([2.0])).all()
    with pytest.raises(ValueError, match="finite"):
        fit([np.array([np.nan, np.inf])], "log")


@pytest.mark.parametrize(
    ("scale", "expected"),
    [
        (Scale("log", 0.0426, 8.02), [0.05, 0.1, 0.2, 0.5, 1, 2, 5]),
        (Scale("log", 0.5, 2e4), [1, 10, 100, 1e3, 1e4]),
        (Scale("linear", 0.0, 10.0), [0, 2, 4, 6, 8, 10]),
        (Scale("symlog", -20.0, 20.0), [-20, -10, -1, 0, 1, 10, 20]),
    ],
)
def test_ticks_are_round(scale, expected):
    assert scale.ticks(7) == pytest.approx(expected)


def test_ticks_of_a_narrow_range():
    ticks = Scale("log", 2.301, 2.309).ticks(8)
    assert len(ticks) >= 3
    assert all(2.301 <= tick <= 2.309 for tick in ticks)


# Reading


def test_reads_complete_frames_on_one_scale(write):
    shown = read(write({"evaluated": incomplete(1, 3)}), 12, 401)
    (view,) = shown.views
    assert view.frames.tolist() == [0, 2, 4]
    kept = LOSS[[0, 2, 4]].astype(np.float64)
    expected = np.log(kept / kept.min()) / np.log(kept.max() / kept.min())
    np.testing.assert_allclose(view.heights, expected, atol=1e-6)
    assert (view.scale.low, view.scale.high) == (kept.min(), kept.max())
    assert "3 of 5 frames so far" in view.lines[-2]


def test_frames_and_points_are_chosen_evenly(write):
    loss = np.random.default_rng(0).random((40, 30, 61)) + 1
    surface = {
        "loss": loss,
        "alpha": np.linspace(-2, 2, 61),
        "beta": np.linspace(0, 3, 30),
        "step": np.arange(40),
    }
    (view,) = read(write(surface), 12, 16).views
    assert (view.frames[0], view.frames[-1], len(view.frames)) == (0, 39, 12)
    assert set(np.diff(view.frames)) <= {3, 4}
    assert view.heights.shape == (12, 16, 16)
    np.testing.assert_allclose(view.alpha, np.linspace(-2, 2, 16))
    np.testing.assert_allclose(view.beta, np.linspace(0, 3, 16))
    # The range is that of every point, also of those that are left out.
    losses = loss[view.frames].astype(np.float32)
    assert (view.scale.low, view.scale.high) == (losses.min(), losses.max())


def test_frames_not_shown_are_not_read(write):
    loss = np.random.default_rng(0).random((40, 5, 9)) + 1
    path = write({"loss": loss, "step": np.arange(40)})
    (before,) = read(path, 4, 9).views
    with h5py.File(path) as file:
        chunks = file["surfaces/net0/loss"].id
        spans = [chunks.get_chunk_info_by_coord((t, 0, 0)) for t in range(40)]
    with open(path, "r+b") as raw:
        for t in set(range(40)) - set(before.frames.tolist()):
            raw.seek(spans[t].byte_offset)
            raw.write(b"\xff" * spans[t].size)  # no gzip could read this
    (after,) = read(path, 4, 9).views
    np.testing.assert_array_equal(after.heights, before.heights)


def test_uneven_coordinates_become_even_ones(write):
    alpha = np.array([-1, -0.9, 0, 0.2, 0.25, 0.3, 0.9, 0.95, 1])
    beta = np.array([-1, 0.5, 0.6, 0.8, 1])
    loss = np.broadcast_to(alpha + 4 * beta[:, None], (5, 5, 9))
    path = write({"alpha": alpha, "beta": beta, "loss": loss}, recipe='[look]\nscale = "linear"\n')
    (view,) = read(path, 1, 401).views
    expected = (np.linspace(-1, 1, 9) + 4 * np.linspace(-1, 1, 5)[:, None] + 5) / 10
    np.testing.assert_allclose(view.heights[0], expected, atol=1e-6)


def test_nan_and_infinity_stand_high(write):
    loss = LOSS.copy()
    loss[2] = np.nan
    loss[3, 1, 1], loss[3, 1, 2] = np.inf, -np.inf
    (view,) = read(write({"loss": loss}), 12, 401).views
    assert np.all(view.heights[2] == 1)
    assert (view.heights[3, 1, 1], view.heights[3, 1, 2]) == (1, 0)
    assert view.scale.high == LOSS[[0, 1, 3, 4]].max()


def test_recipe_decides_on_scale_and_relief(write):
    recipe = 'sentence = "So."\nunknown = 1\n[look]\nscale = "linear"\nrelief = 0.5\n'
    shown = read(write({}, recipe=recipe), 12, 401)
    assert (shown.sentence, shown.relief, shown.views[0].scale.name) == ("So.", 0.5, "linear")


def test_surfaces_share_a_scale_unless_a_loss_is_negative(write):
    first, second = read(write({}, {"loss": 10 * LOSS}), 12, 401).views
    assert first.scale == second.scale == Scale("log", LOSS.min(), (10 * LOSS).max())
    first, second = read(write({}, {"loss": LOSS - 9}), 12, 401).views
    assert (first.scale.name, second.scale.name) == ("log", "symlog")
    assert first.scale.high == LOSS.max()


def test_a_surface_not_begun_is_left_out(write):
    path = write({}, {"evaluated": np.zeros(LOSS.shape, np.uint8)})
    assert [view.name for view in read(path, 12, 401).views] == ["net0"]


# The sheet


def test_palette_darkens_all_the_way():
    linear = np.where(palette() <= 0.04045, palette() / 12.92, ((palette() + 0.055) / 1.055) ** 2.4)
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    assert np.all(np.diff(luminance) < 0)


def test_hillshade():
    flat = sheet.hillshade(np.full((4, 5), 0.4), 0.5, 1.0)
    np.testing.assert_allclose(flat, np.broadcast_to(palette()[102], (4, 5, 3)), rtol=1e-12)
    across, up = np.meshgrid(np.linspace(-1, 1, 9), np.linspace(-1, 1, 9))
    # The key comes from the upper left: a mound is lit there, a hollow on the other side.
    mound = sheet.hillshade(0.5 + 1e-3 * np.exp(-4 * (across**2 + up**2)), 100, 1.0).sum(axis=-1)
    assert mound[6, 2] > mound[4, 4] > mound[2, 6]


def _texts(figure):
    return {text.get_text() for text in figure.texts}


def test_sheet_says_what_it_shows(write):
    place = np.linspace(-0.3, 0.3, 5)
    path = write(
        {
            "minimizer": np.column_stack([place, place / 2, [2.5, 1, 0.5, 0.25, 0.1234]]),
            "origin": np.tile([0.1, 0.05], (5, 1)),
            "scalars/test_loss": np.linspace(3, 0.7, 5),
        }
    )
    with h5py.File(path, "r+") as file:
        file["surfaces/net0"].attrs.update(
            network="a $net$", parameters=12345, mode="eval", normalisation="filter"
        )
    figure = sheet.draw(read(path, 12, 401))
    texts = _texts(figure)
    assert {"BOWL", "STEP 0", "STEP 40", "LOSS 2.5", "LOSS 0.123", "TEST 0.7"} <= texts
    assert {"TRUE LOSS 0.123", "EVAL MODE", "NORMALISATION FILTER"} <= texts
    assert any("A $NET$" in text and "12 345 PARAMETERS" in text for text in texts)
    maps = [axes for axes in figure.axes if axes.collections and axes.images]
    assert len(maps) == 5
    for t, axes in enumerate(maps):
        bead = axes.lines[-1].get_xydata()
        np.testing.assert_allclose(bead, [[place[t] - 0.1, place[t] / 2 - 0.05]])
        np.testing.assert_allclose([*axes.get_xlim(), *axes.get_ylim()], [-1, 1, -0.5, 0.5])
    assert [tick.get_text() for tick in maps[0].get_xticklabels()] == ["-1", "ALPHA", "1"]


def test_sheet_of_frames_without_steps(write):
    figure = sheet.draw(read(write({"step": np.zeros(5, int)}), 12, 401))
    assert {"FRAME 0", "FRAME 4"} <= _texts(figure)


def test_sheet_of_one_frame_has_no_curve(write):
    one = {"loss": LOSS[:1], "step": [7], "minimizer": [(0, 0, np.nan)]}
    figure = sheet.draw(read(write(one), 12, 401))
    assert {"STEP 7", "LOSS NAN"} <= _texts(figure)
    assert len(figure.axes) == 2  # a map and the colour bar


def test_command(write, capsys):
    path = write({}, {"loss": LOSS * 2}, title="Ω $x_")
    assert main(["preview", str(path)]) == 0
    output = path.with_name("bowl.preview.png")
    assert capsys.readouterr().out.strip() == str(output)
    picture = matplotlib.image.imread(output)
    assert picture.shape[1] == 3200
    ground = [int(style.GROUND[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    np.testing.assert_allclose(picture[0, 0, :3], ground, atol=1 / 255)
    assert picture[..., :3].max() > 0.8
    pdf = path.with_name("new") / "a.pdf"
    assert main(["preview", str(path), "-o", str(pdf)]) == 0
    assert pdf.read_bytes().startswith(b"%PDF")
    assert {file.name for file in path.parent.rglob("*.*")} == {path.name, output.name, "a.pdf"}


@pytest.mark.parametrize("options", [[], ["--html"]])
@pytest.mark.parametrize(
    ("changes", "attrs", "expected"),
    [
        ({"evaluated": incomplete(0, 1, 2, 3, 4)}, {}, "no frame is complete yet"),
        ({"loss": np.full(LOSS.shape, np.nan)}, {}, "net0/loss: none of the losses shown is a fin"),
        ({"alpha": ALPHA[::-1]}, {}, "surfaces/net0/alpha: expected two or more finite numbers"),
        ({"origin": np.full((5, 2), np.nan)}, {}, "net0/origin: expected finite coordinates"),
        ({}, {"recipe": "[look"}, "recipe: not TOML"),
        ({}, {"recipe": "look = 1"}, "recipe: look: expected a table of keys, got 1"),
        ({}, {"recipe": "look.scale = 'lin'"}, "look.scale: expected one of log, linear, symlog"),
        ({}, {"recipe": "look.relief = nan"}, "look.relief: expected a positive number, got nan"),
        ({"step": np.arange(4)}, {}, "surfaces/net0/step: expected shape"),
    ],
)
def test_bad_files(write, refused, options, changes, attrs, expected):
    path = write(changes, **attrs)
    line = refused(path, *options)
    assert line.startswith(f"lands: {path}: ")
    assert expected in line
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_bad_outputs(write, refused):
    path = write({})
    content = path.read_bytes()
    assert "expected a name that ends in .png or .pdf" in refused(path, "-o", path)
    assert "expected a name that ends in .html" in refused(path, "--html", "-o", "a.png")
    assert path.read_bytes() == content
    assert "no such file" in refused(path.with_name("none.h5"))


# The page


class _Scripts(HTMLParser):
    """A page's scripts, and every address it names."""

    def __init__(self, text):
        super().__init__()
        self.scripts, self.addresses, self.inside = [], [], False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.addresses += [value for key, value in attrs if key in ("src", "href", "action")]
        if tag == "script":
            self.inside = True
            self.scripts.append("")

    def handle_endtag(self, tag):
        self.inside = self.inside and tag != "script"

    def handle_data(self, data):
        if self.inside:
            self.scripts[-1] += data


def test_page_carries_the_surfaces(write, capsys):
    title = '</script><script>alert("here")</script>'
    path = write({"evaluated": incomplete(1)}, {"loss": LOSS * 3, "step": STEPS + 5}, title=title)
    assert main(["preview", str(path), "--html"]) == 0
    output = path.with_name("bowl.preview.html")
    assert capsys.readouterr().out.strip() == str(output)
    text = output.read_text()
    found = _Scripts(text)
    assert found.addresses == []
    assert not re.search("https?:", text)
    assert "default-src 'none'" in text
    data = json.loads(found.scripts[0])
    assert len(found.scripts) == 2
    assert data["title"] == title
    assert data["moments"] == [0, 5, 15, 20, 25, 30, 35, 40, 45]
    first, second = data["views"]
    assert (first["steps"], first["shown"]) == ([0, 20, 30, 40], ["1", "0.333", "0.25", "0.2"])
    heights = np.frombuffer(base64.b64decode(first["heights"]), "<u2").reshape(4, 5, 9)
    low, high = LOSS.min(), 3 * LOSS.max()
    expected = np.log(LOSS[[0, 2, 3, 4]] / low) / np.log(high / low)
    np.testing.assert_allclose(heights / 65535, expected, atol=1e-5)
    assert (second["width"], second["aspect"], second["alpha"]) == (2, 0.5, ["-1", "1"])
    assert first["bead"] == [
        round(max(0, np.log(x / low) / np.log(high / low)), 5) for x in (1, 1 / 3, 1 / 4, 1 / 5)
    ]


def test_page_stays_small(write):
    random = np.random.default_rng(0)
    surface = {
        "loss": random.random((104, 140, 140), np.float32) + 1,
        "alpha": np.arange(140.0),
        "beta": np.arange(140.0),
        "step": np.arange(104),
    }
    for surfaces in ([surface], [surface, surface]):
        path = write(*surfaces)
        output = path.with_suffix(".html")
        page.write_page(path, output)
        assert 3e6 < output.stat().st_size < 5e6


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_page_runs_through_the_steps(write, tmp_path):
    """The page's own script, as far as it goes without a browser."""
    path = write({"evaluated": incomplete(1)}, {"step": STEPS + 5})
    page.write_page(path, tmp_path / "page.html")
    data, script = _Scripts((tmp_path / "page.html").read_text()).scripts
    functions = script.split("// ---- Drawing")[0]
    lines = [
        f"const document = {{ querySelector: () => ({{ textContent: {json.dumps(data)} }}) }};",
        functions,
        "const view = data.views[0];",
        "console.log(JSON.stringify([stepAt(0.5), stepAt(8), framesAt(view, 0),",
        "  framesAt(view, 5), framesAt(view, 20), framesAt(view, 25), framesAt(view, 45)]));",
    ]
    (tmp_path / "page.js").write_text(script)
    subprocess.run(["node", "--check", tmp_path / "page.js"], check=True)
    done = subprocess.run(
        ["node", "-e", "\n".join(lines)], check=True, capture_output=True, text=True
    )
    # Frames before and after a step, and how far it is between the two.
    assert json.loads(done.stdout) == [
        2.5,
        45,
        [0, 0, 0],
        [0, 1, 0.25],
        [1, 1, 0],
        [1, 2, 0.5],
        [3, 3, 0],
    ]
