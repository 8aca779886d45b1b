"""The largest set that one gain keeps: the maximal output admissible set (E. G. Gilbert and
K. T. Tan, 1991), with disturbances (I. Kolmanovsky and E. G. Gilbert, 1998).

y' = Ac y + k + E omega with |omega_j| <= 1, where the gain is in Ac. The states from which limits
G y <= 1 are kept for ever are {y : G Ac^i y <= h_i for all i}, where h_(i+1) is h_i less what
omega adds. Rows are taken step by step, those that say nothing new are left out, and with them what
would follow from them, until a step adds none. Limits and sets are symmetric or not.
"""

import numpy as np
from scipy.optimize import linprog

# Steps after which rows of a stable gain have long become redundant.
_STEPS = 2000
# Points on the boundary that show without a program that a row cuts something off.
_PROBES = 512


def admissible_rows(
    Ac: np.ndarray,
    k: np.ndarray,
    E: np.ndarray,
    limits: np.ndarray,
    *,
    margin: float,
    most: int = 2000,
) -> np.ndarray | None:
    """Rows F of the set {y : F y <= 1}, shape (m, n), float64, redundant ones left out.

    Args:
        Ac: Closed loop, shape (n, n), stable.
        k: Shape (n,).
        E: Shape (n, j).
        limits: G of the limits G y <= 1, which bound all states, shape (l, n).
        margin: By this share of its room every row is to be kept.
        most: Most rows.

    Returns:
        None if the disturbance is too large for the gain, or there are too many rows.
    """
    if np.abs(np.linalg.eigvals(Ac)).max() >= 1:
        return None
    symmetric = not np.any(k) and _is_symmetric(limits)
    G = _half(limits) if symmetric else limits
    h = np.ones(len(G))
    kept = _Rows(G, symmetric)
    for _ in range(_STEPS):
        h = (1 - margin) * h - np.abs(G @ E).sum(axis=1) - G @ k
        G = G @ Ac
        if not np.all(h > 0):
            return None
        rows = G / h[:, None]
        new = [i for i, row in enumerate(rows) if kept.add(row)]
        if not new:
            return kept.pruned()
        if len(kept.rows) > most:
            return None
        G, h = G[new], h[new]
    return None


class _Rows:
    """Rows that bound a set, with those that say nothing new refused."""

    def __init__(self, limits: np.ndarray, symmetric: bool):
        self.rows = list(limits)
        self._symmetric = symmetric
        self._scale = 1.0 / np.abs(limits).max(axis=0)
        rng = np.random.default_rng(0)
        ways = rng.normal(size=(_PROBES, limits.shape[1])) * self._scale
        self._probes = self._onto_boundary(ways, self._all())

    def _all(self) -> np.ndarray:
        rows = np.array(self.rows)
        return np.concatenate([rows, -rows]) if self._symmetric else rows

    @staticmethod
    def _onto_boundary(points: np.ndarray, rows: np.ndarray) -> np.ndarray:
        return points / np.maximum((points @ rows.T).max(axis=1), 1e-300)[:, None]

    def add(self, row: np.ndarray) -> bool:
        """Takes a row if it cuts something off."""
        reach = self._probes @ row
        reach = np.abs(reach) if self._symmetric else reach
        if reach.max() <= 1:
            found = _farthest(row, self._all(), self._scale)
            if found is not None and row @ found <= 1 + 1e-9:
                return False
            if found is not None:
                self._probes = np.vstack([self._probes, found])
        self.rows.append(row)
        self._probes = self._onto_boundary(self._probes, self._all())
        return True

    def pruned(self) -> np.ndarray:
        """All rows, without those that others made redundant."""
        touched = np.asarray(self._probes @ self._all().T >= 1 - 1e-9)
        needed = np.any(touched, axis=0)
        if self._symmetric:
            needed = needed[: len(self.rows)] | needed[len(self.rows) :]
        i = 0
        while i < len(self.rows):
            rest = [row for j, row in enumerate(self.rows) if j != i]
            if not needed[i] and rest:
                others = np.array(rest)
                others = np.concatenate([others, -others]) if self._symmetric else others
                found = _farthest(self.rows[i], others, self._scale)
                if found is not None and self.rows[i] @ found <= 1 + 1e-9:
                    self.rows, needed = rest, np.delete(needed, i)
                    continue
            i += 1
        return self._all()


def _farthest(row: np.ndarray, rows: np.ndarray, scale: np.ndarray) -> np.ndarray | None:
    """The point of {y : rows y <= 1} farthest along a row, None if the program fails."""
    program = linprog(
        -row * scale,
        A_ub=rows * scale,
        b_ub=np.ones(len(rows)),
        bounds=(None, None),
        method="highs",
    )
    return program.x * scale if program.status == 0 else None


def admitted(
    points: np.ndarray,
    Ac: np.ndarray,
    k: np.ndarray,
    E: np.ndarray,
    limits: np.ndarray,
    *,
    margin: float,
    steps: int = 600,
) -> np.ndarray:
    """How far each point lies from 0, in units of the set's boundary on its ray, shape (points,);
    infinite if the disturbance is too large for the gain. No program is solved: a row is looked at
    in all directions at once.

    Args:
        points: Shape (points, n).
        Ac: Closed loop.
        k: Shape (n,).
        E: Shape (n, j).
        limits: As in `admissible_rows`.
        margin: As there.
        steps: Steps after which nothing new is expected.
    """
    G, h = limits, np.ones(len(limits))
    reach = (points @ G.T).max(axis=1)
    for _ in range(steps):
        h = (1 - margin) * h - np.abs(G @ E).sum(axis=1) - G @ k
        G = G @ Ac
        if not np.all(h > 0):
            return np.full(len(points), np.inf)
        reach = np.maximum(reach, (points @ (G / h[:, None]).T).max(axis=1))
        if np.abs(G).max() < 1e-9 * np.abs(limits).max():
            break
    return reach


def _is_symmetric(rows: np.ndarray) -> bool:
    found = {tuple(row) for row in rows.tolist()}
    return all(tuple(-v for v in row) in found for row in rows.tolist())


def _half(rows: np.ndarray) -> np.ndarray:
    """One of each pair of mirror images."""
    kept: dict[tuple[float, ...], None] = {}
    for row in rows.tolist():
        if tuple(-v for v in row) not in kept:
            kept[tuple(row)] = None
    return np.array(list(kept))
