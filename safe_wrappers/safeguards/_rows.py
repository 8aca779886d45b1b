"""The safe action set as a safeguard sees it: unit rows, and the only accept test anywhere."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from .._margins import tau
from .._products import dot
from .._pytree import frozen_pytree, static_field
from ..safe_actions import SafeActionSet
from ..safe_actions._action_set import interval


@frozen_pytree
class Rows:
    """Unit rows A a <= b of a safe action set, shapes (m, d) and (m,), and the tightening tau of
    the map's target; and whether they are bounds of single actions, as in `SafeActionSet.from_box`.

    The last `spare` rows, 0 or 2 d of them, repeat others: those of the box can take their place.
    """

    A: Float[jax.Array, "m d"]
    b: Float[jax.Array, " m"]
    tau: float = static_field()
    is_box: bool = static_field(default=False)
    spare: int = static_field(default=0)

    @classmethod
    def of(cls, action_set: SafeActionSet, spare: int = 0) -> "Rows":
        """The unit rows of a safe action set, with the tau of their dtype."""
        A, b = action_set.unit_rows()
        d = A.shape[1]
        return cls(A, b, tau=tau(d, A.dtype), is_box=action_set.is_box, spare=spare)

    @property
    def separable(self) -> bool:
        """Whether the set is an interval of each action, whatever the others are: a box, or the set
        of one action.
        """
        return self.is_box or self.A.shape[1] == 1

    def along(self, direction: Float[jax.Array, " d"]) -> Float[jax.Array, " m"]:
        """A direction as the rows see it, A direction, shape (m,)."""
        if self.is_box:
            return jnp.concatenate([direction, -direction])
        return dot(self.A, direction)

    def ends(self) -> tuple[Float[jax.Array, " d"], Float[jax.Array, " d"]]:
        """Lower and upper ends of the set tightened by tau, of a separable one; shapes (d,)."""
        if self.is_box:
            upper, lower = jnp.split(self.b - self.tau, 2)
            return -lower, upper
        lower, upper = interval(self.A, self.b - self.tau)
        return lower[None], upper[None]

    @property
    def possible(self) -> Bool[jax.Array, ""]:
        """Whether no row of a separable set rules out all actions by itself. Shape ()."""
        return jnp.all((self.A[:, 0] != 0) | (self.b >= 0)) if not self.is_box else jnp.array(True)

    def tightened_with_box(self) -> tuple[Float[jax.Array, "r d"], Float[jax.Array, " r"]]:
        """The rows tightened by tau and, below them or in the place of the spare ones, the rows of
        the box, which are never tightened. Shapes (m + 2 d, d), (m + 2 d,).
        """
        d = self.A.shape[1]
        box = np.concatenate([np.eye(d), -np.eye(d)]).astype(self.A.dtype)
        ones = np.ones(2 * d, self.b.dtype)

        def with_box(rows: Float[jax.Array, " m"], of_box: np.ndarray) -> jax.Array:
            if not self.spare:
                return jnp.concatenate([rows, of_box])
            kept = np.arange(len(rows)) < len(rows) - self.spare
            return jnp.where(kept, rows, np.pad(of_box, (len(rows) - self.spare, 0)))

        # By columns: see `_products` on sums written out.
        columns = [with_box(self.A[:, k], box[:, k]) for k in range(d)]
        return jnp.stack(columns, axis=1), with_box(self.b - self.tau, ones)

    def accept(self, action: Float[jax.Array, " d"]) -> Bool[jax.Array, ""]:
        """The accept test: all rows hold with tau / 4 to spare and the box holds exactly.

        False for NaN. Shape ().
        """
        rows = jnp.all(self.along(action) <= self.b - self.tau / 4)
        return rows & jnp.all(jnp.abs(action) <= 1.0)

    def pull_back(
        self, start: Float[jax.Array, " d"], anchor: Float[jax.Array, " d"]
    ) -> Float[jax.Array, " d"]:
        """The point of [anchor, start] nearest to start that satisfies the rows tightened by
        tau / 2, by the ratio test. Shape (d,).
        """
        move = self.along(start - anchor)
        slack = self.b - self.tau / 2 - self.along(anchor)
        blocking = move > slack
        ratio = jnp.where(blocking, slack / jnp.where(blocking, move, 1.0), 1.0)
        return anchor + jnp.clip(jnp.min(ratio, initial=1.0), 0.0, 1.0) * (start - anchor)
