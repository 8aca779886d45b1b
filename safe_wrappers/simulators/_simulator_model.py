"""Models of which only values are to be had."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from ..models import Affine, Model
from ._mujoco_model import Touching


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class SimulatorModel(Model):
    """A model x' = f(x, a) + E w whose affine form in the action is read off by central differences
    over the action box.

    Differences say what a simulator does, on every backend; its derivatives say what its author
    differentiates (a limit that is clipped in between, an iteration that is not differentiated),
    want several times the compilation, and do not exist everywhere.

    Args:
        disturbance_matrix: E, shape (n, k), as in `step`.
        watch: States (N, n) -> which of them are in contact, if the simulator's model is known.
    """

    disturbance_matrix: np.ndarray = dataclasses.field(kw_only=True)
    watch: Callable[[np.ndarray], Touching] | None = dataclasses.field(kw_only=True, default=None)

    def affine(self, x: jax.Array) -> Affine:
        """c = f(x, 0), B_i = (f(x, e_i) - f(x, -e_i)) / 2 for the unit vectors e_i, and E; in the
        dtype of x, jit-able, as differentiable as f.
        """
        d = self.action_size
        actions = np.concatenate([np.zeros((1, d)), np.eye(d), -np.eye(d)]).astype(x.dtype)
        after = jax.vmap(
            lambda action: self.unit_step(x, action, jnp.zeros(self.disturbance_size, x.dtype))
        )(actions)
        return Affine(
            after[0],
            (after[1 : d + 1] - after[d + 1 :]).T / 2,
            jnp.asarray(self.disturbance_matrix, x.dtype),
        )
