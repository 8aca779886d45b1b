"""Which of Gymnasium's wrappers may be inside the safeguard: through them every action reaches the
environment once and unchanged.
"""

import gymnasium
import numpy as np
import pytest
from gymnasium import wrappers
from helpers import facets, margins
from pendulum_v1 import set_state, system

import safe_wrappers as sw


class Screen(wrappers.HumanRendering):
    """Without a screen."""

    def _render_frame(self):
        pass


class Video(wrappers.RecordVideo):
    """Without what writes videos."""

    def __init__(self, env):
        gymnasium.Wrapper.__init__(self, env)
        self.recorded_frames = []


def plant():
    """Pendulum-v1, which remembers the torques that it executed, and its rewards."""
    env = gymnasium.make("Pendulum-v1", render_mode="rgb_array", max_episode_steps=20)
    inside, env.unwrapped.executed = env.unwrapped, []
    step = inside.step

    def remembered(action):
        found = step(action)
        inside.executed.append((float(action[0]), float(found[1])))
        return found

    inside.step, inside.render = remembered, lambda: np.zeros((8, 8, 3), np.uint8)
    return env


INSIDE = {
    "RecordEpisodeStatistics": wrappers.RecordEpisodeStatistics,
    "NormalizeReward": wrappers.NormalizeReward,
    "RenderCollection": wrappers.RenderCollection,
    "HumanRendering": Screen,
    "NormalizeObservation": wrappers.NormalizeObservation,
    "RescaleReward": lambda env: wrappers.TransformReward(env, lambda reward: reward / 10),
}


def safeguarded(env):
    return sw.GymSafeguardWrapper(
        env, sw.BoundaryProjection(), system=system(), set_state=set_state
    )


@pytest.mark.parametrize("name", INSIDE)
def test_every_action_arrives_once_and_is_safe(name):
    env = safeguarded(INSIDE[name](plant()))
    H = facets(type("Env", (), {"system": env.system}))
    env.reset(seed=0)
    intervened = 0
    for t in range(1, 21):
        _, _, _, truncated, info = env.step(np.array([2.0], np.float32))
        executed = env.unwrapped.executed
        assert len(executed) == t
        assert executed[-1][0] == info["safeguard"]["action"][0]
        assert margins(H, env.unwrapped.state) >= 0
        intervened += info["safeguard"]["intervened"]
    assert truncated
    assert intervened > 10
    if name == "RecordEpisodeStatistics":
        assert info["episode"]["l"] == 20
        np.testing.assert_allclose(info["episode"]["r"], sum(r for _, r in executed), rtol=1e-5)
    if name == "RenderCollection":
        assert len(env.render()) == 21


def test_statistics_count_no_start_that_was_drawn_again():
    """Without `set_state` resets are repeated until one ends in the safe set."""
    env = sw.GymSafeguardWrapper(
        wrappers.RecordEpisodeStatistics(plant()), sw.BoundaryProjection(), system=system()
    )
    env.reset(seed=0, options={"x_init": 0.5, "y_init": 1.0})
    for _ in range(20):
        info = env.step(np.array([2.0], np.float32))[-1]
    assert info["episode"]["l"] == 20
    assert env.env.episode_count == 1


REFUSED = {
    "RescaleAction": lambda env: wrappers.RescaleAction(env, np.float32(-1), np.float32(1)),
    "ClipAction": wrappers.ClipAction,
    "StickyAction": lambda env: wrappers.StickyAction(env, repeat_action_probability=0.5),
    "Video": Video,
}


@pytest.mark.parametrize("name", REFUSED)
def test_others_are_refused_by_name(name):
    with pytest.raises(sw.WrapperOrderError, match=rf"Write `{name}\(GymSafeguardWrapper\(env"):
        safeguarded(REFUSED[name](gymnasium.make("Pendulum-v1", render_mode="rgb_array")))
