import jax.numpy as jnp
import numpy as np
import pytest

import safe_wrappers as sw
from safe_wrappers.evaluation import Episodes, Evaluation, episode_keys
from safe_wrappers.plots import save_episodes, seeker_map


@pytest.fixture(scope="module")
def env():
    return sw.envs.get_environment("safe_seeker", disturbance="none")


@pytest.fixture(scope="module")
def episodes(env) -> Episodes:
    """Three episodes straight to the goal, without a safeguard."""
    policy = lambda _, state, key: jnp.clip(state.obs[2:4], -1.0, 1.0)  # noqa: E731
    return Evaluation(env, {"straight": policy}, episode_keys(3, 0), 200)(
        "straight", {"straight": ()}
    )


def test_each_episode_has_a_map_with_its_obstacles_and_its_goal(episodes):
    figure = seeker_map(episodes, title="a run")
    assert (
        figure.get_suptitle()
        == "a run\n3 of 3 evaluation episodes, of which 100% end within 0.5 m of their goal"
    )
    for i, ax in enumerate(figure.axes[:3]):
        circles = [patch for patch in ax.patches if hasattr(patch, "radius")]
        np.testing.assert_allclose(
            [[*circle.center, circle.radius] for circle in circles],
            np.asarray(episodes.x)[0, i, 2:].reshape(2, 3),
            rtol=1e-6,
        )
        lines = {line.get_label(): np.asarray(line.get_xydata()) for line in ax.get_lines()}
        np.testing.assert_array_equal(lines["way"], episodes.x[:, i, :2])
        np.testing.assert_allclose(lines["goal"][0], lines["end"][0], atol=0.5)
        # The straight way leads through an obstacle, where no safeguard prevents it.
        assert len(lines["collision"]) > 3
    assert all(not ax.get_lines() for ax in figure.axes[3:])


def test_the_seeker_has_maps_and_neither_phase_portrait_nor_viewer(env, episodes, tmp_path):
    assert save_episodes(tmp_path, env, episodes, "a run") == ["map.png", "episode.gif"]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["episode.gif", "map.png"]
