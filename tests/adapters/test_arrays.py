"""Environments that speak JAX or torch do what those that speak NumPy do.

The tests with torch are marked `agents`.
"""

import builtins
import importlib
import sys

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

import safe_wrappers as sw

NUM_ENVS, EPISODE = 3, 4
KINDS = ["jax", pytest.param("torch", marks=pytest.mark.agents)]


def namespace(kind):
    return jnp if kind == "jax" else importlib.import_module(kind)


def array_type(kind):
    return jax.Array if kind == "jax" else namespace(kind).Tensor


def make(kind, mode=AutoresetMode.SAME_STEP, **options):
    options = {"safe_set": "narrow", "max_episode_steps": EPISODE, **options}
    return gymnasium.make_vec(
        "SafeWrappers/Pendulum-v0", NUM_ENVS, autoreset_mode=mode, array=kind, **options
    )


def assert_same(found, expected, kind, path=""):
    """Arrays of the kind, with the values of the NumPy arrays and, up to rewards, their dtypes."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys(), path
        for name in expected:
            assert_same(found[name], expected[name], kind, f"{path}/{name}")
        return
    assert isinstance(found, array_type(kind)), path
    found, expected = np.asarray(found), np.asarray(expected)
    if expected.dtype == object:  # final observations
        assert [row is None for row in expected] == [not np.any(row) for row in found]
        expected = np.stack([np.zeros_like(found[0]) if row is None else row for row in expected])
    assert found.dtype == (np.float32 if expected.dtype == np.float64 else expected.dtype), path
    np.testing.assert_array_equal(found, expected.astype(found.dtype), err_msg=path)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.DISABLED])
def test_a_vector_environment_does_the_same_with_every_kind_of_array(kind, mode):
    """Over the ends of episodes and masked resets."""
    xp, plain, other = namespace(kind), make("numpy", mode), make(kind, mode)
    assert_same(dict(enumerate(other.reset(seed=3))), dict(enumerate(plain.reset(seed=3))), kind)
    ends = 0
    for t, actions in enumerate(
        np.random.default_rng(0).uniform(-1.5, 1.5, (3 * EPISODE, NUM_ENVS, 1)).astype(np.float32)
    ):
        if t == 2:
            mask = np.array([False, True, False])
            results = [
                env.reset(options={"reset_mask": m})
                for env, m in ((other, xp.asarray(mask)), (plain, mask))
            ]
            assert_same(*(dict(enumerate(result)) for result in results), kind)
        found, expected = other.step(xp.asarray(actions)), plain.step(actions)
        assert_same(dict(enumerate(found)), dict(enumerate(expected)), kind)
        ended = expected[3]
        ends += ended.sum()
        if mode is AutoresetMode.DISABLED and ended.any():
            results = [
                env.reset(options={"reset_mask": m})
                for env, m in ((other, found[3]), (plain, ended.copy()))
            ]
            assert_same(*(dict(enumerate(result)) for result in results), kind)
    assert ends >= 6


@pytest.mark.parametrize("kind", KINDS)
def test_a_single_environment_does_the_same_with_every_kind_of_array(kind):
    plain, other = (
        gymnasium.make("SafeWrappers/Pendulum-v0", safe_set="narrow", array=array)
        for array in ("numpy", kind)
    )
    assert_same(dict(enumerate(other.reset(seed=3))), dict(enumerate(plain.reset(seed=3))), kind)
    for action in np.float32([[0.9], [-1.0]]):
        found, expected = other.step(namespace(kind).asarray(action)), plain.step(action)
        assert found[1:4] == expected[1:4]
        assert list(map(type, found[1:4])) == [float, bool, bool]
        assert_same({0: found[0], 4: found[4]}, {0: expected[0], 4: expected[4]}, kind)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("action", ["nan", "huge", "int", "numpy"])
def test_any_action_of_the_right_shape_gets_a_safe_action(kind, action):
    xp = namespace(kind)
    values = {
        "nan": [[np.nan]] * 3,
        "huge": [[3e38]] * 3,
        "int": [[2], [-1], [0]],
        "numpy": np.ones((3, 1)),
    }[action]
    env = make(kind, disturbance="worst_case")
    env.reset(seed=0)
    info = env.step(values if action == "numpy" else xp.asarray(values))[-1]["safeguard"]
    assert all(info["inside"])
    assert (abs(info["action"]) <= 1).all()
    if action == "nan":
        assert all(info["fallback"])
    with pytest.raises(sw.SetDimensionError, match=r"must have shape \(3, 1\), but its shape is"):
        env.step(xp.zeros((3,)))


def test_unknown_kinds_are_refused():
    for make_env in (gymnasium.make, gymnasium.make_vec):
        with pytest.raises(
            ValueError,
            match=r"`array` is 'tensorflow', but it must be one of 'numpy', 'jax', 'torch'",
        ):
            make_env("SafeWrappers/Pendulum-v0", array="tensorflow")


def test_a_missing_dependency_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setitem(sys.modules, "stable_baselines3.common.vec_env", None)
    with pytest.raises(
        sw.MissingDependencyError,
        match=r'`torch` must be installed for this.*pip install "safe-wrappers\[agents\]"',
    ):
        make("torch")
    with pytest.raises(ImportError, match="`stable_baselines3` must be installed"):
        sw.as_vec_env(make("numpy"))


def test_torch_is_imported_only_for_those_who_ask(monkeypatch):
    """Neither the package nor environments that speak NumPy or JAX need it."""
    imported = builtins.__import__

    def refuse(name, *args, **kwargs):
        assert name.partition(".")[0] not in ("torch", "stable_baselines3")
        return imported(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    for kind in ("numpy", "jax"):
        env = make(kind)
        env.reset(seed=0)
        env.step(np.zeros((NUM_ENVS, 1)))


@pytest.mark.agents
def test_tensors_are_the_users_and_actions_are_not_kept():
    import torch

    env = make("torch")
    mask = torch.tensor([True, False, False])
    action = torch.zeros((NUM_ENVS, 1))
    for call in (lambda: env.reset(seed=0), lambda: env.step(action)):
        result = call()
        kept = result[0].clone()
        action.fill_(torch.nan)
        for tensor in [result[0], *jax.tree.leaves(result[-1])]:
            tensor.zero_()
        action.zero_()
        torch.testing.assert_close(
            env.reset(options={"reset_mask": mask})[0][1:], kept[1:], rtol=0, atol=0
        )


@pytest.mark.agents
def test_actions_of_a_torch_policy_need_no_preparation():
    """With a gradient, of another precision, and not contiguous; also where the environment speaks
    NumPy.
    """
    import torch

    weights = torch.full((1, NUM_ENVS), 0.25, dtype=torch.float64, requires_grad=True)
    for kind in ("torch", "numpy"):
        env = make(kind)
        env.reset(seed=0, options={"x": [0.0, 0.0]})
        observation, *_, info = env.step((weights * 2).T)
        np.testing.assert_array_equal(
            info["safeguard"]["action"], np.full((NUM_ENVS, 1), 0.5, np.float32)
        )
    assert not getattr(observation, "requires_grad", False)


@pytest.mark.agents
def test_the_gymnasium_wrapper_takes_tensors_too():
    import torch
    from pendulum_v1 import set_state, system

    env = sw.GymSafeguardWrapper(
        gymnasium.make("Pendulum-v1"), sw.BoundaryProjection(), system=system(), set_state=set_state
    )
    env.reset(seed=0)
    set_state(env.unwrapped, [0.0, 0.0])
    guard = env.step(torch.tensor([0.123456]))[-1]["safeguard"]
    np.testing.assert_array_equal(guard["action"], np.float32([0.123456]))
