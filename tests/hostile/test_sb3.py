"""`as_vec_env`: every value for the actions, the options and the environment."""

import functools

import gymnasium
import numpy as np
import pytest
from hostile.oracle import Oracle
from hostile.tally import RIGHT, UNSAFE, Case, check, right
from hostile.values import actions, few

import safe_wrappers as sw

pytestmark = pytest.mark.agents

PENDULUM = "SafeWrappers/Pendulum-v0"
NUM = 3


@pytest.fixture(scope="module")
def env():
    return sw.as_vec_env(gymnasium.make_vec(PENDULUM, num_envs=NUM, autoreset_mode="SameStep"))


def test_actions(env):
    oracle = Oracle("safe_pendulum")
    x = (oracle.edge * (1 - 1e-5)).astype(np.float32)

    def run(value):
        env.set_options({"x": x})
        env.reset()
        tiled = np.tile(value, (NUM, 1)) if np.shape(value) == (1,) else value
        return env.step(tiled)[-1]

    def judge(infos):
        for info in infos:
            unsafe = oracle.of_action(x, info["safeguard"]["action"])
            if unsafe or info["safeguard"]["inside"] != 1:
                return UNSAFE, f"{unsafe}"
        return RIGHT, ""

    cases = [
        Case(name, functools.partial(run, value), judge if taken else None, "action")
        for name, (value, taken) in few(actions(1)).items()
        if name not in ("masked", "tensor with a gradient")  # which `np.tile` does not keep
    ]
    check(cases, 24)


def test_options(env):
    def reset(options):
        env.set_options(options)
        return env.reset()

    refused = [{"y": 1}, {"x": np.full(2, np.nan)}, {"x": np.zeros(3)}, {"x": "ab"}, {"X": [0, 0]}]
    cases = [Case(f"{o}", functools.partial(reset, o), None, "options") for o in refused]
    cases += [Case(f"{o}", functools.partial(reset, o), right) for o in ({}, {"x": [0.0, 0.0]})]
    check(cases, 7)


def test_environments():
    def made(**options):
        return gymnasium.make_vec(PENDULUM, num_envs=2, **options)

    single = gymnasium.make(PENDULUM)
    in_jax = made(autoreset_mode="SameStep", array="jax")
    cases = [
        Case("None", lambda: sw.as_vec_env(None), None, "`env`"),
        Case("single", lambda: sw.as_vec_env(single), None, "`env`"),
        Case("NextStep", lambda: sw.as_vec_env(made()), None, "`env`"),
        Case("JAX", lambda: sw.as_vec_env(in_jax), None, "`env`"),
    ]
    check(cases, 4)
