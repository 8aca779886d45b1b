"""Infos without dictionaries inside, for agents that take no others."""

import gymnasium
import numpy as np
import pytest

import safe_wrappers as sw
from safe_wrappers._flat_info import flattened


def test_entries_of_dictionaries_take_their_place():
    info = {"a": 1, "b": {"c": 2, "d": {"e": 3}}}
    assert flattened(info, True) == {"a": 1, "b/c": 2, "b/d/e": 3}
    assert flattened(info, False) is info


def test_single_environments():
    env = gymnasium.make("SafeWrappers/Pendulum-v0", safe_set="narrow", flat_info=True)
    nested = gymnasium.make("SafeWrappers/Pendulum-v0", safe_set="narrow")
    for made in (env, nested):
        made.reset(seed=0)
    action = np.array([0.9], np.float32)
    flat, whole = env.step(action)[4], nested.step(action)[4]
    assert not any(isinstance(value, dict) for value in flat.values())
    assert flat["safeguard/action"] == whole["safeguard"]["action"]
    assert flat.keys() == flattened(whole, True).keys()


def test_vector_environments_have_a_mask_beside_each_entry():
    env = gymnasium.make_vec("SafeWrappers/Pendulum-v0", num_envs=3, flat_info=True)
    _, info = env.reset(seed=0)
    assert info["safeguard/inside"].tolist() == [1, 1, 1]
    assert info["_safeguard/inside"].tolist() == [True] * 3
    assert not any(isinstance(value, dict) for value in info.values())


def test_it_is_yes_or_no():
    with pytest.raises(TypeError, match="`flat_info` is 'yes', but it must be True or False"):
        sw.GymEnv(sw.envs.SafePendulum(), flat_info="yes")
