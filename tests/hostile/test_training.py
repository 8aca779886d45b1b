"""`shac.train`: every value for every argument, refused before anything is compiled."""

import functools
import importlib

import numpy as np
import pytest
from hostile.tally import CLEAR, Case, check

import safe_wrappers as sw
from safe_wrappers.algos import shac

NAN, INF = float("nan"), float("inf")
COUNTS = {
    "0": 0,
    "-1": -1,
    "NaN": NAN,
    "inf": INF,
    "1.5": 1.5,
    "text": "4",
    "True": True,
    "10^30": 10**30,
    "list": [4],
    "array": np.ones(2, int),
}
RATES = {
    "NaN": NAN,
    "inf": INF,
    "-1": -1.0,
    "text": "1e-3",
    "None": None,
    "array": np.ones(2),
    "1e40": 1e40,
}
ARGUMENTS = {
    **dict.fromkeys(("num_timesteps", "episode_length", "num_envs", "horizon_length"), COUNTS),
    **dict.fromkeys(("train_episode_length", "num_critic_updates", "num_evals"), COUNTS),
    **dict.fromkeys(
        ("learning_rate", "critic_learning_rate", "max_gradient_norm"), RATES | {"0": 0}
    ),
    **dict.fromkeys(("discounting", "td_lambda", "tau"), RATES | {"2": 2.0}),
    "final_learning_rate_fraction": RATES | {"2": 2.0},
    "final_regularisation_fraction": RATES | {"2": 2.0},
    "reward_scaling": RATES | {"0": 0.0},
    "regularisation": {name: rate for name, rate in RATES.items() if name != "None"},
    "adam_b": {
        "ones": (1.0, 1.0),
        "twos": (2.0, 2.0),
        "number": 0.9,
        "one": (0.9,),
        "NaN": (0.9, NAN),
        "texts": ("a", "b"),
    },
    "seed": {
        "-1": -1,
        "2^40": 2**40,
        "1.5": 1.5,
        "text": "a",
        "True": True,
        "None": None,
        "list": [0],
    },
    "normalize_observations": {"1": 1, "text": "yes", "None": None},
    "run_evals": {"1": 1, "text": "no"},
    "network_factory": {"None": None, "3": 3},
    "progress_fn": {"None": None, "text": "print"},
    "save_checkpoint_path": {"5": 5, "below a file": __file__ + "/x"},
    "restore_checkpoint_path": {"missing": "/nowhere/at/all", "a file": __file__, "3": 3},
    "environment": {"None": None, "text": "safe_pendulum", "class": sw.SafeguardWrapper},
    "eval_env": {"text": "safe_pendulum", "3": 3},
}


def test_arguments(monkeypatch):
    def compiled(*args, **kwargs):
        raise AssertionError("The argument was accepted.")

    monkeypatch.setattr(
        importlib.import_module("safe_wrappers.algos.shac.plan"), "Learner", compiled
    )
    env = sw.SafeguardWrapper(sw.envs.get_environment("safe_pendulum"), sw.BoundaryProjection())
    ordinary = {
        "environment": env,
        "num_timesteps": 128,
        "episode_length": 16,
        "num_envs": 4,
        "horizon_length": 4,
        "run_evals": False,
    }
    cases = [
        Case(
            f"{argument} {name}",
            functools.partial(shac.train, **{**ordinary, argument: value}),
            None,
            f"`{argument}",
        )
        for argument, values in ARGUMENTS.items()
        for name, value in values.items()
    ]
    assert check(cases, 180) == {CLEAR: 180}
    with pytest.raises(AssertionError, match="accepted"):
        shac.train(**ordinary)
