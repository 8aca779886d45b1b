import importlib
import inspect

import jax
import numpy as np
import pytest

import safe_wrappers as sw
from safe_wrappers.algos import shac
from safe_wrappers.algos.shac_arguments import ARGUMENTS

planner = importlib.import_module("safe_wrappers.algos.shac.plan")

NAN, INF = float("nan"), float("inf")
NO_NUMBERS = [None, "1", "", 1j, [1], {}, object(), True, np.array(["1"]), np.ma.array(1.0)]
NO_INTEGERS = [*NO_NUMBERS, NAN, INF, -INF, 1.5, 2.0]
OUTSIDE = [NAN, INF, -INF, -1.0, -1e-3, 1e300, 10**400]
NO_COUNTS = [*NO_INTEGERS, 0, -1, -(10**30), 10**30]
NO_LEARNING_RATES = [*NO_NUMBERS, *OUTSIDE, 0.0, 1e-45]
NO_SHARES = [*NO_NUMBERS, *OUTSIDE, 1.001, 2]
NO_FLAGS = [None, 0, 1, "yes", 1.0, np.ones(2, bool)]
NO_FUNCTIONS = [None, 5, "print"]
NO_ENVIRONMENTS = ["safe_pendulum", sw.SafeguardWrapper, 5, object()]
NO_SEEDS = [*NO_INTEGERS, -1, 2**32, 2**40, 10**30]


def without_none(values):
    return [value for value in values if value is not None]


BAD = {
    "environment": [None, *NO_ENVIRONMENTS],
    "num_timesteps": NO_COUNTS,
    "episode_length": [*NO_COUNTS, 2**24 + 1],
    "wrap_env": NO_FLAGS,
    "wrap_env_fn": NO_FUNCTIONS,
    "num_envs": NO_COUNTS,
    "horizon_length": NO_COUNTS,
    "train_episode_length": without_none(NO_COUNTS),
    "num_critic_updates": NO_COUNTS,
    "learning_rate": NO_LEARNING_RATES,
    "critic_learning_rate": NO_LEARNING_RATES,
    "final_learning_rate_fraction": NO_SHARES,
    "final_regularisation_fraction": NO_SHARES,
    "adam_b": [None, 0.9, (0.9,), (0.9, 0.9, 0.9), (1.0, 1.0), (2.0, 2.0), (NAN, 0.9), ("a", 0.9)],
    "max_gradient_norm": [*NO_NUMBERS, *OUTSIDE, 0.0],
    "discounting": NO_SHARES,
    "td_lambda": NO_SHARES,
    "tau": NO_SHARES,
    "reward_scaling": [*NO_NUMBERS, *OUTSIDE, 0.0],
    "regularisation": without_none([*NO_NUMBERS, *OUTSIDE]),
    "normalize_observations": NO_FLAGS,
    "normalize_rewards": NO_FLAGS,
    "network_factory": NO_FUNCTIONS,
    "seed": NO_SEEDS,
    "num_evals": NO_COUNTS,
    "run_evals": NO_FLAGS,
    "eval_env": NO_ENVIRONMENTS,
    "num_eval_envs": NO_COUNTS,
    "deterministic_eval": NO_FLAGS,
    "progress_fn": NO_FUNCTIONS,
    "policy_params_fn": NO_FUNCTIONS,
    "save_checkpoint_path": [5, b"run", "/dev/null/run", __file__],
    "keep": [-1, 1.5, None, "all"],
    "restore_checkpoint_path": [5, "/no/such/folder", __file__],
    "mesh": [8, "envs", [jax.devices()[0]]],
}
CASES = [(name, value) for name, values in BAD.items() for value in values]


def test_the_table_speaks_of_every_argument_and_of_nothing_else():
    assert list(ARGUMENTS) == list(inspect.signature(shac.train).parameters)
    assert set(BAD) == set(ARGUMENTS)
    assert len(CASES) > 300


@pytest.mark.parametrize(("name", "value"), CASES, ids=[f"{n}-{v!r:.20}" for n, v in CASES])
def test_nonsense_is_refused_by_name_before_anything_is_compiled(name, value, monkeypatch, line):
    def compile_nothing(*_, **__):
        raise AssertionError(f"{name}={value!r} was accepted.")

    monkeypatch.setattr(planner, "Learner", compile_nothing)
    given = {"environment": line, "num_timesteps": 8, "episode_length": 8, name: value}
    with pytest.raises((TypeError, ValueError, FileNotFoundError)) as error:
        shac.train(**given)
    message = str(error.value)
    assert message.startswith(f"`{name}")
    assert "but" in message
    assert "\n" not in message
    assert len(message) < 400


@pytest.mark.parametrize("name", ARGUMENTS)
def test_the_default_is_valid(name):
    default = inspect.signature(shac.train).parameters[name].default
    if default is not inspect.Parameter.empty:
        assert ARGUMENTS[name](name, default) == default


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("seed", [0, 2**32 - 1, np.int64(3), np.uint32(2**32 - 1)]),
        ("num_timesteps", [1, 10**12, np.int32(7)]),
        ("episode_length", [1, 2**24]),
        ("learning_rate", [1e-12, 1e3, np.float32(1e-3), 1]),
        ("discounting", [0, 1, 0.5]),
        ("adam_b", [(0.0, 0.999), [0.9, 0.99]]),
        ("train_episode_length", [None, 1]),
        ("regularisation", [None, 0.0]),
    ],
)
def test_the_ends_of_a_range_are_valid(name, values):
    for value in values:
        found = ARGUMENTS[name](name, value)
        assert found == (tuple(value) if isinstance(value, list) else value)


def test_numbers_of_numpy_and_jax_become_pythons():
    assert type(ARGUMENTS["learning_rate"]("learning_rate", jax.numpy.float32(0.5))) is float
    assert type(ARGUMENTS["num_envs"]("num_envs", np.int64(3))) is int


def test_more_updates_than_can_be_counted_are_refused(line):
    with pytest.raises(ValueError, match=r"`num_timesteps` is 1000000000000, but with 1 steps per"):
        shac.train(line, 10**12, 8, num_envs=1, horizon_length=1)
