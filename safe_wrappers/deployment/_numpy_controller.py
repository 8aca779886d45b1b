"""A safe controller in NumPy alone: a measured state goes in, a safe action comes out."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ._numpy_rows import (
    _deepest,
    _interval,
    _mask,
    _midpoint,
    _project,
    _pull_back,
    _safest,
    _unit_rows,
    _with_box,
)

# Machine precision of float32, in which the margins of the certificate are counted.
_EPS32 = float(np.finfo(np.float32).eps)


class Output(NamedTuple):
    """What the safeguard did to one request.

    Attributes:
        action: The safe action, shape (d,), in the units of the action box: the only one that may
            be executed.
        requested: The request after sanitising, shape (d,): clipped to the action box, or the
            anchor if it was not finite.
        intervened: Whether the request as it came was unsafe.
        changed: Whether the action differs from the request as it came.
        distance: |action - requested|, Euclidean, with the action box scaled to [-1, 1]^d: 2 is
            the whole range of one action.
        feasible: Whether a certified safe action was found. True for every state of the safe set.
        fallback: Whether the anchor was executed because nothing else passed the accept test.
        inside: Whether the state lies in the safe set. Outside nothing is promised, whatever the
            other flags say.
        clipped: Whether the request was finite, but outside the action box.
    """

    action: np.ndarray
    requested: np.ndarray
    intervened: bool
    changed: bool
    distance: float
    feasible: bool
    fallback: bool
    inside: bool
    clipped: bool


class Observation(NamedTuple):
    """How an observed state compares with the one before.

    Attributes:
        explained: Whether some disturbance in W explains it. True if there is nothing to compare
            it with: at the first observation, and at the first one after a lost one.
        excess: What the best disturbance in W leaves unexplained, in units of the rounding
            allowance: explained means at most 1. NaN without a comparison.
        disturbance: The disturbance that explains it best, shape (k,), perhaps outside W; empty
            without a comparison.
    """

    explained: bool
    excess: float
    disturbance: np.ndarray


class Program(NamedTuple):
    """The functions that are written for one system.

    Attributes:
        affine: x (n,) -> c (n,), B (n, d), E (n, k) of the model x' = c + B a + E w, with a in
            [-1, 1]^d.
        observe: (x (n,), task) -> observation, or None.
        policy: (observation, arrays) -> action in [-1, 1]^d, or None.
    """

    affine: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]
    observe: Callable[[np.ndarray, np.ndarray], np.ndarray] | None
    policy: Callable[[np.ndarray, Mapping[str, np.ndarray]], np.ndarray] | None


class Controller:
    """A policy behind a safeguard.

    All is computed in float64, from the float32 numbers of the certificate. Its allowance for
    rounding was made for float32, so float64 is covered by it.

    Args:
        arrays: The numbers, by name.
        program: The functions.
        safeguard: How an unsafe request becomes a safe action.

    Attributes:
        task: What the observation needs beside the state, by name, for example a goal. Assign to
            its items to change it.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], program: Program, safeguard: str) -> None:
        self._arrays, self._program, self._safeguard = arrays, program, safeguard
        # The safe set {x : H (x - center) <= room}.
        self._H, self._room, self._center = arrays["H"], arrays["room"], arrays["center"]
        self._middle, self._half = arrays["action_center"], arrays["action_half_width"]
        self.state_size, self.action_size = self._H.shape[1], len(self._half)
        # How far inside the rows the map aims; the accept test asks for a quarter of it.
        self._tau = (4 * self.action_size + 12) * _EPS32
        prefix = "task_"
        self.task = {
            name[len(prefix) :]: array for name, array in arrays.items() if name.startswith(prefix)
        }

    def __call__(self, x: Any) -> Output:
        """The policy's action at the state x, shape (n,), made safe.

        Raises:
            ValueError: If x has another shape or is not made of real numbers.
            RuntimeError: If the controller was exported without a policy.
        """
        if self._program.observe is None or self._program.policy is None:
            raise RuntimeError(
                "This controller has no policy; call `safe_action(x, request)` with your own "
                "request."
            )
        state = _vector("x", x, self.state_size)
        with np.errstate(all="ignore"):
            task = [np.ravel(self.task[name]) for name in sorted(self.task)]
            given = np.concatenate([np.zeros(0), *task]).astype(np.float64)
            observation = self._program.observe(state, given)
            unit = self._program.policy(observation, self._arrays)
            return self._protected(state, self._middle + self._half * unit)

    def safe_action(self, x: Any, request: Any) -> Output:
        """The request, made safe at the state x.

        Args:
            x: State, shape (n,). If a component is not finite, no action is known to be safe: the
                middle of the action box is executed and flagged.
            request: Any action, shape (d,), in the units of the action box; NaN, infinite and
                oversized ones are handled and flagged.

        Raises:
            ValueError: If one of them has another shape or is not made of real numbers.
        """
        state = _vector("x", x, self.state_size)
        action = _vector("request", request, self.action_size)
        with np.errstate(all="ignore"):
            return self._protected(state, action)

    def margin(self, x: Any) -> float:
        """How far x lies inside the safe set: 1 at its centre, 0 on its boundary, negative
        outside.
        """
        state = _vector("x", x, self.state_size)
        return float(np.min(self._room - self._H @ (state - self._center)))

    def explain(self, x: Any, action: Any, next_x: Any) -> Observation:
        """Compares a step that was taken with the model: is next_x in f(x, action, W), up to the
        allowance for rounding?

        Raises:
            ValueError: If an argument has another shape or is not made of real numbers.
        """
        before = _vector("x", x, self.state_size)
        given = _vector("action", action, self.action_size)
        after = _vector("next_x", next_x, self.state_size)
        low, high = self._arrays["w_low"], self._arrays["w_high"]
        with np.errstate(all="ignore"):
            c, B, E = self._program.affine(before)
            residual = after - c - B @ ((given - self._middle) / self._half)
            # What is not affine in the model stands behind the disturbances, on a diagonal.
            E, remainder = E[:, : len(low)], np.sum(E[:, len(low) :], axis=1)
            # Least squares in the scale of the safe set, by columns of length 1.
            columns = self._arrays["metric"] @ E
            length = np.sqrt(np.sum(columns * columns, axis=0))
            unit = np.where(length > 0, length, 1.0)
            try:
                inverse = np.linalg.pinv(columns / unit)
            except np.linalg.LinAlgError:
                inverse = np.full(columns.T.shape, np.nan)
            disturbance = inverse @ (self._arrays["metric"] @ residual) / unit
            rest = residual - E @ np.clip(disturbance, low, high)
            facets = self._arrays["facets"]
            allowance = self._arrays["allowance"] + np.abs(facets) @ remainder
            excess = float(np.max(facets @ rest / allowance))
            return Observation(excess <= 1.0, excess, disturbance)

    def _protected(self, x: np.ndarray, request: np.ndarray) -> Output:
        known = bool(np.all(np.isfinite(x)))
        if known:
            A, b = self._rows(x)
            anchor = np.clip(np.nan_to_num(self._anchor(A, b)), -1.0, 1.0)
            A, b = _unit_rows(A, b)
        else:
            # No action satisfies 0 a <= -1.
            A, b = np.zeros((1, self.action_size)), -np.ones(1)
            anchor = np.zeros(self.action_size)
        # 1. Sanitise the request.
        low, high = self._arrays["action_low"], self._arrays["action_high"]
        finite = bool(np.all(np.isfinite(request)))
        in_box = finite and bool(np.all((request >= low) & (request <= high)))
        unit = (request - self._middle) / self._half if finite else anchor
        asked = np.clip(unit, -1.0, 1.0)
        # 2. The accept test, 3. the map, and the accept test on its result.
        accepted = self._accept(A, b, asked)
        safe = self._map(A, b, asked, anchor, accepted)
        good = self._accept(A, b, safe)
        if not good and np.all(np.isfinite(safe)):
            # 4. Else its pull-back towards the anchor.
            safe = _pull_back(A, b - self._tau / 2, np.clip(safe, -1.0, 1.0), anchor)
            good = self._accept(A, b, safe)
        if not good:
            # 5. Else the anchor.
            safe = anchor
        # A safe request is executed as it came. What is executed otherwise is in the box.
        exact = in_box and bool(np.all(asked == unit))
        executed, requested = (
            request
            if exact and np.all(one == asked)
            else np.clip(self._middle + self._half * one, low, high)
            for one in (safe, asked)
        )
        return Output(
            action=executed,
            requested=requested,
            intervened=not (accepted and in_box),
            changed=not bool(np.all(executed == request)),
            distance=float(np.sqrt(np.sum((safe - asked) ** 2))),
            feasible=self._accept(A, b, anchor),
            fallback=not (good and finite),
            inside=known and self.margin(x) >= 0,
            clipped=finite and not in_box,
        )

    def _rows(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The rows A a <= b of the safe action set: each facet keeps room for the worst
        disturbance and for rounding.
        """
        c, B, E = self._program.affine(x)
        HE = self._H @ E
        worst = HE @ self._arrays["w_center"] + np.abs(HE) @ self._arrays["w_radius"]
        b = self._room - self._arrays["eps"] - self._H @ (c - self._center) - worst
        return self._H @ B, b

    def _anchor(self, A: np.ndarray, b: np.ndarray) -> np.ndarray:
        """The certified safe action: what is executed if all else fails."""
        if self.action_size == 1:
            return np.array([_midpoint(A[:, 0], b)])
        if "block_rows" in self._arrays:
            # A product set: each action by its own rows, whatever the other actions are.
            anchor = np.zeros(self.action_size)
            for j, rows in enumerate(self._arrays["block_rows"]):
                others = np.sum(np.abs(np.delete(A[rows], j, axis=1)), axis=1)
                anchor[j] = _midpoint(A[rows, j], b[rows] - others)
            return anchor
        rows = _unit_rows(A, b)
        return _safest(*rows, _deepest(*rows, self._tau), self._arrays["candidates"], self._tau)

    def _accept(self, A: np.ndarray, b: np.ndarray, action: np.ndarray) -> bool:
        """All rows hold with tau / 4 to spare, and the box exactly. False for NaN."""
        inside = bool(np.all(np.abs(action) <= 1.0))
        return inside and bool(np.all(A @ action <= b - self._tau / 4))

    def _map(
        self, A: np.ndarray, b: np.ndarray, request: np.ndarray, anchor: np.ndarray, accepted: bool
    ) -> np.ndarray:
        if self._safeguard == "boundary_projection":
            if accepted:
                return request
            if self.action_size == 1:
                lower, upper = _interval(A[:, 0], b - self._tau)
                return np.minimum(np.maximum(request, lower), upper)
            return _project(*_with_box(A, b - self._tau), request)
        if self._safeguard == "replacement":
            return request if accepted else anchor
        return _mask(self._safeguard, A, b - self._tau, request, accepted)


class Watchdog:
    """Asks of every observed state whether the model explains it by the one before: whether x lies
    in f(x_before, action, W), up to rounding.

    If it does not, an assumption of the guarantee is violated: the observation is late, stale or
    wrong, the disturbance is outside W, another action was executed, or the model is wrong. No
    safeguard can repair that; use the emergency stop of the plant.

    Args:
        controller: The controller of the plant.
    """

    def __init__(self, controller: Any) -> None:
        self._controller = controller
        self._before: tuple[np.ndarray, np.ndarray] | None = None
        self._x: np.ndarray | None = None

    def observe(self, x: Any) -> Observation:
        """Compares the observed state x, shape (n,), with the one before. None is a lost one, and
        so is one that is not finite.
        """
        before, self._before, self._x = self._before, None, None
        nothing = Observation(False, float("nan"), np.zeros(0))
        if x is None:
            return nothing
        state = _vector("x", x, self._controller.state_size)
        if not np.all(np.isfinite(state)):
            return nothing
        self._x = state
        if before is None:
            return nothing._replace(explained=True)
        return self._controller.explain(*before, state)

    def executed(self, action: Any) -> None:
        """Says which action, shape (d,), was executed at the state observed last."""
        given = _vector("action", action, self._controller.action_size)
        self._before = None if self._x is None else (self._x, given)


def _vector(name: str, value: Any, size: int) -> np.ndarray:
    """The value as `size` numbers in float64, a copy."""
    array = np.asarray(value)
    if array.dtype.kind not in "fiub" or isinstance(value, np.ma.MaskedArray):
        raise ValueError(f"`{name}` must be made of real numbers, but it is {value!r}.")
    if array.shape != (size,):
        raise ValueError(f"`{name}` must have shape ({size},), but its shape is {array.shape}.")
    return array.astype(np.float64)


def _read(file: Path, digest: str) -> dict[str, np.ndarray]:
    """The arrays of a file, float64 instead of float32.

    Raises:
        ValueError: If they are not those that this module was written for.
    """
    content = file.read_bytes()
    if hashlib.sha256(content).hexdigest() != digest:
        raise ValueError(
            f"{file} must hold the arrays that were exported with {Path(__file__).name}, but it "
            "holds others; copy both files of one export."
        )
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return {
            name: array.astype(np.float64) if array.dtype.kind == "f" else array
            for name, array in ((name, arrays[name]) for name in arrays.files)
        }
