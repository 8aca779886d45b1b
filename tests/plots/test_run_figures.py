import numpy as np
import pytest

import safe_wrappers as sw
from safe_wrappers.evaluation import Episodes
from safe_wrappers.plots import learning_curve, phase_portrait


def made_up_episodes(n, episodes=3, steps=5):
    rng = np.random.default_rng(0)
    x = 0.1 * rng.standard_normal((steps + 1, episodes, n))
    zeros = np.zeros((steps, episodes))
    return Episodes(
        x=x,
        action=zeros[..., None],
        reward=zeros,
        margin=zeros + 1,
        violation=zeros,
        intervention=zeros,
        fallback=zeros,
    )


def row(interactions, value, interventions, violations=0):
    return {
        "interactions": interactions,
        "eval/return": value,
        "training/interventions": interventions,
        "training/violations": violations,
    }


ROWS = [row(0, -2000.0, 0), row(100, -50.0, 80), row(200, -20.0, 90, 3)]


def test_learning_curve_shows_return_interventions_and_violations():
    figure = learning_curve(ROWS, title="a run", num_episodes=7, yardstick=-19.0)
    top, middle, bottom = figure.axes
    assert top.get_title() == "a run"
    assert "7 episodes" in top.get_ylabel()
    assert top.get_lines()[0].get_ydata().tolist() == [2000, 50, 20]
    assert top.get_ylim()[0] > top.get_ylim()[1]
    assert bottom.get_xlabel() == "environment interactions"
    assert middle.patches[0].get_data().values.tolist() == [80, 10]
    assert bottom.get_lines()[0].get_ydata().tolist() == [0, 0, 3]
    figure.canvas.draw()
    assert "\N{MINUS SIGN}1,000" in [label.get_text() for label in top.get_yticklabels()]


@pytest.mark.parametrize("values", [(-5.0, 3.0, 10.0), (0.0, 0.0, 0.0), (-1e9, -3.0, -1.0)])
def test_learning_curve_takes_returns_of_any_sign(values):
    rows = [row(100 * i, value, 0) for i, value in enumerate(values)]
    learning_curve(rows, title="", num_episodes=1, yardstick=2.0).canvas.draw()


def test_learning_curve_without_a_yardstick():
    top = learning_curve(ROWS, title="", num_episodes=1, yardstick=None).axes[0]
    assert [line.get_label() for line in top.get_lines()] == ["SHAC"]


@pytest.mark.smoke
def test_phase_portrait_in_the_plane_shows_the_set_and_the_constraints():
    env = sw.envs.get_environment("safe_pendulum", safe_set="narrow")
    (ax,) = phase_portrait(env, made_up_episodes(2), title="a run").axes
    (polygon,) = ax.patches
    corners = polygon.get_xy()
    assert np.abs(corners[:, 0]).max() == pytest.approx(0.5, abs=1e-3)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("angle θ (rad)", "angular velocity θ̇ (rad/s)")
    assert ax.get_xlim()[1] > 0.5
    # Three trajectories, all starts, all ends, and four bounds.
    assert len(ax.get_lines()) == 3 + 1 + 1 + 4


def test_phase_portrait_in_four_dimensions_shows_projections():
    env = sw.envs.get_environment("safe_cart_pole")
    figure = phase_portrait(env, made_up_episodes(4), title="a run")
    assert [ax.get_xlabel() for ax in figure.axes] == [
        "cart position x (m)",
        "pole angle θ (rad)",
        "cart position x (m)",
    ]
    assert figure.get_suptitle() == "a run\n3 of 3 evaluation episodes"


def test_phase_portrait_marks_exits():
    env = sw.envs.get_environment("safe_pendulum")
    episodes = made_up_episodes(2)
    episodes.violation[2, 1] = 1
    (ax,) = phase_portrait(env, episodes, title="").axes
    (exits,) = [line for line in ax.get_lines() if line.get_label() == "outside the safe set"]
    assert exits.get_xydata() == pytest.approx(episodes.x[3, 1][None])


def test_pyplot_is_left_alone():
    from matplotlib import pyplot

    before = pyplot.get_fignums()
    learning_curve(ROWS, title="", num_episodes=1, yardstick=-1.0)
    assert pyplot.get_fignums() == before
