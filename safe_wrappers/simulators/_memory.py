"""Is x all that a step of an environment depends on?"""

import warnings
from typing import TYPE_CHECKING

import numpy as np

from .._errors import ModelError
from ._mujoco_model import Touching
from ._support import PAGE

if TYPE_CHECKING:
    from ._gym_plant import GymPlant

_EPISODES, _LENGTH, _HOLD = 8, 24, 4
_ROUNDING = 1e-6  # of the states' size, where nothing is remembered
_REFUSED = 1e-2  # of what a step changes


def require_memoryless(plant: "GymPlant") -> Touching:
    """Repeats the steps of short episodes from their states alone, in another order, and returns
    which of the states are in contact.

    Raises:
        ModelError: If the next states differ by more than 1 % of what a step changes.
    """
    x, action, after = _episodes(plant)
    order = np.random.default_rng(1).permutation(len(x))
    repeated, touching = plant.watched_steps(x[order], action[order])
    difference = np.abs(repeated - after[order]).max(axis=0)
    change = np.abs(after - x).max(axis=0)
    rounding = _ROUNDING * (np.abs(x).max(axis=0) + change)
    if np.any(difference > np.maximum(rounding, _REFUSED * change)):
        raise ModelError(_text(plant, difference, change) + f" {PAGE}")
    if np.any(difference > rounding):
        warnings.warn(
            _text(plant, difference, change) + " The difference is a disturbance: add it to that "
            f"of the surrogate, by `fit_surrogate(..., disturbance_set=...)`. {PAGE}",
            stacklevel=3,
        )
    return touching


def _episodes(plant: "GymPlant") -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Steps of episodes of the environment's own, half of them with actions that are held."""
    env, rng, found = plant.env.unwrapped, np.random.default_rng(0), []
    for episode in range(_EPISODES):
        env.reset(seed=episode)
        before = plant.state(env)
        actions = rng.uniform(-1, 1, (_LENGTH, plant.action_size))
        if episode % 2:
            actions = np.sign(actions[np.arange(_LENGTH) // _HOLD])
        for action in actions:
            after, ended = plant.advance(action)
            found.append((before, action, after))
            before = after
            if ended:
                break
    x, action, after = (np.array(part) for part in zip(*found, strict=True))
    return x, action, after


def _text(plant: "GymPlant", difference: np.ndarray, change: np.ndarray) -> str:
    return (
        f"The state must be all that a step depends on, but steps of {plant.name} from the same x "
        f"under the same action differ by up to {_numbers(difference)}, where a step changes x by "
        f"up to {_numbers(change)}. The environment remembers something beside x (an earlier "
        "action, a filter, a joint that `get_state` leaves out, MuJoCo's `qacc_warmstart`) or "
        "draws random numbers. Add what it remembers to `get_state` and `set_state`."
    )


def _numbers(values: np.ndarray) -> str:
    return f"({', '.join(f'{value:.2g}' for value in values)})"
