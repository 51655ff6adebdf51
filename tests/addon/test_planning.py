"""Rigs and acts, and the calm paths planned for them."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from addon.camera.acts import Act, by_camera, framing_of, read_acts
from addon.camera.composition import View, inside
from addon.camera.planner import planning
from addon.camera.rigs import RIGS, joined
from addon.camera.terrain import Terrain
from addon.steps import drained

FPS, ASPECT = 12, 16 / 9
AXIS = np.linspace(-5, 5, 65)
X, Y = np.meshgrid(AXIS, AXIS)


def terrain(seconds=6.0, noise=0.0, folds=0.0):
    """A funnel that deepens, with folds around it; its minimizer falls, with noise."""
    frames = np.arange(1, round(seconds * FPS) + 1.0)
    count = 12
    depth = 1.7 * np.linspace(0, 1, count) ** 0.6
    depth += noise * np.random.default_rng(1).normal(size=count)
    funnel = np.exp(-(X**2 + Y**2) / 2)
    wall = 2 + folds * np.sin(2 * X + Y) * (1 - funnel)
    when = np.linspace(0, count - 1, len(frames))
    lowest = np.interp(when, np.arange(count), 2 - depth)
    return Terrain(
        x=AXIS,
        y=AXIS,
        heights=np.array([wall - d * funnel for d in depth], np.float32),
        known=np.arange(count, dtype=float),
        frames=frames,
        when=when,
        places=np.column_stack([0 * lowest, 0 * lowest, lowest]),
        learning_rate=np.where(np.arange(len(frames)) < len(frames) / 2, 1.0, 0.2),
        others=[np.column_stack([0 * lowest + 11.2, 0 * lowest, lowest])],
        paths={"curve": np.array([[-3, -2, 0.1], [0, 1, 0.9], [3, -2, 0.2]])},
    )


LANDS = {
    "smooth": terrain(),
    "noisy": terrain(noise=0.12),
    "folded": terrain(seconds=12, folds=0.3),
}


def plan(acts, land, aspect=ASPECT):
    """Plan acts that one camera takes."""
    (found,) = drained(planning(acts, land, FPS, aspect))
    return found


def planned(rig, land, aspect=ASPECT, **changes):
    act = Act(rig, 1, land.frames[-1], RIGS[rig].framing, **changes)
    return plan([act], land, aspect)


def view(plan, land):
    """What is seen of a plan."""
    aim, place = (
        np.column_stack([s(land.frames) for s in path]) for path in (plan.aim, plan.place)
    )
    eyes = plan.start + plan.follow * (aim - plan.start) + place
    framed = (spline(land.frames) for spline in (plan.lens, plan.frame_x, plan.frame_y))
    return View(eyes, aim, aim, *framed, aspect=plan.aspect)


@pytest.mark.parametrize("land", LANDS)
@pytest.mark.parametrize("rig", RIGS)
def test_every_rig_is_calm_and_sees_its_subject(rig, land):
    found = planned(rig, LANDS[land])
    assert found.motion.faults() == []
    assert len(found.place[0].times) <= 3 + LANDS[land].frames[-1] / FPS  # few keys


@pytest.mark.parametrize("aspect", [9 / 16, 1.0, 2.39])
@pytest.mark.parametrize("rig", RIGS)
def test_every_rig_frames_its_subject_in_pictures_of_any_shape(rig, aspect):
    assert planned(rig, LANDS["smooth"], aspect).motion.faults() == []


@pytest.mark.parametrize("aspect", [9 / 16, 0.8, 1.0, ASPECT, 2.39])
def test_two_lands_fit_into_pictures_of_any_shape(aspect):
    land = LANDS["smooth"]
    found = planned("twin", land, aspect)
    seen = view(found, land)
    for places in (land.places, land.others[0]):
        assert inside(*seen.project(slice(None), places)).min() > 0.1


def test_the_camera_goes_where_it_is_asked_to_where_nothing_is_wrong():
    assert planned("below", LANDS["smooth"]).acts[0].framing == replace(
        RIGS["below"].framing, drift=pytest.approx(50, abs=45)
    )


def test_it_looks_into_the_funnel_from_higher_up():
    low = replace(RIGS["orbit"].framing, elevation=18)
    found = plan([Act("orbit", 1, LANDS["smooth"].frames[-1], low)], LANDS["smooth"])
    assert found.motion.hidden <= 0.05
    assert found.acts[0].framing.elevation > 25


def test_a_longer_shot_moves_farther():
    brief, long = (planned("orbit", terrain(seconds)) for seconds in (4, 20))
    assert long.acts[0].framing.drift > 1.5 * brief.acts[0].framing.drift


def test_it_comes_to_rest_where_there_is_time():
    for seconds, rests in ((4, False), (12, True)):
        slopes = [spline.slopes[0] for spline in planned("orbit", terrain(seconds)).place]
        assert (np.abs(slopes).max() < 1e-9) == rests


def test_the_coaster_s_speed_is_the_learning_rate_s():
    land = terrain(16)
    found = planned("coaster", land)
    x, y = (spline(land.frames) for spline in found.place[:2])
    speed = np.hypot(np.diff(x), np.diff(y))
    half = len(speed) // 2
    assert speed[half // 2 : half - FPS].mean() > 2 * speed[half + FPS : -half // 2].mean()


def test_the_coaster_leans_into_its_turn():
    found = planned("coaster", LANDS["smooth"])
    roll = np.degrees(found.bank(LANDS["smooth"].frames))
    assert 2 < np.abs(roll).max() <= 12
    assert planned("ride", LANDS["smooth"]).bank is None


def test_below_looks_up():
    assert -40 <= planned("below", LANDS["folded"]).acts[0].framing.elevation <= -20


def test_goblin_begins_above_and_ends_below():
    land = terrain(16)
    found = planned("goblin", land)
    heights = found.place[2](land.frames[[0, -1]])
    assert heights[0] > 1 > -1 > heights[1]


def test_the_flight_passes_over_the_peak():
    land = terrain(20)
    found = planned("fly-line", land)
    way = np.column_stack([spline(land.frames) for spline in found.aim[:2]])
    assert np.linalg.norm(way - [0, 1], axis=1).min() < 0.3
    assert np.ptp(way[:, 0]) > 1


def test_acts_that_ease_are_one_path():
    land = terrain(16)
    acts = [
        Act("orbit", 1, 96, RIGS["orbit"].framing),
        Act("wide", 97, 192, RIGS["wide"].framing, "ease"),
        Act("below", 193, 240, RIGS["below"].framing, "cut"),
    ]
    groups = by_camera(acts)
    assert [[act.rig for act in take] for take in groups] == [["orbit", "wide"], ["below"]]
    found = plan(groups[0], land)
    assert found.motion.faults() == []
    assert found.lens(1) == pytest.approx(28)
    assert found.lens(192) == pytest.approx(35)


def test_what_one_camera_takes_has_the_widest_bounds_of_its_acts():
    both = joined(["orbit", "coaster", "wide"])
    assert (both.borders, both.framing) == (4, RIGS["orbit"].framing)
    assert dict(both.allowed) == {"tilt": 12}
    assert both.elevations == (-18, 65)


@pytest.mark.parametrize(
    ("act", "land", "fault"),
    [
        (("twin", ""), {"others": []}, "expected a sequence of two surfaces"),
        (("fly-line", ""), {"paths": {}}, "there are: none"),
        (("fly-line", "line"), {}, "no path 'line', there are: curve"),
    ],
)
def test_what_a_rig_needs(act, land, fault):
    with pytest.raises(ValueError, match=fault):
        planned(act[0], replace(LANDS["smooth"], **land), line=act[1])


def test_only_what_looks_at_the_same_eases():
    acts = [Act("ride", 1, 36, RIGS["ride"].framing)]
    acts.append(Act("fly-line", 37, 72, RIGS["fly-line"].framing, "ease"))
    with pytest.raises(ValueError, match="expected a cut or a fade"):
        plan(acts, LANDS["smooth"])


RIDE = RIGS["ride"].framing
SAID = {"third": 0.3, "lens": None}


def test_a_recipe_without_acts_is_one():
    framing = replace(RIGS["below"].framing, frame_x=0.3)
    assert read_acts([], "below", SAID, 120) == [Act("below", 1, 120, framing)]
    assert read_acts([], "ride", {}, 120) == [Act("ride", 1, 120, RIDE)]


@pytest.mark.parametrize("rig", RIGS)
def test_what_is_said_holds_even_where_it_is_what_another_rig_does(rig):
    (act,) = read_acts([], rig, {"azimuth": RIDE.azimuth}, 120)
    assert act.framing == replace(RIGS[rig].framing, azimuth=RIDE.azimuth)
    acts = read_acts([{}, {"start": 0.5, "lens": RIDE.lens}], rig, {"lens": 70}, 120)
    assert [act.framing.lens for act in acts] == [70, RIDE.lens]


def test_acts_of_a_recipe():
    tables = [
        {"rig": "wide"},
        {"rig": "below", "start": 0.25, "transition": "fade", "lens": 70},
        {"start": 0.5, "transition": "ease"},
    ]
    acts = read_acts(tables, "ride", SAID, 101)
    assert [(act.rig, act.first, act.last) for act in acts] == [
        ("wide", 1, 25),
        ("below", 26, 50),
        ("ride", 51, 101),
    ]
    assert [act.transition for act in acts] == ["cut", "fade", "ease"]
    assert acts[1].framing == replace(RIGS["below"].framing, lens=70, frame_x=0.3)


@pytest.mark.parametrize(
    ("tables", "fault"),
    [
        ("ride", r"expected tables \[\[camera.acts\]\]"),
        ([{"rig": "dive"}], "acts 1: rig 'dive': expected one of ride, coaster"),
        ([{"start": 0.5}], "acts 1: start: expected 0"),
        ([{}, {"rig": "wide"}], "acts 2: start: expected a share"),
        ([{}, {"start": "half"}], "acts 2: start: expected a share"),
        ([{}, {"start": 0.5}, {"start": 0.4}], "acts 2: expected the next start"),
        ([{}, {"start": 0.5, "transition": "wipe"}], "transition 'wipe': expected one of cut"),
        ([{"lense": 50}], "acts 1: no key 'lense'"),
        ([{"lens": "long"}], "acts 1: lens: expected a number from 1 to 5000, got 'long'"),
        ([{"lens": float("inf")}], "acts 1: lens: expected a number from 1 to 5000, got inf"),
        ([{"rise": float("nan")}], "acts 1: rise: expected a number from 0.05 to 0.95, got nan"),
        ([{}, {"start": 0.5, "distance": 0}], "acts 2: distance: expected a number from 0.01"),
        ([{"start": float("nan")}], "acts 1: start: expected 0"),
        ([{"rig": ["ride"]}], r"acts 1: rig \['ride'\]: expected one of ride"),
        ([{}, {"start": 0.004}], "acts 1: expected an act of 2 frames at least"),
        ([{}, *({"start": n / 500} for n in range(1, 500))], "acts 1: expected an act of 2 frames"),
    ],
)
def test_acts_from_anywhere_are_checked(tables, fault):
    with pytest.raises(ValueError, match=fault):
        read_acts(tables, "ride", {}, 120)


def told(acts, land):
    """What planning yields."""
    return list(planning(acts, land, FPS, ASPECT))


def test_a_plan_tells_how_far_it_is_and_can_be_given_up_at_any_step():
    land = LANDS["folded"]
    acts = [Act("orbit", 1, 72, RIGS["orbit"].framing)]
    acts.append(Act("crawl", 73, 144, RIGS["crawl"].framing, "fade"))
    progress = told(acts, land)
    assert progress == sorted(progress) and len(progress) > 50
    assert progress[0] >= 0 and progress[-1] <= 1
    for given_up in (0, 10, len(progress) - 1):
        steps = planning(acts, land, FPS, ASPECT)
        for _ in range(given_up + 1):
            next(steps)
        steps.close()
    assert told(acts, land) == progress  # it left nothing behind


def test_the_manual_lists_the_rigs_as_menus_do():
    manual = (Path(__file__).parents[2] / "docs" / "camera.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| \*([a-z-]+)\* \| ([^|]+) \| [^|]+ \|$", manual, re.MULTILINE)
    assert listed == [(rig.name, rig.description) for rig in RIGS.values()]
    assert all(rig.label for rig in RIGS.values())
    numbers = dict(re.findall(r"^    # ([a-z]+) = ([-0-9.]+) ", manual, re.MULTILINE))
    assert framing_of({key: float(value) for key, value in numbers.items()}, "") == vars(RIDE)


def test_the_framing_of_a_whole_shot_is_checked():
    with pytest.raises(ValueError, match="recipe: camera: lens: expected a number from 1 to 5000"):
        read_acts([], "ride", {"lens": 1e300}, 120)


def test_the_shortest_acts_can_be_planned():
    land = LANDS["smooth"]
    acts = [Act("orbit", 10, 11, RIGS["orbit"].framing)]
    acts.append(Act("wide", 12, 13, RIGS["wide"].framing, "ease"))
    acts.append(Act("ride", 14, 15, RIGS["ride"].framing, "fade"))
    for found in drained(planning(acts, land, FPS, ASPECT)):
        assert all(np.isfinite(spline.values).all() for spline in (*found.place, *found.aim))
