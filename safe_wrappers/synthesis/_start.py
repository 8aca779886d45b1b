"""A first guess: a polytope around the ellipsoid of a linear-quadratic regulator."""

import numpy as np
from scipy.linalg import LinAlgError, solve_discrete_are

from .._errors import ModelError
from ._scaled_model import ScaledSystem


def lqr_ellipsoid(system: ScaledSystem, y_max: np.ndarray) -> np.ndarray:
    """P of the largest LQR ellipsoid {y : y' P y <= 1} in the box |y| <= y_max (which may be
    infinite) with |a| <= 1, shape (n, n).

    Raises:
        ModelError: If the linearisation at the origin cannot be stabilised.
    """
    n = len(y_max)
    local = system.linearise(np.zeros((1, n)))
    A, B = local.dc[0], local.B[0]
    try:
        P = solve_discrete_are(A, B, np.eye(n), np.eye(B.shape[1]))
    except (LinAlgError, ValueError) as error:
        raise ModelError(
            f"The linearisation of `{system.model.name}` at the origin must be stabilisable by the "
            "actions, but its Riccati equation has no solution"
            f" ({error}). Shift the coordinates so that an equilibrium is the origin."
        ) from error
    K = np.linalg.solve(np.eye(B.shape[1]) + B.T @ P @ B, B.T @ P @ A)
    # The largest value of g y on {y' P y <= 1} is sqrt(g' P^-1 g).
    directions = np.concatenate([np.eye(n) / y_max[:, None], K])
    return P * np.einsum("ij,jk,ik->i", directions, np.linalg.inv(P), directions).max()


def lqr_start(
    system: ScaledSystem, y_max: np.ndarray, rows: int, rng: np.random.Generator, *, symmetric: bool
) -> np.ndarray:
    """Normals, shape (rows, n), of a polytope around an LQR ellipsoid, its size and the directions
    of its facets drawn by `rng`.
    """
    size = np.exp(rng.uniform(np.log(0.5), np.log(1.5)))
    directions = repelled_directions(rows, len(y_max), rng, symmetric=symmetric)
    return directions @ np.linalg.cholesky(lqr_ellipsoid(system, y_max)).T / size


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
