from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest
from made_up_episodes import made_up_episodes
from square_plant import claim, env, guarded

import safe_wrappers as sw
from safe_wrappers.plots import phase_portrait, safe_set


@pytest.mark.smoke
def test_in_the_plane_it_shows_the_set_and_the_constraints():
    pendulum = sw.envs.get_environment("safe_pendulum", safe_set="narrow")
    (ax,) = phase_portrait(pendulum, made_up_episodes(2), title="a run").axes
    (polygon,) = ax.patches
    corners = polygon.get_xy()
    assert np.abs(corners[:, 0]).max() == pytest.approx(0.5, abs=1e-3)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("angle θ (rad)", "angular velocity θ̇ (rad/s)")
    assert ax.get_xlim()[1] > 0.5
    # Three trajectories, all starts, all ends, and four bounds.
    assert len(ax.get_lines()) == 3 + 1 + 1 + 4


def test_in_four_dimensions_it_shows_projections():
    figure = phase_portrait(
        sw.envs.get_environment("safe_cart_pole"), made_up_episodes(4), title="a run"
    )
    assert [(ax.get_xlabel(), ax.get_ylabel()) for ax in figure.axes] == [
        ("cart position x (m)", "cart velocity ẋ (m/s)"),
        ("pole angle θ (rad)", "pole angular velocity θ̇ (rad/s)"),
        ("cart position x (m)", "pole angle θ (rad)"),
    ]
    assert figure.get_suptitle() == "a run\n3 of 3 evaluation episodes"


def test_it_marks_exits():
    episodes = made_up_episodes(2)
    episodes.violation[2, 1] = 1
    (ax,) = phase_portrait(env, episodes).axes
    (exits,) = [line for line in ax.get_lines() if line.get_label() == "outside the safe set"]
    assert exits.get_xydata() == pytest.approx(episodes.x[3, 1][None])


def test_a_policy_is_run():
    def policy(obs, key):
        return jnp.ones(1), {}

    figure = phase_portrait(guarded(), policy, num_episodes=5, episode_length=7)
    (ax,) = figure.axes
    assert figure.get_suptitle() == "Square\n5 of 5 evaluation episodes"
    lines = [line.get_xydata() for line in ax.get_lines()[:5]]
    assert all(line.shape == (8, 2) for line in lines)
    assert len({tuple(line[0]) for line in lines}) == 5
    # It pushes to the right, and the safeguard of the environment keeps it inside.
    assert all(0.3 < line[:, 0].max() <= 0.99 for line in lines)
    assert not any(line.get_label() == "outside the safe set" for line in ax.get_lines())


def test_the_constraints_are_named_wherever_they_lie():
    # Of a box that has no negative bound, and of a polytope.
    far = sw.Box(np.array([1.0, 2.0]), np.array([9.0, 5.0]))
    slanted = sw.Polytope(np.array([[1.0, 1.0], [-1.0, 0.0]]), np.array([8.0, -1.5]))
    for constraints, lines in ((far, 4), (slanted, 1)):
        S = sw.Polytope(*sw.Box(np.array([2.0, 3.0]), np.array([3.0, 4.0])).halfspaces())
        system = SimpleNamespace(safe_action_set=None, safe_state_set=S, constraint_set=constraints)
        figure = safe_set(SimpleNamespace(system=system), title="S")
        (ax,) = figure.axes
        assert len(ax.get_lines()) == lines
        (legend,) = figure.legends
        assert [text.get_text() for text in legend.get_texts()] == [
            "safe set",
            "state constraints",
        ]
        assert ax.get_xlim() == pytest.approx((1.88, 3.12))
    edge = ax.get_lines()[0].get_xydata()
    assert (edge.sum(axis=1) <= 8 + 1e-6).all()
    assert edge.min(axis=0)[0] == pytest.approx(1.5)


def test_everything_with_a_safe_set_is_drawn():
    certificate = sw.Certificate(claim, "square")
    for value in (certificate, claim, env, guarded(), env.system, claim.safe_state_set):
        (ax,) = safe_set(value).axes
        assert np.abs(ax.patches[0].get_xy()).max() == pytest.approx(0.99)
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("state 1", "state 2")


def test_the_axes_can_be_chosen():
    cart_pole = sw.envs.load_certificate("safe_cart_pole", "wide")
    (ax,) = safe_set(cart_pole, axes=(3, 1)).axes
    assert (ax.get_xlabel(), ax.get_ylabel()) == (
        "pole angular velocity θ̇ (rad/s)",
        "pole angle θ (rad)",
    )
    assert len(safe_set(cart_pole, axes=[(0, 1), (2, 3)]).axes) == 2


@pytest.mark.parametrize("axes", [(0, 0), (0, 4), ("x", "y"), 3 * (1,), [(0, 1), (0,)]])
def test_axes_that_are_none_are_refused(axes):
    with pytest.raises(sw.SetDimensionError, match=r"two different indices from 0 to 3"):
        safe_set(sw.envs.load_certificate("safe_cart_pole", "wide"), axes=axes)


def test_what_has_no_safe_set_is_refused():
    with pytest.raises(TypeError, match="but it is a `int`"):
        safe_set(3)
    with pytest.raises(sw.SetDimensionError, match="given by its margin"):
        safe_set(sw.envs.get_environment("safe_seeker"))
    with pytest.raises(TypeError, match=r"a function \(obs, key\)"):
        phase_portrait(env, 3)


def test_sets_draw_themselves():
    box = sw.Box(np.array([0.0, 1.0, 2.0]), np.array([1.0, 3.0, 5.0]))
    zonotope = sw.Zonotope(box.center, np.diag([0.5, 1.0, 1.5]))
    for each in (box, sw.Polytope(*box.halfspaces()), zonotope):
        from matplotlib.figure import Figure

        ax = Figure().subplots()
        assert each.plot(ax, axes=(0, 2), color="green") is ax
        corners = ax.patches[0].get_xy()
        assert corners.min(axis=0) == pytest.approx([0, 2])
        assert corners.max(axis=0) == pytest.approx([1, 5])
