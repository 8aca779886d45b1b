"""Stable-Baselines3 on the vector environment, against its own `DummyVecEnv` of single ones.

All marked `agents`.
"""

import copy
import functools
import pickle

import gymnasium
import numpy as np
import pytest

import safe_wrappers as sw

pytestmark = pytest.mark.agents
NUM_ENVS, EPISODE = 3, 5
NAMES = ("Pendulum", "CartPole", "Quadrotor", "Seeker", "Arm", "Quadrotor3D")
IDS = tuple(f"SafeWrappers/{name}-v0" for name in NAMES)


def make(name="Pendulum", mode="SameStep", **options):
    options = {"max_episode_steps": EPISODE, **options}
    return gymnasium.make_vec(f"SafeWrappers/{name}-v0", NUM_ENVS, autoreset_mode=mode, **options)


def make_dummy(name="Pendulum", **options):
    from stable_baselines3.common.vec_env import DummyVecEnv

    return DummyVecEnv(
        [
            functools.partial(
                gymnasium.make, f"SafeWrappers/{name}-v0", max_episode_steps=EPISODE, **options
            )
        ]
        * NUM_ENVS
    )


def assert_same(found, expected, path=""):
    assert type(found) is type(expected), path
    if isinstance(expected, dict):
        assert found.keys() == expected.keys(), path
        for name in expected:
            assert_same(found[name], expected[name], f"{path}/{name}")
    elif isinstance(expected, list | tuple):
        for i, (a, b) in enumerate(zip(found, expected, strict=True)):
            assert_same(a, b, f"{path}/{i}")
    elif isinstance(expected, np.ndarray | np.generic):
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype), path
        np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-5, err_msg=path)
    else:
        assert found == expected, path


@pytest.mark.parametrize(
    "duplicate",
    [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))],
    ids=["copy", "pickle"],
)
def test_copies_go_on_from_the_same_state(duplicate):
    """Through the end of an episode, and a reset from the random stream."""
    env = sw.as_vec_env(make())
    env.seed(3)
    env.reset()
    action = np.full((NUM_ENVS, 1), 0.4, np.float32)
    env.step(action)
    twin = duplicate(env)
    for _ in range(EPISODE):
        assert_same(twin.step(action), env.step(action))
    assert_same(twin.reset(), env.reset())


@pytest.mark.parametrize("id", IDS)
def test_stable_baselines_checker_has_no_complaints(id):
    """Any warning is an error in this suite."""
    from stable_baselines3.common.env_checker import check_env

    check_env(gymnasium.make(id))


@pytest.mark.parametrize("name", ["Pendulum", "Seeker"])
def test_it_does_what_a_dummy_vec_env_does(name):
    """Step by step over several episodes that end at different times, infos and random streams
    included.
    """
    compiled, dummy = sw.as_vec_env(make(name)), make_dummy(name)
    assert (compiled.num_envs, compiled.observation_space, compiled.action_space) == (
        dummy.num_envs,
        dummy.observation_space,
        dummy.action_space,
    )
    for env in (compiled, dummy):
        env.seed(7)
    assert_same(compiled.reset(), dummy.reset())
    assert_same(compiled.reset_infos, dummy.reset_infos)
    ends = 0
    for t, actions in enumerate(
        np.random.default_rng(0)
        .uniform(-1, 1, (3 * EPISODE + 2, NUM_ENVS, *dummy.action_space.shape))
        .astype(np.float32)
    ):
        if t == 2 * EPISODE + 1:
            assert_same(compiled.reset(), dummy.reset())
        found, expected = compiled.step(actions), dummy.step(actions)
        assert_same(found, expected)
        assert_same(compiled.reset_infos, dummy.reset_infos)
        ends += expected[2].sum()
    assert ends >= 2 * NUM_ENVS


def test_chosen_starts_and_attributes():
    compiled, dummy = (
        sw.as_vec_env(make(safe_set="narrow", render_mode="rgb_array")),
        make_dummy(safe_set="narrow", render_mode="rgb_array"),
    )
    x = np.float32([[0.1, 0.0], [0.2, -0.1], [0.0, 0.3]])
    for env in (compiled, dummy):
        env.set_options([{"x": row} for row in x])
        env.reset()
        np.testing.assert_array_equal([info["state"] for info in env.reset_infos], x)
    np.testing.assert_array_equal(compiled.render(), dummy.render())
    assert compiled.render_mode == "rgb_array"
    assert compiled.get_attr("observation_space", [0, 2]) == [dummy.observation_space] * 2
    assert compiled.env_is_wrapped(gymnasium.wrappers.TimeLimit) == [False] * NUM_ENVS
    with pytest.raises(NotImplementedError, match="`disturbance` cannot be set"):
        compiled.set_attr("disturbance", "none")
    with pytest.raises(NotImplementedError, match="`render` cannot be called on each"):
        compiled.env_method("render")
    compiled.set_options([{"x": x[0]}, {}, {}])
    with pytest.raises(
        ValueError,
        match='must give a state "x" to all environments or to none, but environment 1 has none',
    ):
        compiled.reset()


def test_other_vector_environments():
    """Gymnasium's own, of environments that end at different times and say different things."""

    class Countdown(gymnasium.Env):
        observation_space = gymnasium.spaces.Box(0, 9, (1,), np.float32)
        action_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)
        render_mode = None

        def __init__(self, start):
            self.start = start

        def reset(self, *, seed=None, options=None):
            self.left = self.start
            return np.full(1, self.left, np.float32), {}

        def step(self, action):
            self.left -= 1
            info = (
                {"odd": np.float32(self.left)}
                if self.left % 2
                else {"even": {"left": np.float32(self.left)}}
            )
            return np.full(1, self.left, np.float32), 1.0, self.left == 0, False, info

    from stable_baselines3.common.vec_env import DummyVecEnv

    starts = [functools.partial(Countdown, start) for start in (2, 3, 5)]
    compiled, dummy = (
        sw.as_vec_env(gymnasium.vector.SyncVectorEnv(starts, autoreset_mode="SameStep")),
        DummyVecEnv(starts),
    )
    assert_same(compiled.reset(), dummy.reset())
    for _ in range(7):
        assert_same(
            compiled.step(np.zeros((3, 1), np.float32)), dummy.step(np.zeros((3, 1), np.float32))
        )


def test_misuse_is_refused():
    with pytest.raises(
        ValueError,
        match=r'is in mode AutoresetMode\.NEXT_STEP; make it with `autoreset_mode="SameStep"`',
    ):
        sw.as_vec_env(make(mode="NextStep"))
    with pytest.raises(ValueError, match="takes NumPy arrays, but `env` gives those of jax"):
        sw.as_vec_env(make(array="jax"))
    with pytest.raises(TypeError, match="takes single ones as they are"):
        sw.as_vec_env(gymnasium.make(IDS[0]))
