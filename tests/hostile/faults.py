"""A solver that is wrong: what it returns is replaced wherever the library uses it."""

import jax
import jax.numpy as jnp
import numpy as np

import safe_wrappers as sw
from safe_wrappers.safe_actions import _action_set
from safe_wrappers.safeguards import _centers, _gradient_rules


def _garbage(x):
    """Numbers of [-1, 1] that look random and depend on the input."""
    return jnp.sin(1e4 * jnp.sum(jnp.where(jnp.isfinite(x), x, 0)) + 7.0 * jnp.arange(len(x)))


FAULTS = {
    "none": lambda x: x,
    "NaN": lambda x: jnp.full_like(x, jnp.nan),
    "one NaN": lambda x: x.at[0].set(jnp.nan),
    "infinite": lambda x: jnp.full_like(x, jnp.inf),
    "1e30": lambda x: jnp.full_like(x, 1e30),
    "zeros": jnp.zeros_like,
    "a constant": jnp.ones_like,
    "garbage in the box": _garbage,
    "the opposite sign": lambda x: -x,
    "components in reverse": lambda x: x[::-1],
    "off by 1e-3": lambda x: x + 1e-3 * jnp.sign(_garbage(x)),
    "off by 1e-6": lambda x: x + 1e-6 * jnp.sign(_garbage(x)),
    "1 % too long": lambda x: 1.01 * x,
    "in half precision": lambda x: x.astype(jnp.float16).astype(x.dtype),
}
# Which entries of the solver are broken: the projection, the deepest point, or both.
PLACES = ((1, 0), (0, 1), (1, 1))


class BrokenSolver:
    """Both entries of the solver with a fault that is chosen at run time, so that all faults of a
    system and a safeguard are one program.

    Args:
        monkeypatch: Puts them in the place of the true ones.
    """

    def __init__(self, monkeypatch):
        self.faults = (jnp.int32(0), jnp.int32(0))
        true_project, true_margin = _centers.project, _action_set.max_margin

        def project(A, b, a):
            return self._wrong(true_project(A, b, a), self.faults[0])

        def max_margin(A, b):
            point, margin = true_margin(A, b)
            wrong = self._wrong(jnp.append(point, margin), self.faults[1])
            return wrong[:-1], wrong[-1]

        for module in (_centers, _gradient_rules):
            monkeypatch.setattr(module, "project", project)
        for module in (_action_set, _centers):
            monkeypatch.setattr(module, "max_margin", max_margin)

    def _wrong(self, x, fault):
        return jnp.stack([change(x) for change in FAULTS.values()])[fault]

    def caller(self, system, safeguard):
        """A compiled function of (fault of the projection, fault of the deepest point, states
        (N, n), requests (N, d)): the unit rows that the safeguard sees and its outputs.
        """

        def call(first, second, x, request):
            self.faults = (first, second)
            output = sw.safe_action(system, safeguard, x, request)
            return *system.safe_action_set(x).unit_rows(), output

        compiled = jax.jit(jax.vmap(call, in_axes=(None, None, 0, 0)))
        return lambda first, second, x, request: jax.device_get(
            compiled(np.int32(first), np.int32(second), x, request)
        )
