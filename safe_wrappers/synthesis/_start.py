"""A first guess: a polytope around the ellipsoid of a linear-quadratic regulator."""

import numpy as np
from scipy.linalg import LinAlgError, solve_discrete_are

from ._failure import SynthesisError, growing_mode, standing_modes
from ._limits import Limits
from ._scaled_model import Rest, ScaledSystem

# Where a mode neither decays nor obeys the actions, costs that lie ahead count less by this factor
# a step: the regulator exists then, and its ellipsoid is only where the search begins.
_DISCOUNT = 0.99
# The regulator keeps at least this part of the action range to both sides of the action of rest.
_ROOM = 0.05


def lqr_ellipsoid(system: ScaledSystem, limits: Limits) -> np.ndarray:
    """P of the largest LQR ellipsoid {y : y' P y <= 1} in the limits with |a| <= 1, shape (n, n).

    Raises:
        SynthesisError: If the linearisation at the origin cannot be stabilised.
    """
    rest = system.rest()
    growing = growing_mode(system, rest)
    if growing is not None:
        raise SynthesisError(f"There is no safe set for `{system.model.name}`. {growing}")
    P, K = _regulator(system, rest)
    room = np.maximum(1 - np.abs(rest.action), _ROOM)
    # The largest value of g y on {y' P y <= 1} is sqrt(g' P^-1 g).
    directions = np.concatenate([limits.rows / limits.depth[:, None], K / room[:, None]])
    return P * np.einsum("ij,jk,ik->i", directions, np.linalg.inv(P), directions).max()


def _regulator(system: ScaledSystem, rest: Rest) -> tuple[np.ndarray, np.ndarray]:
    """The cost matrix P and the feedback gain K of a = -K y."""
    discount = _DISCOUNT if standing_modes(rest) else 1.0
    A, B = discount * rest.A, discount * rest.B
    try:
        P = solve_discrete_are(A, B, np.eye(len(A)), np.eye(B.shape[1]))
    except (LinAlgError, ValueError) as error:
        raise SynthesisError(
            f"The linearisation of `{system.model.name}` at `center` = {system.center} must be "
            "stabilisable by the actions, but its Riccati equation has no solution"
            f" ({error}). Pass another `center=`, near which every motion can be stopped."
        ) from error
    return P, np.linalg.solve(np.eye(B.shape[1]) + B.T @ P @ B, B.T @ P @ A)


def lqr_start(
    system: ScaledSystem, limits: Limits, rows: int, rng: np.random.Generator, *, symmetric: bool
) -> np.ndarray:
    """Normals, shape (rows, n), of a polytope around an LQR ellipsoid, its size and the directions
    of its facets drawn by `rng`.
    """
    size = np.exp(rng.uniform(np.log(0.5), np.log(1.5)))
    directions = repelled_directions(rows, len(system.scale), rng, symmetric=symmetric)
    return directions @ np.linalg.cholesky(lqr_ellipsoid(system, limits)).T / size


def repelled_directions(
    count: int, n: int, rng: np.random.Generator, *, symmetric: bool, iterations: int = 300
) -> np.ndarray:
    """`count` unit vectors (count, n) that repel each other (and, if symmetric, each other's
    negatives) like charges.
    """
    points = rng.standard_normal((count, n))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    for step in range(iterations):
        gaps = points[:, None] - points[None]
        if symmetric:
            gaps = np.concatenate([gaps, points[:, None] + points[None]], axis=1)
        distance = np.linalg.norm(gaps, axis=-1, keepdims=True)
        force = np.sum(
            np.where(distance > 1e-9, gaps / np.maximum(distance, 1e-9) ** (n + 1), 0.0), axis=1
        )
        force /= np.linalg.norm(force, axis=1, keepdims=True) + 1e-12
        points += 0.3 * (1 - step / iterations) / np.sqrt(count) * force
        points /= np.linalg.norm(points, axis=1, keepdims=True)
    return points
