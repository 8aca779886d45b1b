"""Gymnasium environments whose steps are recorded."""

from collections.abc import Callable
from typing import Any

import gymnasium
import jax
import numpy as np

from .._action_box import ActionBox
from ..safe_actions import System
from ._steps import Steps, executed

SetState = Callable[[Any, np.ndarray], Any]


class GymRunner:
    """Runs a Gymnasium environment from given states, under all its wrappers.

    Args:
        env: A single environment with a bounded box of actions, onto which [-1, 1]^d is mapped.
        system: Its `state` gets the environment and returns x, shape (n,); makes requests safe.
        start: (env, x) -> anything: puts the environment into the state x.

    Raises:
        CertificateError: If the action space is another one.
        ValueError: Without `start`.
    """

    own_disturbance = False

    def __init__(self, env: gymnasium.Env[Any, Any], system: System, start: SetState | None):
        if start is None:
            raise ValueError("A Gymnasium environment must be started at chosen states; give `start=`, a function (env.unwrapped, x) that puts it there.")
        self._env, self._system, self._set_state = env.unwrapped, system, start
        self._box = ActionBox(self._env.action_space, system.action_size)
        self._executed = jax.jit(lambda x, request: executed(system, x, request))

    def run(self, x: np.ndarray, requests: np.ndarray, seed: int) -> Steps:
        """Steps from the states x, shape (N, n), under requests that are made safe, shape (T, N, d): arrays over T N steps."""
        self._env.reset(seed=seed)
        found = []
        for start, sequence in zip(x, requests.swapaxes(0, 1), strict=True):
            self._set_state(self._env, start)
            before = self._state()
            for request in sequence:
                unit = np.asarray(self._executed(before.astype(np.float32), request.astype(np.float32)))
                action = self._box.physical(unit)
                self._env.step(action)
                after = self._state()
                found.append((before, self._box.unit(action), after))
                before = after
        return Steps(*(np.array(values) for values in zip(*found, strict=True)), drawn=None)

    def _state(self) -> np.ndarray:
        return np.asarray(self._system.state(self._env), np.float64)
