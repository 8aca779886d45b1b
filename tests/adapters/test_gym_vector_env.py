import functools
import json

import gymnasium
import jax
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from helpers import facets, margins
from params import slow
from third_party import IntegratorSystem, Outside

import safe_wrappers as sw
from safe_wrappers.envs import SafePendulum

NUM_ENVS, EPISODE = 3, 7


def make(mode=AutoresetMode.NEXT_STEP, num_envs=NUM_ENVS, name="Pendulum", **options):
    return gymnasium.make_vec(
        f"SafeWrappers/{name}-v0",
        num_envs,
        autoreset_mode=mode,
        max_episode_steps=EPISODE,
        **options,
    )


def make_sync(mode, name="Pendulum", **options):
    single = functools.partial(
        gymnasium.make, f"SafeWrappers/{name}-v0", max_episode_steps=EPISODE, **options
    )
    return gymnasium.vector.SyncVectorEnv([single] * NUM_ENVS, autoreset_mode=mode)


def assert_same(found, expected, path=""):
    """Equal structure, types, shapes and dtypes, integers and flags; numbers to the rounding of
    float32.
    """
    assert type(found) is type(expected), path
    if isinstance(expected, dict):
        assert found.keys() == expected.keys(), path
        for name in expected:
            assert_same(found[name], expected[name], f"{path}/{name}")
    elif isinstance(expected, tuple) or (expected is not None and expected.dtype == object):
        for i, (a, b) in enumerate(zip(found, expected, strict=True)):
            assert_same(a, b, f"{path}/{i}")
    elif expected is not None:
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype), path
        if expected.dtype.kind == "f":
            np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-5, err_msg=path)
        else:
            np.testing.assert_array_equal(found, expected, err_msg=path)


def requests(steps, num_envs=NUM_ENVS, seed=0, d=1):
    return np.random.default_rng(seed).uniform(-1.5, 1.5, (steps, num_envs, d)).astype(np.float32)


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_it_does_what_a_sync_vector_env_does(mode):
    """Over several episodes, through masked resets that leave the environments out of step, and a
    second seeding.
    """
    vector, sync = make(mode), make_sync(mode)
    assert vector.metadata["autoreset_mode"] is mode
    for space in (
        "observation_space",
        "action_space",
        "single_observation_space",
        "single_action_space",
    ):
        assert getattr(vector, space) == getattr(sync, space)
    assert_same(vector.reset(seed=11), sync.reset(seed=11))
    ends = 0
    for t, actions in enumerate(requests(4 * EPISODE)):
        if t in (3, 5):
            options = {"reset_mask": np.array([t == 3, t == 5, False])}
            assert_same(vector.reset(options=dict(options)), sync.reset(options=dict(options)))
        if t == 3 * EPISODE:
            assert_same(vector.reset(seed=[5, None, 7]), sync.reset(seed=[5, None, 7]))
        found, expected = vector.step(actions), sync.step(actions)
        assert_same(found, expected)
        ended = expected[3]
        ends += ended.sum()
        if mode is AutoresetMode.DISABLED and ended.any():
            assert_same(
                vector.reset(options={"reset_mask": ended.copy()}),
                sync.reset(options={"reset_mask": ended.copy()}),
            )
    assert ends >= 6
    assert vector.np_random_seed == sync.np_random_seed
    for mine, theirs in zip(vector.np_random, sync.np_random, strict=True):
        assert mine.bit_generator.state == theirs.bit_generator.state


@pytest.mark.parametrize(
    ("name", "d"), [("CartPole", 1), ("Seeker", 2), *slow(("Quadrotor", 2), ("Arm", 2))]
)
def test_the_other_systems_do_what_a_sync_vector_env_does(name, d):
    """Through an episode's end; the seeker's goals and layouts are drawn as there."""
    vector, sync = (
        make(AutoresetMode.SAME_STEP, name=name),
        make_sync(AutoresetMode.SAME_STEP, name=name),
    )
    assert_same(vector.reset(seed=2), sync.reset(seed=2))
    ends = 0
    for actions in requests(EPISODE + 2, d=d):
        found, expected = vector.step(actions), sync.step(actions)
        assert_same(found, expected)
        ends += expected[3].sum()
    assert ends == NUM_ENVS


def test_no_environment_ever_leaves_the_safe_set():
    """51,200 worst-case steps on the pendulum, counted in float64; without the safeguard most
    states are outside.
    """
    H = facets(SafePendulum(safe_set="narrow"))
    actions = np.sign(requests(200, 256))

    def states(safeguard):
        env = gymnasium.make_vec(
            "SafeWrappers/Pendulum-v0",
            256,
            safe_set="narrow",
            disturbance="worst_case",
            safeguard=safeguard,
        )
        _, info = env.reset(seed=0)
        return np.stack([info["state"]] + [env.step(a)[-1]["state"] for a in actions])

    assert (margins(H, states("boundary_projection")) >= 0).all()
    assert (margins(H, states(None))[20:] < 0).mean() > 0.9


@pytest.mark.parametrize(("bad", "fallback"), [(np.nan, 1), (np.inf, 1), (1e300, 1), (-7.0, 0)])
def test_any_request_of_the_right_shape_gets_a_safe_action_and_a_flag(bad, fallback):
    env = make(safe_set="narrow")
    env.reset(seed=0, options={"x": [0.0, 0.0]})
    _, _, _, _, info = env.step([[bad], [0.0], [bad]])
    guard = info["safeguard"]
    np.testing.assert_array_equal(guard["intervened"], [1, 0, 1])
    np.testing.assert_array_equal(guard["fallback"], [fallback, 0, fallback])
    assert (np.abs(guard["action"]) <= 1).all()
    assert guard["inside"].all()


@pytest.mark.parametrize(
    "actions",
    [
        np.zeros((NUM_ENVS,)),
        np.zeros((NUM_ENVS, 2)),
        np.zeros((1, 1)),
        np.zeros((NUM_ENVS + 1, 1)),
        0.0,
    ],
)
def test_actions_of_another_shape_are_refused_before_anything_happens(actions):
    env = make()
    before = env.reset(seed=0)[0].copy()
    with pytest.raises(sw.SetDimensionError, match=r"must have shape \(3, 1\), but its shape is"):
        env.step(actions)
    np.testing.assert_array_equal(env._seen[0], before)


def test_chosen_starts():
    env = make(safe_set="narrow")
    x = np.array([[0.1, 0.0], [0.2, -0.1], [0.0, 0.3]], np.float32)
    np.testing.assert_array_equal(env.reset(options={"x": x})[1]["state"], x)
    np.testing.assert_array_equal(env.reset(options={"x": x[1]})[1]["state"], np.tile(x[1], (3, 1)))
    options = {"x": x[::-1], "reset_mask": np.array([True, False, False])}
    _, info = env.reset(options=options)
    np.testing.assert_array_equal(info["state"], [x[2], [0, 0], [0, 0]])
    np.testing.assert_array_equal(env.step(np.zeros((3, 1)))[-1]["_state"], [True] * 3)
    with pytest.raises(
        ValueError,
        match=r"must lie in the safe set, where the guarantee holds, but \[3\.0, 0\.0\] does not",
    ):
        env.reset(options={"x": [[0, 0], [3.0, 0], [0, 0]]})
    with pytest.raises(sw.SetDimensionError, match=r"`options\['x'\]` must have shape \(3, 2\)"):
        env.reset(options={"x": np.zeros((2, 2))})


def test_seeds_may_be_an_array():
    one, other = (make().reset(seed=seeds)[0] for seeds in ([3, 4, 5], np.array([3, 4, 5])))
    np.testing.assert_array_equal(one, other)


def test_no_copy_may_start_outside_the_safe_set():
    env = sw.SafeguardWrapper(Outside(), sw.BoundaryProjection(), system=IntegratorSystem())
    with pytest.raises(
        sw.CertificateError,
        match=r"must start in the safe set, but 100 resets gave states like \[3\.0\]",
    ):
        sw.GymVectorEnv(env, 3).reset(seed=0)


def test_what_it_returns_is_the_users():
    env = make()
    mask = np.array([True, False, False])
    for call in (lambda: env.reset(seed=0), lambda: env.step(np.zeros((NUM_ENVS, 1)))):
        result = call()
        observation, info = result[0], result[-1]
        kept = observation.copy()
        for array in [observation, *jax.tree.leaves(info)]:
            array[...] = 0
        np.testing.assert_array_equal(env.reset(options={"reset_mask": mask})[0][1:], kept[1:])


def test_misuse_is_refused():
    env = make(AutoresetMode.DISABLED)
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(np.zeros((3, 1)))
    with pytest.raises(ValueError, match="The first reset must be one of all environments"):
        env.reset(options={"reset_mask": np.array([True, False, False])})
    env.reset(seed=0)
    for mask in (np.zeros(3, bool), np.ones(2, bool), np.ones(3)):
        with pytest.raises(ValueError, match="must be 3 booleans, at least one of them true"):
            env.reset(options={"reset_mask": mask})
    with pytest.raises(ValueError, match="`seed` must be a number or 3 of them, but there are 2"):
        env.reset(seed=[1, 2])
    for _ in range(EPISODE):
        env.step(np.zeros((3, 1)))
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(np.zeros((3, 1)))
    with pytest.raises(ValueError, match="`num_envs` is 0, but it must be an integer"):
        make(num_envs=0)


def test_spec_and_rendering():
    env = make(
        "SameStep",
        render_mode="rgb_array",
        safeguard="ray_mask",
        safeguard_kwargs={"mapping": "linear"},
    )
    assert env.env.safeguard.mapping == "linear"
    assert json.loads(env.spec.to_json())["kwargs"]["safeguard"] == "ray_mask"
    env.reset(seed=0)
    frames = env.render()
    assert [frame.shape for frame in frames] == [(400, 400, 3)] * NUM_ENVS
    assert (frames[0] != frames[1]).any()
    assert make().render() is None
