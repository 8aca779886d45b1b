"""The picture of the worst trajectory of an attack."""

import dataclasses

import numpy as np
import pytest
import square_plant
from falsification.unsafe import Bare
from off_center import tank_claim

import safe_wrappers as sw
from safe_wrappers import SetDimensionError


def lines(ax):
    return {line.get_label(): line.get_xydata() for line in ax.get_lines()}


def test_the_trajectory_is_drawn_in_the_plane_and_its_margin_over_time():
    env = square_plant.Square(square_plant.claim)
    report = sw.attack(env, "none", max_steps=1)
    figure = sw.plots.attack_figure(report, env)
    plane, time = figure.axes
    np.testing.assert_allclose(lines(plane)["trajectory"], report.trajectory.states)
    np.testing.assert_allclose(lines(plane)["worst step"], report.trajectory.states[-1:])
    margins = lines(time)["least margin over W"]
    np.testing.assert_allclose(margins[:, 1], report.trajectory.margins)
    assert margins[0, 0] == 1
    assert "safeguard none: broken" in figure.get_suptitle()
    (low, high), last = plane.get_xlim(), report.trajectory.states[-1, 0]
    assert low <= last <= high
    assert sw.plots.attack_figure(report, env, title="mine").get_suptitle() == "mine"


def test_a_seeker_is_drawn_on_its_map():
    report = sw.attack(Bare(tank_claim()), "none", max_steps=1)
    states = np.array([[0.0, 0.1, -4, 0, 2, 4, 0, 2], [0.0, 0.2, -4, 0, 2, 4, 0, 2]])
    trajectory = report.trajectory._replace(states=states, margins=np.array([0.1]))
    report = dataclasses.replace(report, trajectory=trajectory)
    plane, _ = sw.plots.attack_figure(report, sw.envs.SafeSeeker()).axes
    np.testing.assert_allclose(lines(plane)["trajectory"], states[:, :2])
    assert len(plane.patches) == 3  # the walls and two obstacles


def test_a_plant_with_one_state_has_no_picture():
    env = Bare(tank_claim())
    report = sw.attack(env, "none", max_steps=1)
    with pytest.raises(SetDimensionError, match="the plant has one"):
        sw.plots.attack_figure(report, env)
