"""Gymnasium environments whose steps are recorded."""

import jax
import numpy as np

from ..safe_actions import onto_space
from ._steps import Steps, executed
from ._subject import Subject


class GymRunner:
    """Runs a Gymnasium environment from given states, under all its wrappers.

    Args:
        subject: A single environment with a bounded box of actions, onto which [-1, 1]^d is mapped;
            a system whose `state` gets the environment and returns x, shape (n,), and which makes
            requests safe; start, (env, x) -> anything, puts the environment into the state x.

    Raises:
        CertificateError: If the action space is another one, or so coarse that safe actions would
            be rounded to unsafe ones.
        ValueError: Without `start`.
    """

    own_disturbance = False

    def __init__(self, subject: Subject):
        if subject.start is None:
            raise ValueError(
                "A Gymnasium environment must be started at chosen states; give "
                "`start=`, a function (env.unwrapped, x) that puts it there."
            )
        system = subject.system
        self._env, self._system, self._set_state = subject.env.unwrapped, system, subject.start
        self._box, verified = onto_space(system, self._env.action_space)
        self._executed = jax.jit(lambda x, request: executed(verified, x, request))

    def run(self, x: np.ndarray, requests: np.ndarray, seed: int) -> Steps:
        """Steps from the states x, shape (N, n), under requests that are made safe, shape (T, N,
        d): arrays over T N steps.
        """
        self._env.reset(seed=seed)
        found = []
        for start, sequence in zip(x, requests.swapaxes(0, 1), strict=True):
            self._set_state(self._env, start)
            before = self._state()
            for request in sequence:
                unit = np.asarray(
                    self._executed(before.astype(np.float32), request.astype(np.float32))
                )
                action = self._box.physical(unit)
                self._env.step(action)
                after = self._state()
                found.append((before, self._box.unit(action), after))
                before = after
        return Steps(*(np.array(values) for values in zip(*found, strict=True)), drawn=None)

    def _state(self) -> np.ndarray:
        return np.asarray(self._system.state(self._env), np.float64)
