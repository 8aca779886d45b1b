"""A safe set grown backwards: the states that some input brings into it, and so on.

If S can be kept with a margin, so can all states of X from which an input within its limits leads
into S with this margin whatever omega is, and this set holds S. What the sets grow to is the
largest one that there is (D. P. Bertsekas, 1972; F. Blanchini, 1994); each one on the way is safe.
The input is eliminated from the inequalities pair by pair (Fourier and Motzkin), and redundant rows
are left out: those inside the convex hull of all rows.
"""

import numpy as np
from scipy.spatial import ConvexHull, QhullError

# A step that enlarges the set by less is the last one, and so is the step of this number.
_GAIN = 1e-3
_STEPS = 60
# Steps from the limits inwards, after which there probably is nothing.
_SHRINKINGS = 400
_RAYS = 512
# More pairs of rows than this are not made: their hull would take minutes.
_PAIRS = 200_000


def grown_rows(
    A: np.ndarray,
    B: np.ndarray,
    k: np.ndarray,
    E: np.ndarray,
    rows: np.ndarray,
    reach: tuple[np.ndarray, np.ndarray],
    inputs: tuple[np.ndarray, np.ndarray],
    *,
    margin: float,
    most: int,
) -> np.ndarray:
    """Rows F of a larger set {y : F y <= 1} that can be kept, shape (m, n), float64; the given ones
    if none with so few rows is larger.

    Args:
        A: Shape (n, n), n >= 2.
        B: Shape (n, 1).
        k: Shape (n,).
        E: Shape (n, j), |omega| <= 1.
        rows: Of a set within the limits that can be kept with the margin, shape (l, n).
        reach: How far y may go below and above 0, shapes (n,).
        inputs: How far v may go below and above v0, shapes (1,).
        margin: By this share of its room every row is to be kept.
        most: Most rows.
    """
    scale = np.minimum(*reach)
    parts = _scaled(A, B, k, E, reach, scale)
    found, size = rows * scale, 0.0
    for _ in range(_STEPS):
        larger = _before(found, *parts, inputs, margin)
        if larger is None or len(larger) > most:
            break
        found, before, size = larger, size, size_of(larger)
        if size < before * (1 + _GAIN):
            break
    return found / scale


def shrunk_rows(
    A: np.ndarray,
    B: np.ndarray,
    k: np.ndarray,
    E: np.ndarray,
    reach: tuple[np.ndarray, np.ndarray],
    inputs: tuple[np.ndarray, np.ndarray],
    *,
    margin: float,
    most: int,
) -> np.ndarray | None:
    """Rows F of a set {y : F y <= 1} that can be kept, shape (m, n), where none is known: from the
    limits on what leads into them is kept, and so on, until a step takes away hardly anything.

    With twice the margin a step from C goes to D, from whose states an input leads into
    (1 - 2 margin) C. If D still holds (1 - margin) C, this lies in D with the margin.

    Args:
        A: As in `grown_rows`, with all that follows.
        B: As there.
        k: As there.
        E: As there.
        reach: As there.
        inputs: As there.
        margin: As there.
        most: Most rows.

    Returns:
        None if there is no such set, or it has more rows.
    """
    scale = np.minimum(*reach)
    parts = _scaled(A, B, k, E, reach, scale)
    unit, (below, above) = np.eye(len(scale)), parts[-1]
    found = np.concatenate([unit / above[:, None], -unit / below[:, None]])
    for _ in range(_SHRINKINGS):
        smaller = _before(found, *parts, inputs, 2 * margin)
        corners = _corners(found)
        if smaller is None or corners is None or len(smaller) > most:
            return None
        found = smaller
        if np.max(corners @ found.T) * (1 - margin) <= 1:
            return found / scale
    return None


def _scaled(
    A: np.ndarray,
    B: np.ndarray,
    k: np.ndarray,
    E: np.ndarray,
    reach: tuple[np.ndarray, np.ndarray],
    scale: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """A, the column of B, k, E and the reach of states in units of `scale`, shape (n,)."""
    column = scale[:, None]
    ends = reach[0] / scale, reach[1] / scale
    return A / column * scale, B[:, 0] / scale, k / scale, E / column, ends


def _corners(rows: np.ndarray) -> np.ndarray | None:
    """The vertices of {y : rows y <= 1}, by duality."""
    try:
        hull = ConvexHull(rows)
    except QhullError:
        return None
    return -hull.equations[:, :-1] / hull.equations[:, -1:]


def size_of(rows: np.ndarray) -> float:
    """A number that is proportional to the volume of {y : rows y <= 1}, by random rays."""
    n = rows.shape[1]
    rays = np.random.default_rng(0).normal(size=(_RAYS, n))
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    return float(np.mean((rays @ rows.T).max(axis=1) ** -n))


def _before(
    rows: np.ndarray,
    A: np.ndarray,
    B: np.ndarray,
    k: np.ndarray,
    E: np.ndarray,
    reach: tuple[np.ndarray, np.ndarray],
    inputs: tuple[np.ndarray, np.ndarray],
    margin: float,
) -> np.ndarray | None:
    """Rows of the states from which an input leads into the set, None if there are too many."""
    n = rows.shape[1]
    level = 1 - margin - np.abs(rows @ E).sum(axis=1) - rows @ k
    # ahead . y + slope v <= level, and the limits of v.
    ahead = np.vstack([rows @ A, np.zeros((2, n))])
    slope = np.concatenate([rows @ B, [-1.0, 1.0]])
    level = np.concatenate([level, [inputs[0][0], inputs[1][0]]])
    up, down = slope > 1e-12, slope < -1e-12
    if np.sum(up) * np.sum(down) > _PAIRS:
        return None
    plain = ~(up | down)
    above, below = (
        (ahead[part] / np.abs(slope[part])[:, None], level[part] / np.abs(slope[part]))
        for part in (up, down)
    )
    ways = [ahead[plain], (above[0][:, None] + below[0][None]).reshape(-1, n)]
    bounds = [level[plain], (above[1][:, None] + below[1][None]).ravel()]
    unit = np.eye(n)
    ways += [unit, -unit]
    bounds += [reach[1], reach[0]]
    way, bound = np.concatenate(ways), np.concatenate(bounds)
    if not np.all(bound > 0):
        return None
    found = way / bound[:, None]
    try:
        return found[ConvexHull(found).vertices]
    except QhullError:
        return None
