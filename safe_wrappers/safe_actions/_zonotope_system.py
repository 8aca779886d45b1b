"""Systems whose safe state set is a zonotope, with up to thousands of facets."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int32
from numpy.typing import ArrayLike

from .._gate import as_bound, as_state
from .._margins import first_largest
from .._one_line import count, one_line
from .._products import dot
from .._read_only import ReadOnly
from ..certificates import RESET_SHRINK
from ..models import Model, require_affine
from ..sets import Box, Polytope, Zonotope
from ._action_set import SafeActionSet
from ._common import SystemOfModel, require_sets
from ._stepped import StepTest

# Of more rows than this the anchor is found by cutting planes, so many at a time (an even number).
_ROWS = 256
# Rounds of cutting planes before all rows are taken; one or two were enough for every state tried.
_ROUNDS = 4


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class ZonotopeSystem(ReadOnly, SystemOfModel):
    """A system given by a model that is affine in action and disturbance, and a zonotope S = <c_s,
    G_s> that is to be invariant.

    S may have thousands of facets, in any number of dimensions, as long as they can be enumerated
    once (see `Zonotope.halfspaces`); nothing else about S is ever computed, no vertices and no
    volume, and the origin need not lie in it. The safe action set is exact, one row per facet, as
    for `ModelSystem`: with f = c + B a + E w and the pairs of facets |N_i (x - c_s)| <= 1 it is

        |N_i (c + B a + E w_c - c_s)| <= 1 - eps - sum_j |N_i E_j| w_r,j,

    where w_c and w_r are the centre and the half-widths of W and E may depend on x. It includes the
    actions of the linear encoding c + B a + E w_c - c_s = G_s beta,
    |beta_i| <= 1 - sum_j |Gamma_ij|, with E diag(w_r) = G_s Gamma, up to eps.

    The guarantee is *tested*, not proved: that S is invariant is the caller's claim (`certificate`
    is None), and where no safe action exists the safeguards execute the anchor and say
    `feasible=False`.

    Args:
        model: The one-step model f.
        safe_state_set: S, full-dimensional.
        disturbance_set: W, shape (k,).
        constraint_set: X, the state constraints; infinite bounds are allowed.
        state: Reads x from the environment's state.
        eps: Rounding allowance, in the scale where the centre of S has margin 1.

    Raises:
        TypeError: If an argument is of another class than declared.
        SetDimensionError: If the sets do not fit the model, S is flat, it has too many facets to
            enumerate, or eps is not one finite number of at least 0.
        ModelError: If the model is not affine in action and disturbance, as its jaxpr says.
    """

    model: Model
    safe_state_set: Zonotope
    disturbance_set: Box
    constraint_set: Box | Polytope
    state: Callable[[Any], Float[Any, " n"]]
    eps: float = 2e-5
    certificate: None = dataclasses.field(default=None, init=False)
    _normals: Float[np.ndarray, "n p"] = dataclasses.field(init=False, repr=False)
    _center: Float[np.ndarray, " n"] = dataclasses.field(init=False, repr=False)
    _stays: StepTest = dataclasses.field(init=False, repr=False)

    def __post_init__(self):
        require_sets(
            self.model,
            self.state,
            safe_state_set=self.safe_state_set,
            kind=Zonotope,
            constraint_set=self.constraint_set,
            disturbance_set=self.disturbance_set,
        )
        require_affine(self.model)
        object.__setattr__(self, "eps", float(as_bound("eps", self.eps)))
        # S = {x : |N (x - c_s)| <= 1}: one normal for each pair of facets, states along the first
        # axis, so that the long axis is contiguous.
        N, h = self.safe_state_set.halfspaces()
        pairs = len(N) // 2
        normals = (N[:pairs] / ((h[:pairs] + h[pairs:]) / 2)[:, None]).T
        if 2 * pairs > _ROWS:
            # Zero rows fill up the last of the groups that `_nearest` chooses from; they always
            # hold.
            normals = np.pad(normals, ((0, 0), (0, -pairs % (_ROWS // 2))))
        object.__setattr__(self, "_normals", normals.astype(np.float32))
        object.__setattr__(self, "_center", np.asarray(self.safe_state_set.center, np.float32))
        facets, room = self._normals[:, :pairs].T, np.ones(pairs, np.float32)
        stays = StepTest(
            self.model,
            self.disturbance_set,
            self._center,
            facets,
            room,
            self.eps,
            both_sides=True,
        )
        object.__setattr__(self, "_stays", stays)

    def __repr__(self) -> str:
        model, S = self.model, self.safe_state_set
        sizes = f"{count(model.state_size, 'state')}, {count(self.action_size, 'action')}"
        return one_line(f"{type(self).__name__}({model.name!r}, {sizes}, {S!r})")

    @property
    def center(self) -> Float[np.ndarray, " n"]:
        """The centre of S, where the margin is 1, shape (n,)."""
        return np.asarray(self.safe_state_set.center)

    def safe_action_set(self, x: ArrayLike) -> SafeActionSet:
        """Rows (m, d) and (m,) of the safe action set at x, shape (n,), and an anchor that keeps at
        least half of the largest margin. Differentiable in x.
        """
        A, u, room = self._pairs(*self.model.affine(as_state("x", x, self.model.state_size)))
        A, b = jnp.concatenate([A, -A], axis=1), jnp.concatenate([room - u, room + u])
        return (
            SafeActionSet.from_rows(A.T, b)
            if len(b) <= _ROWS
            else SafeActionSet(A.T, b, _anchor(*jax.lax.stop_gradient((A, b))))
        )

    def stays(
        self, x: Float[jax.Array, " n"], action: Float[jax.Array, " d"]
    ) -> Bool[jax.Array, ""]:
        """Whether the model's step with an action in [-1, 1]^d ends in S for every disturbance,
        by a second route beside the rows (`_stepped`). Shape ().

        Args:
            x: State, shape (n,).
            action: Shape (d,).
        """
        return self._stays(x, action)

    def margin(self, x: ArrayLike) -> Float[jax.Array, ""]:
        """min_i (1 - |N_i (x - c_s)|) over the pairs of facets, shape (); NaN in x gives NaN."""
        x = as_state("x", x, self.model.state_size)
        return 1.0 - jnp.max(jnp.abs(jnp.sum(self._normals * (x - self._center)[:, None], axis=0)))

    def sample_initial(self, key: jax.Array) -> Float[jax.Array, " {self.model.state_size}"]:
        """A state c_s + (1 - 1e-4) G_s beta with beta uniform in the cube, shape (n,): uniform by
        volume for a parallelotope only.
        """
        center = jnp.asarray(self._center)
        return center + (1 - RESET_SHRINK) * (
            self.safe_state_set.sample(key).astype(np.float32) - center
        )

    def _pairs(
        self, c: Float[jax.Array, " n"], B: Float[jax.Array, "n d"], E: Float[jax.Array, "n k"]
    ) -> tuple[Float[jax.Array, "d p"], Float[jax.Array, " p"], Float[jax.Array, " p"]]:
        """The conditions |u_i + A_i a| <= room_i on the action, one for each pair of facets: A (d,
        p), u (p,) and room (p,).
        """

        def along(vector: Float[jax.Array, " n"]) -> Float[jax.Array, " p"]:
            # elementwise, as in `_products`
            return jnp.sum(self._normals * vector[:, None], axis=0)

        center, radius = (
            jnp.asarray(value, c.dtype)
            for value in (self.disturbance_set.center, self.disturbance_set.radius)
        )
        worst = sum(
            (jnp.abs(along(column)) * r for column, r in zip(E.T, radius, strict=True)),
            jnp.zeros(self._normals.shape[1], c.dtype),
        )
        u = along(c + dot(E, center) - self._center.astype(c.dtype))
        return jnp.stack([along(column) for column in B.T]), u, (1.0 - self.eps) - worst


def _anchor(A: Float[jax.Array, "d m"], b: Float[jax.Array, " m"]) -> Float[jax.Array, " d"]:
    """An action whose margin is at least half of the largest one, shape (d,), of rows A (d, m) and
    b (m,), by cutting planes.

    Takes the rows nearest to a point, goes to their deepest point, and takes the rows nearest to
    any point so far, until no row is much nearer than those taken: their margin bounds the margin
    of all. If that does not come about, takes all rows. Lengths are measured by |a|_inf, up to the
    choice of the deepest point.
    """

    def solve(
        nearest: Float[jax.Array, " m"],
    ) -> tuple[Float[jax.Array, " d"], Float[jax.Array, " m"], Bool[jax.Array, ""]]:
        rows = _nearest(nearest)
        point = SafeActionSet.from_rows(A[:, rows].T, b[rows]).anchor
        distance = _distance(A, b, point)
        among = jnp.min(distance[rows])
        # If not even the rows chosen leave room, the set is empty, and more rounds find nothing. A
        # row that was once near stays so.
        return point, jnp.minimum(nearest, distance), (jnp.min(distance) < among / 2) & (among > 0)

    start = (*solve(_distance(A, b, jnp.zeros(A.shape[0], b.dtype))), 1)
    point, _, open_, _ = jax.lax.while_loop(
        lambda s: s[2] & (s[3] < _ROUNDS), lambda s: (*solve(s[1]), s[3] + 1), start
    )

    def exact(state):
        # The barrier ties the rows to the loop: otherwise XLA moves their preparation out of it,
        # where every call pays for it.
        rows, offsets, _ = jax.lax.optimization_barrier((A, b, state[0]))
        return SafeActionSet.from_rows(rows.T, offsets).anchor, jnp.zeros((), bool)

    # A loop of at most one trip, not a condition: under vmap it costs nothing if no member of the
    # batch needs it.
    return jax.lax.while_loop(lambda s: s[1], exact, (point, open_))[0]


def _distance(
    A: Float[jax.Array, "d m"], b: Float[jax.Array, " m"], point: Float[jax.Array, " d"]
) -> Float[jax.Array, " m"]:
    """The largest t, per row, such that the row holds for all |a - point|_inf <= t, shape (m,); A
    has shape (d, m). Negative where it is violated.
    """
    slack, length = b - jnp.sum(A * point[:, None], axis=0), jnp.sum(jnp.abs(A), axis=0)
    # What does not depend on the action never holds or always; NaN counts as never.
    constant = jnp.where(slack >= 0, jnp.inf, -jnp.inf)
    return jnp.where(length > 0, slack / jnp.where(length > 0, length, 1.0), constant)


def _nearest(distance: Float[jax.Array, " m"]) -> Int32[jax.Array, " r"]:
    """Indices (_ROWS,) of about the smallest distances.

    The smallest of every group of rows _ROWS apart: neighbours, which share generators and so are
    near together, go to different groups. Such reductions are many times cheaper than a sort.
    """
    table = distance.reshape(-1, _ROWS)
    scale = jnp.maximum(1, jnp.abs(jnp.min(table, axis=0)))
    rounding = 8 * jnp.finfo(table.dtype).eps * jnp.where(jnp.isfinite(scale), scale, 1)
    return first_largest(-table, rounding) * _ROWS + np.arange(_ROWS, dtype=np.int32)
