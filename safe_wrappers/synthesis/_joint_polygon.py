"""The safe set of one joint in closed form: position q and speed s, moved by an acceleration.

s' = s + dt (v + w), q' = q + dt s' with |v| <= authority and |w| <= push. Half planes
q + t_k s <= c_k, their mirror images and |s| <= speed bound the set. With b = authority - push left
for braking, on facet k full braking changes q + t_k s by dt s - dt (t_k + dt) b, so the facet may
be the boundary up to the speed v_k = (t_k + dt) b. Hence c_0 = reach and
c_(k+1) = c_k + (t_(k+1) - t_k) v_k. With t_k = k dt this is the largest such set, the viability
kernel of a joint with bounded acceleration; a few t_k in geometric progression keep 94 to 99 % of
its area.
"""

import numpy as np
from scipy.spatial import ConvexHull

# A little of the braking is left unused, and of a margin twice as much is asked for as is needed,
# since facets are rounded and corners lie between them.
_USED = 0.99
_TWICE = 2.0
# A facet with two entries is rounded to the nearest float32 numbers.
_ROUNDED = 1 - 1e-6


def joint_polygon(
    reach: float,
    speed: float,
    authority: float,
    push: float,
    dt: float,
    *,
    slip: float = 0.0,
    lean: float = 0.0,
    facets: int = 5,
    margin: float = 1e-4,
) -> np.ndarray | None:
    """Rows H of {y : H y <= 1}, y = (q, s), shape (m, 2), float32; None if no braking is left.

    Args:
        reach: |q| is at most this.
        speed: |s| is at most this.
        authority: The accelerations that there are.
        push: The accelerations that disturb.
        dt: Time step.
        slip: By how much the position is disturbed in a step, beside what the speed brings about.
        lean: c, where it is the position + c speed that moves as above, as it does where q' moves
            the position by another share of dt^2 v.
        facets: Sloped facets on each side.
        margin: The margin of each facet that the set is to have, in the scale in which the centre
            has margin 1.
    """
    b = (authority - push) * _USED
    if lean:
        reach = (reach - lean * speed) * _ROUNDED
    if b <= 0 or reach <= 0:
        return None
    spare = 2.5 * margin * (reach + speed**2 / (2 * b)) + slip
    longest = max((speed + spare / dt) / b - dt, dt)
    count = min(facets, max(1, int(np.ceil(longest / dt))))
    times = np.array([0.0, longest])
    if count > 1:
        times = np.concatenate([[0.0], np.geomspace(2 * dt, longest + dt, count) - dt])
        # Braking between two facets passes the earlier one if they are less than a step apart.
        for k in range(1, len(times)):
            times[k] = max(times[k], times[k - 1] + dt)
    rows, c, last = [(0.0, 1.0 / speed)], reach, -speed
    for k, t in enumerate(times):
        fastest = min((t + dt) * b - (_TWICE * margin * c + slip) / dt, speed * (1 - 1e-6))
        if fastest > last + 1e-3 * speed:
            rows.append((1.0 / c, t / c))
            last = fastest
        if k + 1 < len(times):
            c += (times[k + 1] - t) * fastest
        if c <= 0:
            return None
    H = np.array(rows)
    H = np.concatenate([H, -H])
    # A row inside the hull of the others is redundant.
    kept = np.sort(ConvexHull(H * [reach, speed]).vertices)
    return outward(H[kept] @ np.array([[1.0, lean], [0.0, 1.0]]))


def outward(H: np.ndarray) -> np.ndarray:
    """Rows in float32, those with a single entry rounded away from 0: a limit stays a limit."""
    rounded = H.astype(np.float32)
    for i, row in enumerate(H):
        (entries,) = np.nonzero(row)
        if len(entries) == 1:
            j = entries[0]
            if abs(float(rounded[i, j])) < abs(row[j]):
                rounded[i, j] = np.nextafter(
                    rounded[i, j], np.float32(np.inf) * np.float32(np.sign(row[j]))
                )
    return rounded


def polygon_area(H: np.ndarray) -> float:
    """The area of {y : H y <= 1} in the plane."""
    dual = ConvexHull(np.asarray(H, np.float64))
    # Vertices of the set are the facets of the hull of its rows: H_i y = 1 for both rows of one.
    points = -dual.equations[:, :2] / dual.equations[:, 2:]
    return float(ConvexHull(points).volume)
