"""Whether an executed action is safe, decided in float64 from equations written for the tests."""

from collections.abc import Callable
from typing import Any

import numpy as np
from hostile.tally import FLAGGED, RIGHT, UNSAFE, WRONG
from hostile.values import numbers
from plants import pendulum, quadrotor

import safe_wrappers as sw

PLANTS: dict[str, Callable[..., np.ndarray]] = {
    "safe_pendulum": pendulum,
    "safe_quadrotor": quadrotor,
}


class Oracle:
    """S, W and the plant of a bundled system, all in float64."""

    def __init__(self, name: str):
        self.system: Any = sw.envs.get_environment(name).system
        self.plant = PLANTS[name]
        H, h = self.system.safe_state_set.halfspaces()
        self.H = np.asarray(H, np.float64)
        self.h = np.asarray(h, np.float64)
        self.W = np.asarray(self.system.disturbance_set.vertices(), np.float64)
        self.d = self.system.action_size
        normal = self.H[0] / np.linalg.norm(self.H[0])
        # A state on the boundary of S, where about half of all requests are unsafe.
        self.edge = normal / np.max(self.H @ normal)

    def inside(self, x: np.ndarray) -> bool:
        """Whether x is in S; not if it is not finite."""
        return bool(np.isfinite(x).all() and np.min(self.h - self.H @ x) >= 0)

    def margin(self, x: np.ndarray, action: np.ndarray) -> float:
        """The least margin of the next state over the vertices of W."""
        x, action = np.asarray(x, np.float64), np.asarray(action, np.float64)
        return min(float(np.min(self.h - self.H @ self.plant(x, action, w))) for w in self.W)

    def of_action(self, x: np.ndarray, executed: np.ndarray) -> str | None:
        """Why an executed action is unsafe at a state of S, or None."""
        executed = np.asarray(executed, np.float64)
        if not np.isfinite(executed).all() or np.abs(executed).max() > 1:
            return f"executed {executed}"
        if self.inside(np.asarray(x, np.float64)) and self.margin(x, executed) < 0:
            return f"at {x} executed {executed} with margin {self.margin(x, executed):.1e}"
        return None

    def of_output(self, x: Any, output: sw.SafeguardOutput, request: Any) -> tuple[str, str]:
        """The outcome of `safe_action`: safe, and its flags tell the truth."""
        state = numbers(x)
        assert state is not None
        unsafe = self.of_action(state, np.asarray(output.action))
        if unsafe:
            return UNSAFE, unsafe
        # The state as float32, in which margins are computed, may be at the other side of S.
        near = np.isfinite(state).all() and abs(np.min(self.h - self.H @ state)) < 1e-6
        if bool(output.inside) != self.inside(state) and not near:
            return WRONG, f"inside is {bool(output.inside)} at {state}"
        if not self.inside(state):
            return (FLAGGED, "") if not output.inside or near else (WRONG, "outside, not flagged")
        if not output.feasible:
            return WRONG, f"no safe action at {state}"
        found = numbers(request)
        assert found is not None
        asked = np.atleast_1d(found)
        admissible = np.isfinite(asked).all() and np.abs(asked.astype(np.float32)).max() <= 1
        if not output.intervened and not (admissible and self.margin(state, asked) >= -1e-6):
            return WRONG, f"the unsafe request {asked} is not reported"
        return RIGHT, ""
